"""From the promotion on: the whole role gets the new version, is verified, or gets the old one back."""

from . import components, in_place, replacing
from .books import ABORT, LOST
from .commands import FAILED
from .moment import EVERYBODY, NOBODY, Moment, is_canary, is_healthy, name_of
from .spec import BLUE_GREEN, PROXY, REDIS
from .states import State


def promoting(moment: Moment) -> None:
    """Bring the whole role to the new version."""
    books = moment.books
    if moment.spec.branch in (PROXY, REDIS):
        done = components.restart(moment)
    else:
        done = _exchange(moment)
        served = [one for one in moment.group(moment.is_ours) if one.version == books.target and one.listed]
        books.proven = books.proven or any(map(is_healthy, served))
        if any(one.phase == FAILED for one in served):
            failed = next(one for one in served if one.phase == FAILED)
            moment.fail(f"server {name_of(failed, failed.address)} failed")
    if books.stopping:
        _stop(moment)
    elif done and not moment.failures:
        moment.become(State.VERIFYING, "")


def _stop(moment: Moment) -> None:
    """End as soon as nothing is half done any more. (The old set of a switch is kept as it is.)"""
    books = moment.books
    open_ = [pair for pair in books.pairs if not pair.registered or not books.switched]
    if not moment.is_busy() and not open_ and not books.retiring and moment.gives_share_back():
        moment.end(State.FAILED, books.reason)


def _exchange(moment: Moment) -> bool:
    """Bring the servers of the role to the moment's version; whether all are."""
    books, spec = moment.books, moment.spec
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
        return not moment.is_busy() and all(pair.registered for pair in books.pairs)
    extra = [pair for pair in books.pairs if pair.extra]
    if books.surge > 0:
        done = replacing.open_pairs(moment, moment.is_ours, books.surge, books.unavailable)
    else:
        done = in_place.take(moment, moment.is_ours, books.unavailable)
    return done and not moment.is_busy() and len(books.pairs) == len(extra)


def verifying(moment: Moment) -> None:
    """All must stay well for a while; then what is left over goes."""
    books, spec = moment.books, moment.spec
    over = moment.now - books.since >= max(spec.verify, spec.keep if books.switched else 0)
    _exchange_kept(moment, over)
    for server in moment.group(moment.is_ours):
        if server.version == books.target and server.listed and server.phase == FAILED:
            moment.fail(f"server {name_of(server, server.address)} failed")
    if books.stopping:
        replacing.retire(moment)
        _stop(moment)
    if books.stopping or moment.failures or not over:
        return
    for pair in [pair for pair in books.pairs if pair.extra]:
        books.pairs.remove(pair)
        books.retiring[pair.new] = -1
    if books.shares:
        books.share = NOBODY if books.retiring else None
    replacing.retire(moment)
    if not books.pairs and not books.retiring and moment.gives_share_back():
        moment.end(State.PROMOTED, "")


def _exchange_kept(moment: Moment, over: bool) -> None:
    in_place.tend(moment)
    kept = moment.books.switched and not over
    replacing.tend(moment, keep=-1 if kept else 0)


def rolling_back(moment: Moment) -> None:
    """Bring back what the deploy has touched."""
    books = moment.books
    if moment.spec.branch in (PROXY, REDIS):
        done = components.restart(moment) or bool(moment.failures)
    else:
        done = _exchange(moment)
        if books.own:
            done = in_place.take(moment, is_canary, EVERYBODY) and done
    kept = any(hand.phase == LOST for hand in books.hands.values())
    if done and not moment.is_busy() and not books.pairs and not books.retiring and moment.gives_share_back():
        lost = kept or books.lost or bool(moment.failures)
        why, asked = books.reason, books.asked == ABORT
        if lost:
            moment.end(State.FAILED, f"{why}; not every server could be brought back")
        else:
            moment.end(State.ABORTED if asked else State.ROLLED_BACK, why)
