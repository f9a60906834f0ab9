"""The invariants' part of the scenario schema: what must hold of a run besides its objectives. What each says stands in core.invariants."""

from pydantic import Field, model_validator

from ..core.invariants import INVARIANTS
from ..core.model import InvariantSpec
from .schema_base import Count, FieldError, Model
from .units import Duration


def _says(name: str) -> str:
    return INVARIANTS[name].meaning


class Invariants(Model):
    """What must hold besides the objectives; one that does not makes the exit code 3. Those that are omitted are not judged."""

    conservation: bool = Field(False, description=_says("conservation"))
    capacity: bool = Field(False, description=_says("capacity"))
    one_autoscaler: bool = Field(False, description=_says("one_autoscaler"))
    load_returns: bool = Field(False, description=_says("load_returns"))
    no_orphans: Duration | None = Field(None, gt=0, description=_says("no_orphans"))
    no_traffic_after_end: Duration | None = Field(None, description=_says("no_traffic_after_end"))
    recovers_within: Duration | None = Field(None, description=_says("recovers_within"))
    most_reversals: Count | None = Field(None, description=_says("most_reversals"))
    shrinks_within: Duration | None = Field(None, description=_says("shrinks_within"))

    @model_validator(mode="after")
    def _some(self) -> "Invariants":
        if not self.names():
            raise FieldError(f"expected an invariant among {', '.join(INVARIANTS)}, got none")
        return self

    def names(self) -> list[str]:
        """Those that are to hold."""
        return [name for name in INVARIANTS if getattr(self, name) not in (None, False)]

    def specs(self) -> tuple[InvariantSpec, ...]:
        """To the engine's values."""
        return tuple(InvariantSpec(name, _bound(getattr(self, name))) for name in self.names())


def _bound(value: bool | int) -> int:
    return 0 if isinstance(value, bool) else value


assert set(Invariants.model_fields) == set(INVARIANTS)
