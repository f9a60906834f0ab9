"""Exchanging the version of servers by new instances: launch → health gate → into the list → the old one drained and ended.

Each old server is paired with the one that takes its place, so that whoever scales the fleet meanwhile is not undone: there are as many servers as there were, those that came
later included. At most ``max_surge`` pairs have two instances at a time; a pair's old server goes before its successor is there only while ``max_unavailable`` lets it.
"""

from collections.abc import Callable

from .books import KEY, Pair
from .commands import BOOTING, FAILED, Drain, Launch, Register, Server, Terminate
from .moment import Moment, is_healthy, name_of


def tend(moment: Moment, may_register: Callable[[Pair], bool] = lambda pair: True, keep: int = 0) -> None:
    """Bring every pair on. An old server is ended *keep* ns after it was drained at the earliest, -1: not yet."""
    for pair in list(moment.books.pairs):
        _tend(moment, pair, may_register(pair), keep)


def _tend(moment: Moment, pair: Pair, may_register: bool, keep: int) -> None:
    new, old = moment.find(pair.new), moment.find(pair.old) if pair.old else None
    if pair.old and old is None and not (pair.registered or pair.early):
        # Somebody else has ended it, and did not mean to have another in its place.
        moment.books.pairs.remove(pair)
        moment.books.retiring[pair.new] = -1
        return
    if new is None:
        _await(moment, pair)
    else:
        _admit(moment, pair, new, may_register)
    if pair not in moment.books.pairs:
        return
    if old is not None and (pair.registered or pair.early):
        _retire(moment, pair, old, keep)
    if old is None and pair.registered and not pair.extra:
        moment.books.pairs.remove(pair)


def _await(moment: Moment, pair: Pair) -> None:
    if pair.registered:
        # It has taken its place, and somebody else has ended it since.
        if pair.extra:
            _give_up(moment, pair, "is gone")
    elif pair.seen or not pair.new.startswith(KEY):
        _give_up(moment, pair, "is gone")
    elif moment.now - pair.since >= moment.spec.deadline:
        _give_up(moment, pair, "was not launched in time")
    elif not (moment.reverting and pair.early and moment.find(pair.old) is not None):
        # On the way back what is not wanted goes first.
        moment.ask(Launch(moment.version, pair.home, pair.new))


def _admit(moment: Moment, pair: Pair, new: Server, may_register: bool) -> None:
    pair.seen = True
    if new.listed == pair.home:
        pair.registered = True
    if new.phase == FAILED:
        _give_up(moment, pair, "failed")
    elif not pair.registered and moment.now - pair.since >= moment.spec.deadline and not moment.is_ready(new):
        _give_up(moment, pair, "was not healthy in time")
    elif not pair.registered and may_register and moment.is_ready(new):
        moment.ask(Register(new.address, pair.home))
        moment.joining.add(pair.new)
        old = moment.find(pair.old) if pair.old else None
        if old is not None and old.listed:
            # At once, so that whoever scales the fleet sees neither one too many nor one too few.
            moment.ask(Drain(old.address))


def _give_up(moment: Moment, pair: Pair, why: str) -> None:
    new = moment.find(pair.new)
    moment.fail(f"server {name_of(new, pair.new.removeprefix(KEY))} {why}")
    if moment.reverting or (moment.books.stopping and not pair.registered):
        moment.books.pairs.remove(pair)
        if new is not None:
            moment.books.retiring[pair.new] = -1


def _retire(moment: Moment, pair: Pair, old: Server, keep: int) -> None:
    if old.listed:
        moment.ask(Drain(old.address))
    if pair.drained < 0:
        pair.drained = moment.now
    if (
        keep >= 0
        and moment.now - pair.drained >= keep
        and not old.listed
        and moment.is_drained(old, pair.drained)
    ):
        moment.ask(Terminate(old.address))


def retire(moment: Moment) -> None:
    """Drain and end what is not needed any more."""
    retiring = moment.books.retiring
    for reference in sorted(retiring):
        server = moment.find(reference)
        if server is None:
            del retiring[reference]
            continue
        if retiring[reference] < 0:
            retiring[reference] = moment.now
        if server.listed:
            moment.ask(Drain(server.address))
        elif moment.is_drained(server, retiring[reference]):
            moment.ask(Terminate(server.address))


