"""Load tests in the npm ``loadtest`` package's option format: a JSON array of option objects.

Meaning, after that package (version 8): ``requestsPerSecond`` is shared by ``concurrency`` clients; each begins at a random
moment within the first second, sends on its own timer and does not wait for answers. Without a rate the clients wait.
``body`` is text, or an object or array that is sent as JSON; what JavaScript takes for nothing (``""``, 0, false, null) is not sent.
A header's value may be an array: it is sent once for each of them.
``maxSeconds`` defaults to 10 when ``maxRequests`` is missing, ``concurrency`` to 10. ``timeout`` is in milliseconds.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .input_file import place_of_bad_text, read_input

DEFAULT_CONCURRENCY = 10
DEFAULT_SECONDS = 10.0
KNOWN = {
    "url", "maxRequests", "maxSeconds", "concurrency", "requestsPerSecond", "timeout", "method", "headers",
    "agentKeepAlive", "body", "contentType",
}  # fmt: skip


class LoadtestError(ValueError):
    """A file that is not what it should be; the text names file, entry, field, and what was expected."""


@dataclass(frozen=True, slots=True)
class Loadtest:
    """One entry; *rate* None: closed clients. Times in seconds."""

    path: str
    concurrency: int
    rate: float | None
    requests: int | None
    seconds: float | None
    timeout: float | None
    method: str
    headers: tuple[tuple[str, str], ...]
    keep_alive: bool
    body: int
    """Bytes; 0: the entry has none."""


def read_loadtest(path: Path) -> list[Loadtest]:
    """Read *path*. Raises LoadtestError."""
    try:
        content = read_input(path)
        data = json.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise LoadtestError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line, reason = place_of_bad_text(content, error)
        raise LoadtestError(f"{path}:{line}: {reason}") from None
    except json.JSONDecodeError as error:
        raise LoadtestError(f"{path}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):
        raise LoadtestError(
            f"{path}: expected less deep nesting and numbers of at most 4300 digits"
        ) from None
    if not isinstance(data, list) or not data:
        raise LoadtestError(f"{path}: expected an array of option objects with at least one entry")
    return [_entry(item, f"{path}: [{index}]") for index, item in enumerate(data)]


def _entry(item: Any, where: str) -> Loadtest:
    if not isinstance(item, dict):
        raise LoadtestError(f"{where}: expected an object, got {item!r:.40}")
    unknown = sorted(set(item) - KNOWN)
    if unknown:
        raise LoadtestError(f"{where}: unknown option {unknown[0]!r}; known are {', '.join(sorted(KNOWN))}")
    url = item.get("url")
    if not isinstance(url, str) or not url:
        raise LoadtestError(f"{where}.url: expected a URL, got {url!r:.40}")
    requests = _number(item, "maxRequests", where, whole=True)
    seconds = _number(item, "maxSeconds", where)
    if requests is None and seconds is None:
        seconds = DEFAULT_SECONDS
    timeout = _number(item, "timeout", where)
    headers = item.get("headers", {})
    if not isinstance(headers, dict):
        raise LoadtestError(f"{where}.headers: expected an object, got {headers!r:.40}")
    try:
        target = urlsplit(url).path or "/"
    except ValueError:
        raise LoadtestError(f"{where}.url: expected a URL, got {url!r:.60}") from None
    concurrency = _number(item, "concurrency", where, whole=True)
    return Loadtest(
        path=target,
        concurrency=int(concurrency or DEFAULT_CONCURRENCY),
        rate=_number(item, "requestsPerSecond", where),
        requests=None if requests is None else int(requests),
        seconds=seconds,
        timeout=None if timeout is None else timeout / 1000,
        method=str(item.get("method", "GET")).upper(),
        headers=tuple(sorted((str(k).lower(), _header(v)) for k, v in headers.items())),
        keep_alive=bool(item.get("agentKeepAlive", False)),
        body=_body(item.get("body"), where),
    )


def _header(value: Any) -> str:
    """A header's value; several are one with commas (RFC 9110, section 5.3)."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _body(body: Any, where: str) -> int:
    """Bytes of *body* as the package sends it."""
    if body in (None, "", 0, False) and not isinstance(body, (list, dict)):
        return 0
    if not isinstance(body, (str, list, dict)):
        raise LoadtestError(f"{where}.body: expected text, an object or an array, got {body!r:.40}")
    text = (
        body if isinstance(body, str) else json.dumps(_plain(body), ensure_ascii=False, separators=(",", ":"))
    )
    return len(text.encode("utf-8", "surrogatepass"))


def _plain(value: Any) -> Any:
    """*value* with whole numbers as JavaScript writes them: 1.0 is 1."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e21
    return int(value) if whole else value


def _number(item: dict[str, Any], name: str, where: str, whole: bool = False) -> float | None:
    value = item.get(name)
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < 1e12 or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise LoadtestError(f"{where}.{name}: expected {kind} above 0, got {value!r:.40}")
    return float(value)
