"""One deploy, turn by turn. See the package's theory of operation, and :mod:`states` for the table."""

from collections.abc import Callable

from . import components, in_place, looking, replacing
from .books import DRAINING, INSTALLING, LOST, REGISTERING, Books, Hand, Pair, read_books
from .commands import (
    CANARIES,
    FAILED,
    SERVING,
    STANDBY,
    Command,
    Install,
    Observed,
    Server,
    Turn,
)
from .commands import SetWeight as Weigh
from .moment import Moment, is_healthy, name_of
from .spec import (
    ALL_AT_ONCE,
    BLUE_GREEN,
    CANARY,
    CANARY_STEPS,
    CLASSIC_SHARE,
    MASTER,
    PROXY,
    REDIS,
    Analyse,
    DeploySpec,
    Pause,
    SetWeight,
)
from .states import ENDED, State, move

NOBODY = (0, 1)
"""The canaries' share while none of them is to have requests."""

PROMOTE, ABORT = "promote", "abort"
"""What people may ask of a deploy: go on to the promotion at once; go back."""

EVERYBODY = 1 << 30
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

    @classmethod
    def load(cls, spec: DeploySpec, text: str) -> "Rollout":
        """Go on where :meth:`save` was called. Raises ValueError for what it has not written."""
        return cls(spec, read_books(text))

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
            self._become(now, State.SUPERSEDED, "a newer push")

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
            self._HANDLERS[self.state](self, moment)
            self._look_after(moment)
            if self.ended or (self.state, self.books.step) == before:
                return
        raise AssertionError(f"deploy {self.spec.name} goes round in circles at {self.state}")

    def _become(self, now: int, state: State, reason: str) -> None:
        books = self.books
        books.state = move(self.spec.name, books.state, state)
        books.since, books.reason = now, reason

    def _heed(self, moment: Moment) -> None:
        """What people ask for."""
        asked, waiting = self.books.asked, {State.STEPPING, State.PAUSED, State.ANALYSING}
        if asked == ABORT and self.state is State.QUEUED:
            self._become(moment.now, State.ABORTED, "asked for")
        elif asked == ABORT and self.state is not State.ROLLING_BACK:
            self._turn_back(moment, "asked for")
        elif asked == PROMOTE and self.state in waiting:
            self.books.asked, self.books.window = "", None
            self._become(moment.now, State.PROMOTING, "asked for")

    def _look_after(self, moment: Moment) -> None:
        """Failures and overdue ends."""
        books, now = self.books, moment.now
        if self.ended:
            return
        if self.state is State.ROLLING_BACK:
            books.lost = books.lost or bool(moment.failures)
            moment.failures.clear()
            if now - books.since >= self.spec.timeout:
                self._end(moment, State.FAILED, "the way back took too long")
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
        if self.spec.on_failure != "stop":
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
        self._become(moment.now, State.ROLLING_BACK, reason)
        moment.log("rollback_started", reason=reason, version=books.previous)
        moment.reverting = True
        books.stopping, books.window = False, None
        if books.shares:
            books.share = NOBODY
        for hand in books.hands.values():
            if hand.phase in (LOST, INSTALLING, REGISTERING):
                hand.phase, hand.since = INSTALLING, moment.now
        replacing.turn_round(moment)

    def _end(self, moment: Moment, state: State, reason: str) -> None:
        self._become(moment.now, state, reason)
        name = _EVENTS.get(state)
        if name is not None:
            moment.log(name, version=self.books.target, reason=reason)

    # States.

    def _queued(self, moment: Moment) -> None:
        books, spec = self.books, self.spec
        books.began = moment.now
        there = [one for one in moment.group(self._is_ours) if one.listed or one.address in books.hands]
        books.surge = spec.max_surge.of(len(there), up=True)
        books.unavailable = spec.max_unavailable.of(len(there), up=False)
        if spec.strategy == ALL_AT_ONCE:
            books.surge, books.unavailable = 0, EVERYBODY
        elif books.surge == 0 and books.unavailable == 0:
            # Both were rounded to nothing: Kubernetes takes one server then, and so does this.
            books.unavailable = 1
        moment.log(
            "deploy_started",
            branch=spec.branch,
            version=spec.version,
            previous=books.previous,
            strategy=spec.strategy,
        )
        self._become(moment.now, State.PREPARING, "")

    def _preparing(self, moment: Moment) -> None:
        if self.spec.branch in (PROXY, REDIS) or self.spec.strategy not in (CANARY_STEPS, BLUE_GREEN):
            self._become(moment.now, State.PROMOTING, "")
            return
        ready = self._second_set(moment) if self.spec.strategy == BLUE_GREEN else self._canaries(moment)
        if ready:
            self._become(moment.now, State.STEPPING, "")

    def _canaries(self, moment: Moment) -> bool:
        """Whether the canaries run the new version: those that the fleet has, or new ones."""
        books = self.books
        books.shares, books.share = True, NOBODY
        there = [one for one in moment.group(_is_canary) if not one.key and one.phase != FAILED]
        if not books.own and not books.pairs:
            books.own = [one.address for one in there if one.listed]
            if not books.own:
                books.pairs = [
                    Pair("", books.key(), CANARIES, moment.now, extra=True) for _ in range(self.spec.canaries)
                ]
        in_place.tend(moment)
        replacing.tend(moment)
        replacing.retire(moment)
        done = in_place.take(moment, _is_canary, EVERYBODY) if books.own else True
        return done and not self._busy() and all(pair.registered for pair in books.pairs)

    def _second_set(self, moment: Moment) -> bool:
        """Whether the whole second set could take over."""
        in_place.tend(moment)
        replacing.tend(moment, lambda pair: False, keep=-1)
        replacing.retire(moment)
        replacing.open_pairs(moment, self._is_ours, EVERYBODY, 0)
        news = [moment.find(pair.new) for pair in self.books.pairs]
        return not self._busy() and all(new is not None and moment.is_ready(new) for new in news)

    def _stepping(self, moment: Moment) -> None:
        books, spec = self.books, self.spec
        self._keep_going(moment)
        if moment.failures:
            return
        if (
            books.step == 0
            and books.share == NOBODY
            and not any(isinstance(one, SetWeight) for one in spec.steps)
        ):
            books.share = CLASSIC_SHARE
        if books.step >= len(spec.steps):
            self._become(moment.now, State.PROMOTING, "")
            return
        step = spec.steps[books.step]
        if isinstance(step, SetWeight):
            books.shares, books.share = True, step.share
            moment.log("deploy_step", step=books.step + 1, does=f"set_weight {step.share[0]}/{step.share[1]}")
            books.step += 1
        elif isinstance(step, Pause):
            books.until = moment.now + step.length
            moment.log("deploy_paused", step=books.step + 1, reason="step", until=books.until)
            self._become(moment.now, State.PAUSED, "step")
        else:
            books.window = looking.begin(moment.now, step)
            moment.log("deploy_step", step=books.step + 1, does="analysis")
            self._become(moment.now, State.ANALYSING, "")

    def _paused(self, moment: Moment) -> None:
        if self.books.window is not None:
            self._analysing(moment)
            return
        self._keep_going(moment)
        if moment.now >= self.books.until and not moment.failures:
            self.books.step += 1
            self._become(moment.now, State.STEPPING, "")

    def _analysing(self, moment: Moment) -> None:
        books, window = self.books, self.books.window
        assert window is not None, "an analysis without a window"
        self._keep_going(moment)
        looking.gather(moment, window)
        found = looking.due(moment, window)
        if found is None or moment.failures:
            return
        if found.verdict == looking.PASS:
            books.step, books.window = books.step + 1, None
            self._become(moment.now, State.STEPPING, found.reason)
        elif found.verdict == looking.FAIL:
            moment.fail(f"analysis: {found.reason}")
        elif self.state is State.ANALYSING and moment.now - window.since >= self._length():
            moment.log("deploy_paused", step=books.step + 1, reason=f"inconclusive: {found.reason}", until=-1)
            self._become(moment.now, State.PAUSED, f"inconclusive: {found.reason}")

    def _length(self) -> int:
        step = self.spec.steps[self.books.step]
        return step.spec.length if isinstance(step, Analyse) else 0

    def _keep_going(self, moment: Moment) -> None:
        """What a deploy has made stays as it is while it goes through its steps, or it has failed."""
        switch = self.spec.strategy != BLUE_GREEN
        in_place.tend(moment)
        replacing.tend(moment, lambda pair: switch, keep=0 if switch else -1)
        replacing.retire(moment)
        for address in self.books.own:
            server = moment.find(address)
            if server is None or server.phase == FAILED:
                moment.fail(f"canary {name_of(server, address)} {'is gone' if server is None else 'failed'}")

    def _promoting(self, moment: Moment) -> None:
        books = self.books
        if self.spec.branch in (PROXY, REDIS):
            done = components.restart(moment)
        else:
            done = self._exchange(moment)
            served = [
                one for one in moment.group(self._is_ours) if one.version == books.target and one.listed
            ]
            books.proven = books.proven or any(map(is_healthy, served))
            if any(one.phase == FAILED for one in served):
                failed = next(one for one in served if one.phase == FAILED)
                moment.fail(f"server {name_of(failed, failed.address)} failed")
        if moment.failures:
            return
        if books.stopping:
            if not self._busy() and not books.pairs and not books.retiring:
                self._end(moment, State.FAILED, books.reason)
        elif done:
            self._become(moment.now, State.VERIFYING, "")

    def _exchange(self, moment: Moment) -> bool:
        """Bring the servers of the role to the moment's version; whether all are."""
        books, spec = self.books, self.spec
        blue_green = spec.strategy == BLUE_GREEN and not moment.reverting
        if blue_green:
            books.switched = True
        in_place.tend(moment)
        replacing.tend(moment, keep=-1 if blue_green else 0)
        replacing.retire(moment)
        if books.stopping:
            return False
        if blue_green:
            # The old set is kept for the way back until all is verified.
            return not self._busy() and all(pair.registered for pair in books.pairs)
        extra = [pair for pair in books.pairs if pair.extra]
        if books.surge > 0:
            done = replacing.open_pairs(moment, self._is_ours, books.surge, books.unavailable)
        else:
            done = in_place.take(moment, self._is_ours, books.unavailable)
        return done and not self._busy() and len(books.pairs) == len(extra)

    def _verifying(self, moment: Moment) -> None:
        books, spec = self.books, self.spec
        over = moment.now - books.since >= max(spec.verify, spec.keep if books.switched else 0)
        self._exchange_kept(moment, over)
        for server in moment.group(self._is_ours):
            if server.version == books.target and server.listed and server.phase == FAILED:
                moment.fail(f"server {name_of(server, server.address)} failed")
        if moment.failures or not over:
            return
        for pair in [pair for pair in books.pairs if pair.extra]:
            books.pairs.remove(pair)
            books.retiring[pair.new] = -1
        if books.shares:
            books.share = NOBODY if books.retiring else None
        replacing.retire(moment)
        if not books.pairs and not books.retiring:
            books.share = None
            self._end(moment, State.PROMOTED, "")

    def _exchange_kept(self, moment: Moment, over: bool) -> None:
        in_place.tend(moment)
        kept = self.books.switched and not over
        replacing.tend(moment, keep=-1 if kept else 0)

    def _rolling_back(self, moment: Moment) -> None:
        books = self.books
        if self.spec.branch in (PROXY, REDIS):
            done = components.restart(moment) or bool(moment.failures)
        else:
            done = self._exchange(moment)
            if books.own:
                done = in_place.take(moment, _is_canary, EVERYBODY) and done
        kept = any(hand.phase == LOST for hand in books.hands.values())
        if done and not self._busy() and not books.pairs and not books.retiring:
            books.share = None
            lost = kept or books.lost or bool(moment.failures)
            why, asked = books.reason, books.asked == ABORT
            if lost:
                self._end(moment, State.FAILED, f"{why}; not every server could be brought back")
            else:
                self._end(moment, State.ABORTED if asked else State.ROLLED_BACK, why)

    _HANDLERS: dict[State, Callable[["Rollout", Moment], None]] = {
        State.QUEUED: _queued,
        State.PREPARING: _preparing,
        State.STEPPING: _stepping,
        State.PAUSED: _paused,
        State.ANALYSING: _analysing,
        State.PROMOTING: _promoting,
        State.VERIFYING: _verifying,
        State.ROLLING_BACK: _rolling_back,
    }

    # What follows from the books.

    def _is_ours(self, home: str) -> bool:
        return home in self.books.homes

    def _busy(self) -> bool:
        """Whether a server is in hand."""
        return any(hand.phase != LOST for hand in self.books.hands.values())

    def _weigh(self, moment: Moment) -> None:
        """Have the canaries' share be what it is to be; before anything is registered with them."""
        if not self.books.shares or moment.observed.share == self.books.share:
            return
        moment.commands.insert(0, Weigh(self.books.share))
        share = self.books.share
        moment.log("weight_set", share="default" if share is None else f"{share[0]}/{share[1]}")

    def _updating(self, moment: Moment) -> tuple[str, ...]:
        """Whom others are to leave alone: servers in hand, those launched and not yet in a list, those on their way out."""
        books = self.books
        if self.ended:
            return ()
        references = [*books.hands, *books.retiring]
        for pair in books.pairs:
            references += [pair.old, pair.new] if not pair.registered else [pair.old]
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


_EVENTS = {
    State.PROMOTED: "deploy_promoted",
    State.ROLLED_BACK: "deploy_rolled_back",
    State.ABORTED: "deploy_rolled_back",
    State.FAILED: "deploy_failed",
}


def _is_canary(home: str) -> bool:
    return home == CANARIES


def _inherit(books: Books, before: Books) -> None:
    """Take over what a deploy has left half done."""
    books.shares = before.shares
    books.retiring = dict(before.retiring)
    for address, hand in before.hands.items():
        # Whatever is on it now is exchanged for what this deploy brings.
        books.hands[address] = Hand(hand.home, DRAINING, -1)
    for pair in before.pairs:
        if pair.extra or (pair.old and not pair.registered and not pair.early):
            books.retiring[pair.new] = -1
        else:
            books.pairs.append(pair)
    if before.own and CANARIES not in books.homes:
        books.homes.append(CANARIES)


__all__ = ["ABORT", "MASTER", "PROMOTE", "Command", "Install", "Rollout", "Server"]
