"""The next request's head out of what has arrived from a client, and whether it is one that this proxy serves.

Most clients wait for an answer before they send another request, and most requests have no content and look like the one before. So what arrives is
often, byte for byte, a request that was accepted before and nothing else: then neither its end nor its lines are looked for again.
"""

from typing import NamedTuple

from .fields import Malformed
from .heads import RequestHead, find_end, read_request, remember, take_line
from .limits import CONTENT_LIMIT, TOO_LONG
from .statuses import CONTENT_TOO_LARGE

PLANNED_LINE = b"\r\nwindtunnel-request: "

_alone: dict[bytes, RequestHead] = {}
known_alone = _alone.get
"""The head of a request that is all of these bytes and was accepted before, or None."""


class Arrival(NamedTuple):
    """A request's head, the planned request that it names (or empty), and what came after it."""

    head: RequestHead
    named: bytes
    rest: bytes


def next_request(data: bytes, searched: int) -> Arrival | None:
    """The first request in *data*, of which *searched* bytes were looked at before; None while its head is incomplete. Raises Malformed."""
    end = find_end(data, searched)
    if end < 0:
        return None
    named, block = take_line(data[:end], PLANNED_LINE)
    head = read_request(block)
    if named and head.planned:
        raise Malformed("windtunnel-request is repeated")
    if head.length > CONTENT_LIMIT:
        raise Malformed(TOO_LONG, CONTENT_TOO_LARGE)
    content = head.chunked or head.length > 0
    if head.method == b"TRACE" and (content or head.length == 0):
        raise Malformed("TRACE with content")
    if not (content or named or head.planned or head.trace or head.max_forwards == 0) and end + 4 == len(
        data
    ):
        remember(_alone, data, head)
    return Arrival(head, named, data[end + 4 :])
