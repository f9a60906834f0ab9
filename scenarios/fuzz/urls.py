"""Odd but legal URLs: request targets in origin form, ASCII, every percent sign followed by two hexadecimal digits (RFC 3986, RFC 9112 section 3.2.1)."""

from collections.abc import Callable, Sequence
from urllib.parse import quote

from .choices import Choices, between, chance, pick, several
from .surface import SAFE

UNKNOWN = (
    "404", "admin", "favicon.ico", "robots.txt", ".git", ".env", "config", "wp-login.php", "api", "v1", "index.html", "default", "null",
    "-1", "0", "health", "metrics", "static", "a.b.c", "~root", "*",
)  # fmt: skip
"""Segments of paths that crawlers and attackers ask for."""

_SEGMENTS = (
    "a", ".", "..", "...", "%2e%2e", "%2E", "", "%2F", "%2f..", "%5C", "%00", "%0d%0a", "%0D%0AX:%20y", "%25", "%2525", "%20", "+", "%7Eroot",
    "~root", "a;b=c", ";", "a=b", "a:b", "@", "!$&'()*+,;=:@", "%C3%A4", "%e6%97%a5", "%F0%9F%9A%80", "e%CC%81", "%E2%80%AE", "%EF%BB%BF",
    "%C0%AF", "%FF", "%ED%A0%80", "%7B%7B7*7%7D%7D", "con", "a.", "A", "-",
)  # fmt: skip
"""The first is the simplest."""

_QUERIES = (
    "a=1", "", "a", "=", "=1", "a=", "&&", "a=1&a=2", "a%5B%5D=1&a%5B%5D=2", "a%5Bb%5D%5Bc%5D=1", "a=1;b=2", "?", "a=?", "a=/", "a=%00", "a=%0d%0aX:%20y",
    "a=+%20+", "a=%26b=1", "a=%C3%A4", "%C3%A4=1", "a=%FF", "a=http://example.com/", "_method=DELETE", "a=%25%32%35", "callback=f",
    "page=-1", "page=99999999999999999999", "a=b=c", "%61=1", "utf8=%E2%9C%93",
)  # fmt: skip
_LENGTHS = (100, 1000, 3000, 6000)
_COUNTS = (20, 100, 300)


def encoded(text: str, safe: str = "") -> str:
    """*text* for a URL: what is not unreserved or in *safe* is percent-encoded (lone surrogates too)."""
    return quote(text.encode("utf-8", "surrogatepass"), safe=safe)


def unknown_target(choices: Choices) -> str:
    """The target of a path that is not likely to be there."""
    first = pick(choices, UNKNOWN)
    rest = several(choices, lambda part: pick(part, UNKNOWN), 3, 1, 3)
    return "/" + "/".join([first, *rest])


def odd_target(choices: Choices, target: str) -> str:
    """*target* (path, and query if it has one), made odd in one way or more."""
    changes = [
        pick(choices, _CHANGES),
        *several(choices, lambda part: pick(part, _CHANGES), 2, 1, 4),
    ]
    path, mark, query = target.partition("?")
    for change in changes:
        path, mark, query = change(choices, path, mark, query)
    return (path if path.startswith("/") else "/" + path) + mark + query


_Split = tuple[str, str, str]


def _inserted(choices: Choices, path: str, mark: str, query: str) -> _Split:
    """A segment put somewhere."""
    segments = path.split("/")[1:]
    at = between(choices, 0, len(segments))
    segments.insert(at, pick(choices, _SEGMENTS))
    return "/" + "/".join(segments), mark, query


def _slash(choices: Choices, path: str, mark: str, query: str) -> _Split:
    """A slash more at the end, or at the beginning."""
    return ("/" + path if chance(choices, 1, 3) else path + "/"), mark, query


def _escaped(choices: Choices, path: str, mark: str, query: str) -> _Split:
    """A character in percent-encoding that needs none; in upper or in lower case."""
    places = [
        at for at, character in enumerate(path) if at and character.isalnum() and "%" not in path[at - 2 : at]
    ]
    if not places:
        return path + "%61", mark, query
    at = pick(choices, places)
    code = f"%{ord(path[at]):02X}"
    return path[:at] + (code.lower() if chance(choices, 1, 2) else code) + path[at + 1 :], mark, query


def _case(choices: Choices, path: str, mark: str, query: str) -> _Split:
    """Another case."""
    upper = path.upper() if "%" not in path else path
    return upper, mark, query


def _long(choices: Choices, path: str, mark: str, query: str) -> _Split:
    """A long segment, or many short ones."""
    length = pick(choices, _LENGTHS)
    more = "a/" * (length // 2) if chance(choices, 1, 3) else "a" * length
    return f"{path.rstrip('/')}/{more}", mark, query


def _dots(choices: Choices, path: str, mark: str, query: str) -> _Split:
    """Dot segments that lead back to the same path."""
    segments = path.split("/")[1:]
    at = between(choices, 0, max(len(segments) - 1, 0))
    detour = pick(choices, (["."], ["x", ".."], ["%2e"], ["x", "%2e%2e"], ["x", "y", "..", ".."]))
    return "/" + "/".join([*segments[:at], *detour, *segments[at:]]), mark, query


def _query(choices: Choices, path: str, mark: str, query: str) -> _Split:
    """Something odd in the query."""
    odd = pick(choices, _QUERIES)
    return path, "?", f"{query}&{odd}" if query else odd


def _many(choices: Choices, path: str, mark: str, query: str) -> _Split:
    """Many query keys, all alike or all different."""
    count = pick(choices, _COUNTS)
    alike = chance(choices, 1, 2)
    more = "&".join("a=1" if alike else f"k{number}=1" for number in range(count))
    return path, "?", f"{query}&{more}" if query else more


def _long_query(choices: Choices, path: str, mark: str, query: str) -> _Split:
    """A long value, or a long key."""
    text = "a" * pick(choices, _LENGTHS)
    more = f"{text}=1" if chance(choices, 1, 2) else f"a={text}"
    return path, "?", f"{query}&{more}" if query else more


_Change = Callable[[Choices, str, str, str], _Split]
_CHANGES: Sequence[_Change] = (
    _slash, _inserted, _escaped, _dots, _query, _case, _many, _long_query, _long,
)  # fmt: skip

assert all(
    character in SAFE + "%" for segment in _SEGMENTS for character in segment if not character.isalnum()
)
