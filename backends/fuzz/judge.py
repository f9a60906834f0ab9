"""What is wrong with the answers to one wire: the rules, without input or output.

A status from 500 on that nothing explains; a connection that is reset or closed, or on which nothing comes, though an answer is due; bytes that are no
answer; answers of the proxy that are not those of the app server. For hostile bytes nobody can say which status is right: there a proxy may refuse, or close,
but what it lets through must be read by the app server as it reads it itself.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from ...core.http.statuses import BAD_REQUEST, EXPLICABLE, LIMITS, NOT_IMPLEMENTED, UNREADABLE
from ...scenarios.fuzz.requests import Request
from ...scenarios.fuzz.wire import Wire
from ..live.headers import CAUSE
from .exchange import ANSWERED, BROKEN, CLOSED, SILENT, Exchange
from .replies import Reply

IMPLEMENTED = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
FRAMING = "disagreement on framing"
_COMPARED = ("content-type", "location", "allow")


class Verdict(NamedTuple):
    """What is wrong: *kind* is the same for what is one fault, *text* says it in a sentence."""

    kind: str
    text: str


Explained = Callable[[Request | None], Collection[int]]
"""The statuses from 500 on that are right for a request."""


@dataclass(frozen=True, slots=True)
class Judge:
    """*explained*: statuses that are right; *bodies*: whether the proxy's and the app server's content can be compared."""

    explained: Explained
    bodies: bool = True

    def verdict(
        self, wire: Wire, request: Request | None, seen: Exchange, direct: Exchange | None
    ) -> Verdict | None:
        """What is wrong with *seen*, beside what the app server answered to the same bytes; None: nothing."""
        return (
            self._form(wire, seen)
            or self._status(request, seen)
            or self._missing(wire, seen)
            or (self._beside(wire, request, seen, direct) if direct is not None else None)
        )

    def _form(self, wire: Wire, seen: Exchange) -> Verdict | None:
        replies = seen.replies
        if not wire.reads:
            return None
        if 0 <= wire.answers < len(replies.complete):
            return Verdict(
                "surplus answer", f"{len(replies.complete)} answers came to {wire.answers} requests"
            )
        if wire.answers == len(replies.complete) and replies.rest and 101 not in seen.statuses:
            return Verdict("surplus bytes", f"{len(replies.rest)} bytes came after the last answer")
        if replies.wrong:
            return Verdict(f"malformed: {replies.wrong}", f"what came is {replies.wrong}")
        return None

    def _status(self, request: Request | None, seen: Exchange) -> Verdict | None:
        right = set(self.explained(request))
        if request is None:
            right |= EXPLICABLE
        elif request.method not in IMPLEMENTED:
            right.add(NOT_IMPLEMENTED)
        for reply in seen.replies.complete:
            if reply.status >= 500 and reply.status not in right:
                cause = reply.one(CAUSE)
                return Verdict(
                    f"status {reply.status} {cause}".rstrip(),
                    f"the status {reply.status}{f' ({cause})' if cause else ''} that nothing explains",
                )
        return None

    def _missing(self, wire: Wire, seen: Exchange) -> Verdict | None:
        """An answer that is due and did not come."""
        got = len(seen.replies.complete)
        refused = any(reply.closing or reply.status in UNREADABLE for reply in seen.replies.complete)
        due = got < wire.answers and not refused
        if due and seen.how in (BROKEN, CLOSED):
            word = "reset" if seen.how == BROKEN else "closed"
            part = " within an answer" if seen.replies.rest else ""
            return Verdict(
                f"{word}{part}", f"the connection was {word}{part}, {got} of {wire.answers} answers had come"
            )
        if seen.how == SILENT and (due or (wire.answers < 0 and wire.complete and not got)):
            return Verdict("hang", f"no answer within {seen.seconds:.1f} s, {got} had come")
        return None

    def _beside(
        self, wire: Wire, request: Request | None, seen: Exchange, direct: Exchange
    ) -> Verdict | None:
        """What is wrong with the app server's own answers, or between them and the proxy's."""
        failed = self._status(request, direct)
        if failed is not None:
            return Verdict(f"app server: {failed.kind}", f"from the app server, {failed.text}")
        return self._disagreement(wire, request, seen, direct)

    def _disagreement(
        self, wire: Wire, request: Request | None, seen: Exchange, direct: Exchange
    ) -> Verdict | None:
        if request is None:
            return self._reading(wire, seen, direct)
        if seen.how != ANSWERED or direct.how != ANSWERED:
            return None
        ours, theirs = seen.replies.complete[0], direct.replies.complete[0]
        if ours.status != theirs.status:
            if ours.status in LIMITS or ours.status == NOT_IMPLEMENTED:
                return None
            return Verdict(
                f"disagreement {ours.status} {theirs.status}",
                f"the proxy answers {ours.status}, the app server {theirs.status}",
            )
        # A refusal is worded by whoever refuses.
        return None if ours.status == BAD_REQUEST else self._difference(ours, theirs)

    def _difference(self, ours: Reply, theirs: Reply) -> Verdict | None:
        for name in _COMPARED:
            if ours.one(name) != theirs.one(name):
                text = f"{name} is {ours.one(name)!r:.80} from the proxy, {theirs.one(name)!r:.80} from the app server"
                return Verdict(f"disagreement {name}", text)
        if self.bodies and ours.content != theirs.content:
            text = f"{len(ours.content)} bytes of content from the proxy are not the app server's {len(theirs.content)}"
            return Verdict("disagreement content", text)
        return None

    def _reading(self, wire: Wire, seen: Exchange, direct: Exchange) -> Verdict | None:
        """Whether both read as many requests out of the same hostile bytes, where neither refuses any."""
        ours, theirs = seen.statuses, direct.statuses
        if not ours or not theirs or len(ours) == len(theirs) or not wire.reads:
            return None
        if any(400 <= status < 600 and status != 404 for status in (*ours, *theirs)):
            return None
        return Verdict(
            FRAMING,
            f"the proxy reads {len(ours)} requests out of the bytes, the app server {len(theirs)}",
        )
