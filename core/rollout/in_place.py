"""Exchanging the version of servers in place: drain → install → health gate → back into the list.

A server is taken in hand only while so many others are available as ``max_unavailable`` wants. One that does not pass its gate fails the deploy; in a rollback, where
there is nothing to fall back to, it is left out of rotation.
"""

from collections.abc import Callable

from .books import DRAINING, INSTALLING, LOST, REGISTERING, Hand
from .commands import BOOTING, FAILED, Drain, Install, Register, Server
from .moment import Moment, is_healthy, name_of


def tend(moment: Moment) -> None:
    """Bring every server in hand on."""
    for address in sorted(moment.books.hands):
        _tend(moment, address)


def _tend(moment: Moment, address: str) -> None:
    hand, server = moment.books.hands[address], moment.find(address)
    if hand.phase == LOST:
        return
    if server is None:
        _give_up(moment, address, "is gone")
        return
    if hand.phase == DRAINING:
        _drain(moment, hand, server)
    if hand.phase == INSTALLING:
        _install(moment, hand, server)
    if hand.phase == REGISTERING:
        _register(moment, hand, server)


def _drain(moment: Moment, hand: Hand, server: Server) -> None:
    untouched = server.version == moment.version or moment.books.stopping
    if untouched and is_healthy(server):
        # What was taken in hand and not exchanged goes back as it is.
        hand.phase = REGISTERING
        return
    if server.listed:
        moment.ask(Drain(server.address))
        if moment.spec.drain > 0:
            return
    if moment.is_drained(server, hand.since):
        hand.phase, hand.since = INSTALLING, moment.now


def _install(moment: Moment, hand: Hand, server: Server) -> None:
    install = Install(server.address, moment.version)
    right = server.version == moment.version
    if install in moment.observed.failed or (right and server.phase == FAILED):
        _give_up(moment, server.address, "could not be installed")
    elif moment.now - hand.since >= moment.spec.deadline:
        _give_up(moment, server.address, "was not healthy in time")
    elif not right:
        if server.listed:
            moment.ask(Drain(server.address))
        moment.ask(install)
    elif moment.is_ready(server):
        hand.phase = REGISTERING


def _register(moment: Moment, hand: Hand, server: Server) -> None:
    if server.listed == hand.home:
        del moment.books.hands[server.address]
    elif not is_healthy(server):
        # It fell ill between its gate and its list.
        hand.phase, hand.since = INSTALLING, moment.now
    else:
        moment.ask(Register(server.address, hand.home))


def _give_up(moment: Moment, address: str, why: str) -> None:
    server = moment.find(address)
    if server is None:
        del moment.books.hands[address]
    else:
        moment.books.hands[address].phase = LOST
        if server.listed:
            moment.ask(Drain(address))
    moment.fail(f"server {name_of(server, address)} {why}")


def take(moment: Moment, homes: Callable[[str], bool], unavailable: int) -> bool:
    """Take in hand what may be; whether there is nothing left to exchange in these lists."""
    hands = moment.books.hands
    group = [one for one in moment.group(homes) if one.listed and not moment.is_held(one)]
    held = sum(1 for hand in hands.values() if homes(hand.home) and hand.phase != LOST)
    standing = [one for one in group if one.phase != FAILED]
    available = sum(map(is_healthy, standing))
    least = len(standing) + held - unavailable
    # Whoever does not answer anyway comes first, and takes nothing from those that do.
    for server in sorted(group, key=is_healthy):
        if not moment.is_wrong(server):
            continue
        if is_healthy(server):
            if available - 1 < least:
                break
            available -= 1
        hands[server.address] = Hand(server.home, DRAINING, moment.now)
        moment.ask(Drain(server.address))
        _tend(moment, server.address)
    return not any(map(moment.is_wrong, group)) and not _is_awaited(moment, homes)


def _is_awaited(moment: Moment, homes: Callable[[str], bool]) -> bool:
    """Whether a server that somebody else launched boots in another version, and will have to be exchanged when it is up."""
    return not moment.reverting and any(
        one.phase == BOOTING and not one.key and moment.is_wrong(one)
        for one in moment.group(homes)
        if not moment.is_held(one)
    )
