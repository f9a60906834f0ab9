"""What EC2 Auto Scaling's policies share: who is warming up, a decision that stands until the next period, and silence, which is no vote."""

from collections.abc import Mapping
from dataclasses import replace

from .view import FleetView, Memory, Proposal, ServerView

_STANDING = "standing"


def warm(view: FleetView, warmup: int) -> tuple[ServerView, ...]:
    """The servers that have been ready for *warmup* (ns), or since before anybody looked."""
    return tuple(s for s in view.servers if s.since < 0 or view.now - s.since >= warmup)


def warming(view: FleetView, warmup: int) -> int:
    """How many instances boot or warm up."""
    return view.size - len(warm(view, warmup))


def decided(
    view: FleetView, memory: Memory, desired: int, reason: str, figures: Mapping[str, float], *, blind: bool
) -> Proposal:
    """A decision made as a period closed. It stands until the next one closes, so that other policies can agree with it. One server always stays: none has metrics."""
    kept = {**memory, _STANDING: (max(desired, 1),)} if desired != view.size else without_standing(memory)
    return Proposal(max(desired, 1), reason, kept, figures, blind)


def standing(view: FleetView, memory: Memory, *, hold: bool, blind: bool) -> Proposal:
    """Between two decisions: the last one, but no scale-in while *hold*; and one server where there is none."""
    if not view.size:
        return Proposal(1, "no servers", memory, blind=blind)
    (desired,) = memory.get(_STANDING, (view.size,))
    if desired == view.size or (desired < view.size and hold):
        return Proposal(view.size, "waiting", memory, blind=blind)
    return Proposal(int(desired), "as decided", memory, blind=blind)


def without_standing(memory: Memory) -> Memory:
    """When nothing is decided."""
    return {name: series for name, series in memory.items() if name != _STANDING}


def asking(view: FleetView, proposal: Proposal) -> Proposal:
    """*proposal*, an abstention if it asks for no change: beside others such a policy has no say ("Multiple scaling policies" in the EC2 Auto Scaling user guide)."""
    return replace(proposal, abstains=proposal.desired == view.size)
