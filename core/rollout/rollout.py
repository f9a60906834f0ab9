"""One deploy, turn by turn. See the package's theory of operation, and :mod:`states` for the table."""

from collections.abc import Callable
from dataclasses import replace

from . import exchanging, replacing, steps
from .books import ABORT, DRAINING, INSTALLING, LOST, PROMOTE, REGISTERING, Books, Hand
from .commands import CANARIES, SERVING, STANDBY, Observed, SetWeight, Turn
from .moment import NOBODY, Moment
from .spec import CANARY, CANARY_STEPS, PROXY, REDIS, DeploySpec
from .states import ENDED, State

_MOST_STATES = 2 * len(State)


class Rollout:
    """A deploy under way: *spec*, and the books that were saved last (those of :meth:`begin` at first)."""

    def __init__(self, spec: DeploySpec, books: Books) -> None:
        self.spec = spec
        self.books = books

    @classmethod
    def begin(cls, spec: DeploySpec, previous: str, inherited: Books | None = None) -> "Rollout":
        """A deploy that is due. *previous*: the version to go back to. *inherited*: of a deploy that it supersedes, or that has failed: what that one left half done, this one repairs."""
        books = Books(spec.name, spec.version, previous)
        books.homes = (
            [CANARIES] if spec.branch == CANARY and spec.strategy != CANARY_STEPS else [SERVING, STANDBY]
        )
        if spec.branch in (PROXY, REDIS):
            books.homes = []
        if inherited is not None and books.homes:
            _inherit(books, inherited)
        return cls(spec, books)

    def save(self) -> str:
        """All that a successor must know, as JSON."""
        return self.books.write()

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.books.state

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        return self.books.state in ENDED

    def ask(self, what: str) -> None:
        """Somebody wants it to promote or to abort; the next turn heeds it."""
        self.books.asked = what

    def supersede(self, now: int) -> None:
        """A newer push has come: this one stops as it is; the newer one repairs what it leaves."""
        if not self.ended:
            Moment(self.spec, self.books, now, Observed()).become(State.SUPERSEDED, "a newer push")

    def turn(self, now: int, observed: Observed) -> Turn:
        """Go on at *now* (ns) with what was observed."""
        moment = Moment(self.spec, self.books, now, observed)
        moment.reverting = self.state is State.ROLLING_BACK
        if not self.ended:
            self._heed(moment)
            self._advance(moment)
        if not self.ended or self.state is not State.SUPERSEDED:
            self._weigh(moment)
        commands = tuple(moment.commands)
        return Turn(
            self.state, self.books.reason, commands, self._updating(moment), self._launches(), tuple(moment.events),
        )  # fmt: skip

    # Going on.

    def _advance(self, moment: Moment) -> None:
        for _ in range(_MOST_STATES + len(self.spec.steps) * 2):
            before = (self.state, self.books.step)
            _HANDLERS[self.state](moment)
            self._look_after(moment)
            if self.ended or (self.state, self.books.step) == before:
                return
        raise AssertionError(f"deploy {self.spec.name} goes round in circles at {self.state}")

    def _heed(self, moment: Moment) -> None:
        """What people ask for."""
        asked, waiting = self.books.asked, {State.STEPPING, State.PAUSED, State.ANALYSING}
        if asked == ABORT and self.state is State.QUEUED:
            moment.become(State.ABORTED, "asked for")
        elif asked == ABORT and self.state is not State.ROLLING_BACK:
            self._turn_back(moment, "asked for")
        elif asked == PROMOTE and self.state in waiting:
            self.books.asked, self.books.window = "", None
            moment.become(State.PROMOTING, "asked for")

    def _look_after(self, moment: Moment) -> None:
        """Failures and overdue ends."""
        books, now = self.books, moment.now
        if self.ended:
            return
        if self.state is State.ROLLING_BACK:
            books.lost = books.lost or bool(moment.failures)
            moment.failures.clear()
            if now - books.since >= self.spec.timeout:
                moment.end(State.FAILED, "the way back took too long")
            return
        if (
            not moment.failures
            and not books.stopping
            and books.began >= 0
            and now - books.began >= self.spec.timeout
        ):
            moment.failures.append("took too long")
        if not moment.failures:
            return
        reason = moment.failures[0]
        moment.failures.clear()
        if self.spec.on_failure != "stop" or self.state not in (State.PROMOTING, State.VERIFYING):
            # Until the promotion nothing has been done that could be left as it is.
            self._turn_back(moment, reason)
        elif not books.stopping:
            books.stopping, books.reason = True, reason
            moment.commands.clear()
            replacing.settle(moment)

    def _turn_back(self, moment: Moment, reason: str) -> None:
        """Begin the way back; what this turn had asked for so far is void."""
        books = self.books
        moment.commands.clear()
        moment.failures.clear()
        moment.become(State.ROLLING_BACK, reason)
        moment.log("rollback_started", reason=reason, version=books.previous)
        moment.reverting = True
        books.stopping, books.window = False, None
        if books.shares:
            books.share = NOBODY
        for hand in books.hands.values():
            if hand.phase in (LOST, INSTALLING, REGISTERING):
                hand.phase, hand.since = INSTALLING, moment.now
        replacing.turn_round(moment)

    # What follows from the books.

    def _weigh(self, moment: Moment) -> None:
        """Have the canaries' share be what it is to be; before anything is registered with them."""
        if not self.books.shares or moment.observed.share == self.books.share:
            return
        moment.commands.insert(0, SetWeight(self.books.share))
        share = self.books.share
        moment.log("weight_set", share="default" if share is None else f"{share[0]}/{share[1]}")

    def _updating(self, moment: Moment) -> tuple[str, ...]:
        """Whom others are to leave alone, for they will be back: servers in hand, and pairs until the new one has been seen in the old one's place."""
        books = self.books
        if self.ended:
            return ()
        references = [*books.hands]
        for pair in books.pairs:
            if pair.new in moment.joining:
                # The old one is on its way out; the new one is ours until it has been seen in its place, or whoever scales the fleet drains it and is undone.
                references.append(pair.new)
            elif not pair.registered:
                references += [pair.old, pair.new]
        found = [moment.find(reference) for reference in references if reference]
        return tuple(sorted({one.address for one in found if one is not None and one.address}))

    def _launches(self) -> dict[str, str]:
        """What others launch: the new version from when it is proven, unless it is on its way back."""
        books = self.books
        forward = books.proven and self.state not in (
            State.ROLLING_BACK, State.ROLLED_BACK, State.ABORTED, State.FAILED,
        )  # fmt: skip
        version = books.target if forward or self.state is State.PROMOTED else books.previous
        homes = list(books.homes)
        if self.spec.strategy == CANARY_STEPS:
            homes.append(CANARIES)
        return dict.fromkeys(homes, version)


_HANDLERS: dict[State, Callable[[Moment], None]] = {
    State.QUEUED: steps.queued,
    State.PREPARING: steps.preparing,
    State.STEPPING: steps.stepping,
    State.PAUSED: steps.paused,
    State.ANALYSING: steps.analysing,
    State.PROMOTING: exchanging.promoting,
    State.VERIFYING: exchanging.verifying,
    State.ROLLING_BACK: exchanging.rolling_back,
}


def _inherit(books: Books, before: Books) -> None:
    """Take over what a deploy has left half done."""
    books.shares = before.shares
    books.retiring = dict(before.retiring)
    for address, hand in before.hands.items():
        # Whatever is on it now is exchanged for what this deploy brings.
        books.hands[address] = Hand(hand.home, DRAINING, -1)
    # What has become of them shows at the first turn.
    books.pairs = [replace(pair) for pair in before.pairs]
    if before.own and CANARIES not in books.homes:
        books.homes.append(CANARIES)
