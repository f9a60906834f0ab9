"""One attempt of a planned request, from the moment its client begins it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .channel import Channel
    from .source import Source


class Attempt:
    """*row*: the request's number in the run; *time*: its intended time; *start*: when this attempt began (ns since the scenario's zero).

    *earlier* holds the packed rows of the attempts before this one; *status* and *server* are those of the answer.
    """

    __slots__ = ("channel", "earlier", "endpoint", "headers", "index", "number", "pending", "row", "server",
                 "source", "start", "status", "time")  # fmt: skip

    def __init__(
        self, source: "Source", row: int, index: int, endpoint: int, headers: int, time: int, start: int
    ) -> None:
        self.source = source
        self.row = row
        self.index = index
        self.endpoint = endpoint
        self.headers = headers
        self.time = time
        self.start = start
        self.number = 1
        self.earlier = b""
        self.pending = True
        self.channel: Channel | None = None
        self.status = 0
        self.server = 0

    def following(self, start: int) -> "Attempt":
        """The next attempt of the same request."""
        following = Attempt(self.source, self.row, self.index, self.endpoint, self.headers, self.time, start)
        following.number = self.number + 1
        following.earlier = self.earlier
        return following
