"""Views of a fleet whose servers' samples are given."""

from windtunnel.core.model import SECOND
from windtunnel.core.policies.view import FleetView, ServerView


def view(*loads: tuple[float, float] | None, booting: int = 0, standby: int = 0) -> FleetView:
    """Servers with (requests, memory), None for unknown."""
    return FleetView(
        100 * SECOND,
        tuple(
            ServerView(f"s{n}", None if load is None else {"requests": load[0], "memory": load[1]})
            for n, load in enumerate(loads)
        ),
        (90 * SECOND,) * booting,
        standby,
    )
