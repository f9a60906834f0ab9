"""The bytes of planned requests: heads are encoded once per (source, endpoint, header set); the request's number is spliced in."""

import re
from urllib.parse import quote

from ...core.demand import body_size
from ...core.errors import UsageError
from ...core.model import PER_REQUEST, FleetSpec, SourceSpec
from ...scenarios.paths import DEFAULT_PATH, PathMatcher
from ..live.headers import REQUEST

_SAFE = "/:@!$&'()*+,;=~-._%?"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
OURS = frozenset({"content-length", "transfer-encoding", "expect", "te", "trailer", "upgrade", REQUEST})
"""Headers that say how a message is framed, or which one it is, are never taken from a header set."""

_FILLER = memoryview(bytes(1 << 20))
_DEEPEST = 32


def paths(fleet: FleetSpec) -> list[str]:
    """The path that is asked for, by endpoint. ``default`` has none of its own: it gets one that matches no other endpoint."""
    names = [endpoint.path for endpoint in fleet.endpoints]
    matcher = PathMatcher(names)
    return [_unmatched(matcher) if name == DEFAULT_PATH else name for name in names]


def _unmatched(matcher: PathMatcher) -> str:
    # Templates have a number of segments each, so a path with another number of them matches none.
    for depth in range(1, _DEEPEST):
        path = "/" + "/".join(["default"] * depth)
        if matcher.number(path) == matcher.default:
            return path
    raise UsageError(f"expected a path of fewer than {_DEEPEST} segments that matches no endpoint")


class Heads:
    """Encodes the requests of every source for the host *authority*."""

    ours = OURS

    def __init__(self, fleet: FleetSpec, authority: str) -> None:
        self._fleet = fleet
        self._authority = authority
        self._paths = [quote(path, safe=_SAFE) for path in paths(fleet)]
        self._parts: dict[tuple[int, int, int], tuple[bytes, bytes]] = {}
        for headers in fleet.header_sets:
            for name, value in headers:
                _check(name, value)

    def head(self, source: int, endpoint: int, headers: int, index: int, attempt: int) -> bytes:
        """The head of a request without a body."""
        key = (source, endpoint, headers)
        parts = self._parts.get(key)
        if parts is None:
            parts = self._parts[key] = self._encode(self._fleet.sources[source], *key)
        return b"%b%d-%d%b" % (parts[0], index, attempt, parts[1])

    def with_body(
        self, source: int, endpoint: int, headers: int, index: int, attempt: int
    ) -> list[bytes | memoryview]:
        """A request of a source with bodies, in pieces: the body's size is drawn."""
        spec = self._fleet.sources[source]
        body = spec.body
        assert body is not None, "a source without bodies"
        size = body_size(body.kind, body.a, body.b, spec.stream, index)
        head = self.head(source, endpoint, headers, index, attempt)
        pieces: list[bytes | memoryview] = [b"%bcontent-length: %d\r\n\r\n" % (head[:-2], size)]
        while size > 0:
            pieces.append(_FILLER[:size])
            size -= len(_FILLER)
        return pieces

    def _encode(self, spec: SourceSpec, source: int, endpoint: int, headers: int) -> tuple[bytes, bytes]:
        """What comes before and after ``INDEX-ATTEMPT``."""
        given = {name.lower(): (name, value) for name, value in self._fleet.header_sets[headers]}
        if spec.client.mode == PER_REQUEST:
            given["connection"] = ("connection", "close")
        _, host = given.pop("host", ("host", self._authority))
        lines = [
            f"{spec.method} {self._paths[endpoint]} HTTP/1.1",
            f"host: {host}",
        ]
        lines += [f"{name}: {value}" for lower, (name, value) in given.items() if lower not in self.ours]
        before = "\r\n".join([*lines, f"{REQUEST}: {source}-"])
        return before.encode(), b"\r\n\r\n"


def _check(name: str, value: str) -> None:
    if not _NAME.match(name) or any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise UsageError(f"expected a header that can be sent, got {name!r:.60}: {value!r:.60}")