def open_pairs(moment: Moment, homes: Callable[[str], bool], surge: int, unavailable: int) -> bool:
    """Open the pairs that may be, and let old ones go that may go early; whether there is nothing left to exchange in these lists. *unavailable* -1: none goes early."""
    books = moment.books
    pairs = [pair for pair in books.pairs if homes(pair.home) and not pair.extra]
    group = [one for one in moment.group(homes) if not moment.is_held(one)]
    listed = [one for one in group if one.listed]
    wrong = [one for one in listed if moment.is_wrong(one)]
    double = sum(1 for pair in pairs if pair.old and moment.find(pair.old) is not None)
    available = sum(map(is_healthy, listed)) + sum(_is_served(moment, pair) for pair in pairs)
    least = sum(1 for one in listed if one.phase != FAILED) + len(pairs) - unavailable
    for server in sorted(wrong, key=is_healthy):
        if double >= surge:
            break
        double += 1
        pair = Pair(server.address, books.key(), server.home, moment.now)
        books.pairs.append(pair)
        pairs.append(pair)
        moment.ask(Launch(moment.version, pair.home, pair.new))
    for pair in pairs:
        old = moment.find(pair.old) if pair.old else None
        if unavailable < 0 or pair.early or pair.registered or old is None or not old.listed:
            continue
        if not is_healthy(old) or available - 1 >= least:
            available -= is_healthy(old)
            pair.early = True
    awaited = not moment.reverting and any(
        one.phase == BOOTING and not one.key and moment.is_wrong(one) for one in group
    )
    return not wrong and not pairs and not awaited


def _is_served(moment: Moment, pair: Pair) -> bool:
    """Whether one of the two takes requests, and is to go on doing so."""
    staying = (moment.find(pair.new), None if pair.early else moment.find(pair.old))
    return any(one is not None and one.listed != "" and is_healthy(one) for one in staying)


def turn_round(moment: Moment) -> None:
    """The way back: what was launched goes, what was there stays or, where it is gone, is launched again."""
    books = moment.books
    before, books.pairs = books.pairs, []
    for pair in before:
        old, new = moment.find(pair.old) if pair.old else None, moment.find(pair.new)
        if pair.extra:
            books.retiring[pair.new] = -1
        elif old is not None:
            back = Pair(
                pair.new, pair.old, pair.home, moment.now, seen=True, registered=old.listed == pair.home
            )
            back.early = new is None or not new.listed
            books.pairs.append(back)
        elif new is None or not new.listed:
            # One that is listed has to be exchanged like any other.
            books.pairs.append(Pair(pair.new, books.key(), pair.home, moment.now, early=True))


def inherit(moment: Moment) -> None:
    """Pairs of a deploy before this one: whoever has taken its place stays for now, the other goes, and where there is none any more one is launched."""
    books = moment.books
    before, books.pairs = books.pairs, []
    for pair in before:
        old, new = moment.find(pair.old) if pair.old else None, moment.find(pair.new)
        if not pair.extra and new is not None and new.listed:
            books.retiring.update({pair.old: -1} if old is not None else {})
            continue
        books.retiring[pair.new] = -1
        stays = old is not None and old.listed
        if not (pair.extra or stays) and (old is not None or pair.early or not pair.old):
            books.pairs.append(Pair(pair.old, books.key(), pair.home, moment.now, early=True))


def settle(moment: Moment) -> None:
    """The deploy stops where it is: what has not taken its place does not, and what it was to replace stays."""
    books = moment.books
    for pair in [pair for pair in books.pairs if pair.extra or not pair.registered]:
        books.pairs.remove(pair)
        old = moment.find(pair.old) if pair.old else None
        if old is None:
            books.retiring[pair.new] = -1
        else:
            back = Pair(
                pair.new,
                pair.old,
                pair.home,
                moment.now,
                seen=True,
                registered=old.listed == pair.home,
                early=True,
            )
            books.pairs.append(back)
