"""What the autoscaler's limits make of a policy's proposal: bounds, the cap on cost, the cooldown, the wait after the cloud's refusals."""

from .model import NONE, AutoscalerSpec
from .policies.view import FleetView, Proposal

MINIMUM, MAXIMUM, COST, COOLDOWN, BACKOFF = "minimum", "maximum", "cost", "cooldown", "backoff"
"""What may make something else of a proposal."""

BACKING_OFF = "backing off"
"""The reason of a decision that wants launches and waits with them."""

HINDRANCES = frozenset({"at maximum", "at cost cap", BACKING_OFF, "unknown", "no servers"})
"""Reasons that keep a fleet from growing."""

_NAMES = {MINIMUM: "minimum", MAXIMUM: "maximum", COST: "cost cap"}


def limited(spec: AutoscalerSpec, view: FleetView, proposal: Proposal) -> tuple[int, str, tuple[str, ...]]:
    """What the limits make of *proposal*: the size to have, why, and which of them changed it.

    Bounds come first (a fleet outside them is corrected at once), then the cooldown, then the wait after a refusal, which holds back launches and nothing else.
    """
    desired, reason, limits = _cooled(spec, view, proposal)
    without_launch = view.size + (view.standby if proposal.promotes else 0)
    if desired <= without_launch or view.now >= view.launch_after:
        return desired, reason, limits
    promotes = without_launch > view.size
    return without_launch, reason if promotes else BACKING_OFF, (*limits, BACKOFF)


def _cooled(spec: AutoscalerSpec, view: FleetView, proposal: Proposal) -> tuple[int, str, tuple[str, ...]]:
    maximum = NONE if MAXIMUM in proposal.waives else spec.maximum
    upper, above = _upper(spec, view, proposal, maximum)
    desired = max(proposal.desired, spec.minimum, 0)
    desired = desired if upper < 0 else min(desired, upper)
    bound = above if desired < max(proposal.desired, spec.minimum, 0) else MINIMUM
    limits = () if desired == proposal.desired else (bound,)
    if view.size < spec.minimum and desired > view.size:
        return desired, "below minimum", limits
    if 0 <= upper < view.size:
        return upper, f"above {_NAMES[above]}", () if proposal.desired == upper else (above,)
    if desired == view.size:
        return desired, f"at {_NAMES[bound]}" if limits else proposal.reason, limits
    cooldown = 0 if COOLDOWN in proposal.waives else spec.cooldown
    if view.last_action >= 0 and view.now - view.last_action < cooldown:
        return view.size, "cooldown", (*limits, COOLDOWN)
    return desired, proposal.reason, limits


def _upper(spec: AutoscalerSpec, view: FleetView, proposal: Proposal, maximum: int) -> tuple[int, str]:
    """The tighter of maximum and cap on cost (NONE: neither), and which it is.

    What drains is still paid for and leaves less room for launches; but it does not make the fleet any smaller, for its own end will do. A standby server that
    can be promoted is paid for already.
    """
    if spec.affordable < 0:
        return maximum, MAXIMUM
    besides = view.others - (view.standby if proposal.promotes else 0)
    now = spec.affordable - besides
    later = now + view.draining
    payable = max(min(later, max(now, view.size)), 0)
    return (payable, COST) if maximum < 0 or payable < maximum else (maximum, MAXIMUM)
