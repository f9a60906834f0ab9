"""A backtest in words and as data."""

from dataclasses import asdict, dataclass
from typing import Any

from ..core.backtest import Backtest, Judged
from .wording import duration, moment, plural

HEADER = ("time", "recorded", "asked of that fleet", "its own fleet")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Turns in a row at which both policies say the same as before."""

    first: Judged
    last: Judged


def rows(found: Backtest) -> list[tuple[str, str, str, str]]:
    """The turns at which decisions or fleets differ, those in a row with the same sizes as one."""
    return [
        (
            _when(one),
            _decided(one.first.size, one.first.desired, one.first.reason),
            _decided(one.first.size, one.first.asked, one.first.asked_reason),
            _own(one.first, found),
        )
        for one in _stretches(found)
    ]


def _stretches(found: Backtest) -> list[_Stretch]:
    stretches: list[_Stretch] = []
    follows = False
    for turn in found.turns:
        known = turn.own >= 0 and 0 <= found.parts <= turn.time
        differs = turn.asked != turn.desired or (
            known and (turn.own, turn.own_size) != (turn.desired, turn.size)
        )
        if differs and follows and _sizes(stretches[-1].first) == _sizes(turn):
            stretches[-1] = _Stretch(stretches[-1].first, turn)
        elif differs:
            stretches.append(_Stretch(turn, turn))
        follows = differs
    return stretches


def _sizes(turn: Judged) -> tuple[int, ...]:
    return (turn.size, turn.desired, turn.asked, turn.own_size, turn.own)


def _when(one: _Stretch) -> str:
    first, last = moment(one.first.time), moment(one.last.time)
    return first if first == last else f"{first} to {last}"


def _decided(size: int, desired: int, reason: str) -> str:
    return f"{size} to {desired} ({reason})" if desired != size else f"{size} ({reason})"


def _own(turn: Judged, found: Backtest) -> str:
    if turn.own < 0:
        return "nobody can tell"
    text = _decided(turn.own_size, turn.own, turn.own_reason)
    return f"about {text}" if found.parts < turn.time else text


def sentences(found: Backtest) -> list[str]:
    """What is certain, what is an estimate, and from when on the recording cannot tell."""
    count, last = len(found.turns), found.turns[-1]
    if found.parts < 0:
        return [
            f"Certain: to {moment(last.time)}, in all of {plural(count, 'turn')}, the other policy has the recorded fleet."
        ]
    parting = next(turn for turn in found.turns if turn.time == found.parts)
    text = [
        f"Certain: to {moment(found.parts)} the other policy has the recorded fleet. Then it decides on {parting.own} "
        f"({parting.own_reason}), the recorded policy on {parting.desired} ({parting.reason}).",
        "From there on the recorded loads are those of a fleet that it does not have.",
    ]
    if found.ends < 0 or found.ends > _next(found):
        until = found.ends if found.ends >= 0 else last.time
        text.append(
            f"Estimate: to {moment(until)}, as if the recorded requests and CPU time were spread over its own servers, which boot in "
            f"{duration(found.boot)} ({_boots(found.boots)})."
        )
    if found.ends >= 0:
        text.append(f"From {moment(found.ends)} on nobody can tell: {found.why}.")
    text.append(
        f"Asked of the recorded fleet, it decides another size at {found.otherwise:,} of {plural(count, 'turn')}."
    )
    return text


def _next(found: Backtest) -> int:
    """The first turn after the parting."""
    return next((turn.time for turn in found.turns if turn.time > found.parts), found.parts)


def _boots(count: int) -> str:
    return (
        f"the median of {plural(count, 'recorded boot')}"
        if count
        else "the scenario's mean: no boot is recorded"
    )


def as_data(found: Backtest) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "parts_ns": found.parts,
        "ends_ns": found.ends,
        "why": found.why,
        "boot_ns": found.boot,
        "boots": found.boots,
        "otherwise": found.otherwise,
        "turns": [asdict(turn) for turn in found.turns],
    }
