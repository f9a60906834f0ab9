"""The threshold policy's part of the scenario schema."""

from typing import Self

from pydantic import Field, model_validator

from ..core import policies as core
from ..core.policies.threshold import OFF
from .schema_base import FieldError, Model
from .units import Rate, Share, format_rate


class ThresholdFaults(Model):
    """Well-known faults of the simple rule, to demonstrate what each does."""

    in_on_either: bool = Field(
        False, description="a server is idle when either signal is at or below its low mark, not only when both are"
    )  # fmt: skip
    last_server_decides: bool = Field(
        False, description="the last server of the list (in order of addresses) alone decides on scale-in: the others may be as busy as can be"
    )  # fmt: skip
    counters_never_reset: bool = Field(
        False,
        description="nobody resets a server's request counter: it stands at the most there ever was, and the last sample of a server "
        "that has fallen silent is read again and again",
    )
    no_cooldown: bool = Field(
        False, description="neither `cooldown` nor a server that still boots delays the next action"
    )
    no_maximum: bool = Field(
        False, description="`fleet.app.max` is not looked at"
    )  # fmt: skip
    two_launches: bool = Field(
        False, description="two loops see a busy server, and each adds one: two launches at once"
    )

    def resolve(self) -> core.ThresholdFaults:
        """The engine's switches."""
        return core.ThresholdFaults(**self.model_dump())


class ThresholdPolicy(Model):
    """The simple rule: one more when any server is too busy, one fewer when all are idle enough, one action at a time."""

    requests_high: Rate | None = Field(
        None, description="any server at or above adds one; omitted: not looked at"
    )
    requests_low: Rate | None = Field(
        None, description="all servers at or below (and at or below memory_low) remove one"
    )
    memory_high: Share | None = Field(None, description="any server at or above adds one")
    memory_low: Share | None = Field(None, description="see requests_low")
    standby_above: Rate | None = Field(
        None,
        description="a standby server is promoted when any server is above, also while another boots; what is merely too busy launches. "
        "Omitted: standby servers are promoted before any is launched",
    )
    faults: ThresholdFaults | None = Field(None, description="faults of the rule that are switched on")

    @model_validator(mode="after")
    def _looks_at_something(self) -> Self:
        if self.requests_high is None and self.memory_high is None:
            raise FieldError(
                "expected requests_high or memory_high, got neither",
                without=(("requests_high",), ("memory_high",)),
            )
        high, standby = self.requests_high, self.standby_above
        if high is not None and standby is not None and standby < high:
            raise FieldError(
                f"expected no less than requests_high ({format_rate(high)}), got {format_rate(standby)}",
                ("standby_above",),
            )
        return self

    def resolve(self) -> core.Threshold:
        """The engine's policy."""
        return core.Threshold(
            requests_high=_mark(self.requests_high),
            requests_low=_mark(self.requests_low),
            memory_high=_mark(self.memory_high),
            memory_low=_mark(self.memory_low),
            standby_above=_mark(self.standby_above),
            faults=self.faults.resolve() if self.faults else core.ThresholdFaults(),
        )


def _mark(value: float | None) -> float:
    return OFF if value is None else value
