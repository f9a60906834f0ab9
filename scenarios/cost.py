"""The cap on cost as a number of instances, and what it must pay for."""

from collections.abc import Iterator
from fractions import Fraction

from .problems import Path
from .schema import Document


def affordable(document: Document) -> int | None:
    """How many instances ``autoscaler.max_cost`` pays for at a time; None: no cap."""
    scaler, price = document.autoscaler, document.fleet.cloud.instance_cost
    if scaler is None or scaler.max_cost is None or price is None:
        return None
    # As they were written: 0.3 pays for three instances at 0.1.
    return min(int(Fraction(repr(scaler.max_cost)) / Fraction(repr(price))), 1_000_000)


def cost_problems(document: Document) -> Iterator[tuple[Path, str]]:
    """A cap without a price, or one that does not pay for what the scenario begins with or must always have."""
    scaler = document.autoscaler
    if scaler is None or scaler.max_cost is None:
        return
    if document.fleet.cloud.instance_cost is None:
        yield ("autoscaler", "max_cost"), "expected fleet.cloud.instance_cost to go with it, got none"
        return
    app = document.fleet.app
    least = max(app.initial, app.min) + app.canaries + app.standby
    most = affordable(document)
    if most is not None and most < least:
        yield (
            ("autoscaler", "max_cost"),
            f"expected at least {least} times fleet.cloud.instance_cost, for so many servers there are at least; it pays for {most}",
        )
