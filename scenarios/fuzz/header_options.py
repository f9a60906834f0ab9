"""Header options: content negotiation, caching, encodings, cookies, conditions, ranges; very many, very long, and repeated ones.

Each is legal by itself (RFC 9110); a field that has one value only may come twice.
"""

import re
from collections.abc import Sequence

from .choices import Choices, chance, pick, several

Header = tuple[str, str]

FRAMING = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "upgrade", "trailer", "keep-alive", "proxy-connection", "content-type",
})  # fmt: skip
"""Names that the sender of a request writes by itself: they are never generated, but for hostile bytes."""

OPTIONS: Sequence[Header] = (
    ("accept", "*/*"), ("accept", "text/plain"), ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"), ("accept", "application/json"),
    ("accept", "application/x-nothing"), ("accept", "text/*;q=0"), ("accept", ""), ("accept-charset", "utf-8"),
    ("accept-charset", "iso-8859-5, unicode-1-1;q=0.8"), ("accept-encoding", "gzip"), ("accept-encoding", "identity;q=0"),
    ("accept-encoding", "br;q=1.0, gzip;q=0.8, *;q=0.1"), ("accept-language", "de-CH, de;q=0.9, *;q=0.5"), ("accept-language", "xx"),
    ("cache-control", "no-cache"), ("cache-control", "max-age=0"), ("cache-control", "only-if-cached"), ("cache-control", "no-store, max-stale=99999999999"),
    ("pragma", "no-cache"), ("if-none-match", "*"), ("if-none-match", 'W/"0", "1"'), ("if-match", '"0"'),
    ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"), ("if-modified-since", "yesterday"), ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("range", "bytes=0-0"), ("range", "bytes=-1"), ("range", "bytes=5-1"), ("range", "bytes=0-0,2-2,4-4"), ("range", "lines=1-2"),
    ("if-range", '"0"'), ("cookie", "a=1"), ("cookie", "session=0; a=1; a=2"), ("cookie", "=; ;;"), ("cookie", 'a="b c"; $Version=1'),
    ("authorization", "Basic Og=="), ("authorization", "Bearer x"), ("expect", "100-continue"), ("te", "trailers"), ("te", "gzip;q=0.5"),
    ("origin", "null"), ("referer", "http://example.com/a?b#c"), ("user-agent", "monkey"), ("user-agent", ""), ("from", "a@example.com"),
    ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "unknown, 10.0.0.1:80, [::1]"), ("x-forwarded-proto", "https"), ("forwarded", 'for="_a";proto=https'),
    ("x-forwarded-host", "example.com"), ("via", "1.0 a, 1.1 b"), ("max-forwards", "5"), ("x-http-method-override", "DELETE"), ("x-request-id", "0"),
    ("traceparent", "00-00000000000000000000000000000000-0000000000000000-00"), ("date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("priority", "u=0, i"),
    ("upgrade-insecure-requests", "1"), ("sec-fetch-mode", "navigate"), ("content-encoding", "gzip"), ("content-language", "de"),
)  # fmt: skip
"""The first is the simplest."""

OURS = (
    ("windtunnel-request", "0-0-1"),
    ("windtunnel-request", "x"),
    ("windtunnel-try", "-1"),
    ("windtunnel-call", "99999999999999999999"),
)
"""The engine's own headers, which may come once only."""

_LENGTHS = (100, 1000, 4000, 8000, 15_000, 40_000)
_COUNTS = (10, 50, 100, 200)
_REPEATED = (
    "accept",
    "cookie",
    "x-a",
    "cache-control",
    "accept-language",
    "user-agent",
    "x-forwarded-for",
    "if-none-match",
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}\Z")
_NOT_PRINTED = re.compile(r"[^\x20-\x7e]")


def header_options(choices: Choices) -> tuple[Header, ...]:
    """Headers for a request, in order; a name may come twice."""
    headers = [pick(choices, OPTIONS), *several(choices, lambda part: pick(part, OPTIONS), 8, 2, 3)]
    if chance(choices, 1, 5):
        length = pick(choices, _LENGTHS)
        headers.append(("cookie", "a=" + "b" * length) if chance(choices, 1, 2) else ("x-long", "a" * length))
    if chance(choices, 1, 6):
        headers += [(f"x-{number}", "1") for number in range(pick(choices, _COUNTS))]
    if chance(choices, 1, 4):
        name = pick(choices, _REPEATED)
        headers += [(name, value) for value in ("1", "2", "")[: 2 + choices.below(2)]]
    if chance(choices, 1, 8):
        headers.append(pick(choices, OURS))
    if chance(choices, 1, 20):
        headers.append(("x-" + "n" * pick(choices, (60, 190)), "1"))
    return tuple(headers)


def header(name: str, value: str) -> Header | None:
    """A header that can be sent, with what is not printable ASCII in percent-encoding; None if the *name* is none, or the sender's."""
    if not _NAME.match(name) or name.lower() in FRAMING:
        return None
    plain = _NOT_PRINTED.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass")), value
    )
    return name.lower(), plain.strip()
