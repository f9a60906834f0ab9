"""Up to the promotion: what a strategy prepares, and the steps that a canary or a second set goes through."""

from ..analysis import FAIL, PASS
from . import in_place, looking, replacing
from .books import Pair
from .commands import CANARIES, FAILED, Register
from .moment import EVERYBODY, NOBODY, Moment, is_canary, name_of
from .spec import (
    ALL_AT_ONCE,
    BLUE_GREEN,
    CANARY_STEPS,
    CLASSIC_SHARE,
    PROXY,
    REDIS,
    Analyse,
    Pause,
    SetWeight,
)
from .states import State


def queued(moment: Moment) -> None:
    """The first turn: how many servers there are decides what shares mean."""
    books, spec = moment.books, moment.spec
    books.began = moment.now
    for hand in books.hands.values():
        hand.since = moment.now
    replacing.inherit(moment)
    there = [one for one in moment.group(moment.is_ours) if one.listed or one.address in books.hands]
    books.surge = spec.max_surge.of(len(there), up=True)
    books.unavailable = spec.max_unavailable.of(len(there), up=False)
    if spec.strategy == ALL_AT_ONCE:
        books.surge, books.unavailable = 0, EVERYBODY
    elif spec.strategy == BLUE_GREEN:
        books.surge = max(books.surge, 1)
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
    moment.become(State.PREPARING, "")


def preparing(moment: Moment) -> None:
    """Make what the strategy needs: canaries, or a second set."""
    if moment.spec.branch in (PROXY, REDIS) or moment.spec.strategy not in (CANARY_STEPS, BLUE_GREEN):
        moment.become(State.PROMOTING, "")
        return
    ready = _second_set(moment) if moment.spec.strategy == BLUE_GREEN else _canaries(moment)
    if ready:
        moment.become(State.STEPPING, "")


def _canaries(moment: Moment) -> bool:
    """Whether the canaries run the new version: those that the fleet has, or new ones."""
    books = moment.books
    books.shares, books.share = True, NOBODY
    # Those that an earlier deploy launched in the place of others are the fleet's, unless they are on their way out.
    there = [
        one
        for one in moment.group(is_canary)
        if one.phase != FAILED and not {one.address, one.key} & books.retiring.keys()
    ]
    if not books.own and not books.pairs:
        books.own = [one.address for one in there if one.listed]
        if not books.own:
            books.pairs = [
                Pair("", books.key(), CANARIES, moment.now, extra=True) for _ in range(moment.spec.canaries)
            ]
    in_place.tend(moment)
    replacing.tend(moment)
    replacing.retire(moment)
    done = in_place.take(moment, is_canary, EVERYBODY) if books.own else True
    return done and not moment.is_busy() and all(pair.registered for pair in books.pairs)


def _second_set(moment: Moment) -> bool:
    """Whether the whole second set could take over."""
    in_place.tend(moment)
    replacing.tend(moment, lambda pair: False, keep=-1)
    replacing.retire(moment)
    replacing.open_pairs(moment, moment.is_ours, EVERYBODY, -1)
    news = [moment.find(pair.new) for pair in moment.books.pairs]
    return not moment.is_busy() and all(new is not None and moment.is_ready(new) for new in news)


def stepping(moment: Moment) -> None:
    """On to the next step, or to the promotion."""
    books, spec = moment.books, moment.spec
    _keep_going(moment)
    if moment.failures:
        return
    if (
        books.step == 0
        and books.share == NOBODY
        and not any(isinstance(one, SetWeight) for one in spec.steps)
    ):
        books.share = CLASSIC_SHARE
    if books.step >= len(spec.steps):
        moment.become(State.PROMOTING, "")
        return
    step = spec.steps[books.step]
    if isinstance(step, SetWeight):
        books.shares, books.share = True, step.share
        moment.log("deploy_step", step=books.step + 1, does=f"set_weight {step.share[0]}/{step.share[1]}")
        books.step += 1
    elif isinstance(step, Pause):
        books.until = moment.now + step.length
        moment.log("deploy_paused", step=books.step + 1, reason="step", until=books.until)
        moment.become(State.PAUSED, "step")
    else:
        books.window = looking.begin(moment.now, step)
        moment.log("deploy_step", step=books.step + 1, does="analysis")
        moment.become(State.ANALYSING, "")


def paused(moment: Moment) -> None:
    """Wait for the end of a step, or for data."""
    if moment.books.window is not None:
        analysing(moment)
        return
    _keep_going(moment)
    if moment.now >= moment.books.until and not moment.failures:
        moment.books.step += 1
        moment.become(State.STEPPING, "")


def analysing(moment: Moment) -> None:
    """Gather, and look when it is time."""
    books, window = moment.books, moment.books.window
    assert window is not None, "an analysis without a window"
    _keep_going(moment)
    looking.gather(moment, window)
    found = looking.due(moment, window)
    if found is None or moment.failures:
        return
    if found.verdict == PASS:
        books.step, books.window = books.step + 1, None
        moment.become(State.STEPPING, found.reason)
    elif found.verdict == FAIL:
        moment.fail(f"analysis: {found.reason}")
    elif moment.books.state is State.ANALYSING and moment.now - window.since >= _length(moment):
        moment.log("deploy_paused", step=books.step + 1, reason=f"inconclusive: {found.reason}", until=-1)
        moment.become(State.PAUSED, f"inconclusive: {found.reason}")


def _length(moment: Moment) -> int:
    step = moment.spec.steps[moment.books.step]
    return step.spec.length if isinstance(step, Analyse) else 0


def _keep_going(moment: Moment) -> None:
    """What a deploy has made stays as it is while it goes through its steps, or it has failed."""
    switch = moment.spec.strategy != BLUE_GREEN
    if not switch and moment.books.shares:
        # With a share of the requests the second set stands among the canaries until it takes over.
        news = [moment.find(pair.new) for pair in moment.books.pairs]
        for new in news:
            if new is not None and not new.listed and moment.is_ready(new):
                moment.ask(Register(new.address, CANARIES))
    in_place.tend(moment)
    replacing.tend(moment, lambda pair: switch, keep=0 if switch else -1)
    replacing.retire(moment)
    for address in moment.books.own:
        server = moment.find(address)
        if server is None or server.phase == FAILED:
            moment.fail(f"canary {name_of(server, address)} {'is gone' if server is None else 'failed'}")
