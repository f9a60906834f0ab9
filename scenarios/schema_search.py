"""The search's part of the scenario schema: what ``windtunnel search`` may vary, and what it is to break. It changes no replay."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..core.faults import FAULTS
from .grids import Ranged, is_range
from .schema_base import FieldError, Model, Name, Positive
from .schema_faults import Role, Type
from .units import Duration, show

_RANGE = "a value, or a range: {min, max[, step]} or {values: [...]}"


class SearchTarget(Model):
    """Whom a fault that is added hits, as in `faults`."""

    role: Role | None = Field(None, description="as in `faults`")
    count: Ranged = Field(None, description=f"so many servers: {_RANGE}; omitted: 1")
    address: Name | None = Field(None, description="as in `faults`")
    name: Name | None = Field(None, description="as in `faults`")


class SearchFault(Model):
    """A kind of fault that the search may add."""

    type: Type = Field(description="type, as in `faults`")
    target: SearchTarget = Field(default_factory=SearchTarget, description="whom")
    at: Ranged = Field(None, description=f"when: {_RANGE}; omitted: at any time of `window`")
    for_: Ranged = Field(None, alias="for", description=f"how long: {_RANGE}; omitted: as `faults.for` says")
    stream: Literal["upstream", "downstream"] | None = Field(None, description="as in `faults`")
    toxicity: Ranged = Field(None, description=f"share of what is hit: {_RANGE}")
    attributes: dict[str, Ranged] = Field({}, description=f"settings of the type, each {_RANGE}")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.for_ is not None and not FAULTS[self.type].lasts:
            raise FieldError(f"expected no for: {self.type} strikes at once", at=("for",))
        return self


class Window(Model):
    """When faults begin."""

    from_: Duration = Field(0, alias="from", description="not before")
    to: Duration | None = Field(None, description="not after; omitted: the end of the run")


class SearchFaults(Model):
    """Faults that the search may add to those of the scenario."""

    most: Positive = Field(1, le=20, description="so many at most")
    window: Window = Field(default_factory=Window, description="when they begin")
    for_: Ranged = Field(
        None,
        alias="for",
        description=f"how long they last, where a type lasts: {_RANGE}; omitted: to the end of the run",
    )
    kinds: list[SearchFault] = Field(min_length=1, max_length=100, description="the kinds")


class Search(Model):
    """What `windtunnel search` may vary, and what it is to break."""

    vary: dict[Name, Ranged] = Field(
        {},
        description="fields by their paths (as in `--set`), and for each a range: {min, max[, step]} or {values: [...]}",
    )
    seeds: Positive = Field(1, description="so many seeds, from the scenario's on")
    faults: SearchFaults | None = Field(None, description="faults to add; omitted: none")
    goals: list[Name] | None = Field(
        None,
        min_length=1,
        description="names of objectives and invariants to break; omitted: all of the scenario's, and what the engine promises",
    )
    budget: Positive = Field(1000, description="experiments at most")

    @field_validator("vary")
    @classmethod
    def _ranges(cls, value: dict[str, Any]) -> dict[str, Any]:
        for path, one in value.items():
            if not is_range(one):
                raise FieldError(
                    f"expected a range {{min, max}} or {{values: [...]}}, got {show(one)}", at=(path,)
                )
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.vary and self.faults is None and self.seeds == 1:
            parts = ("vary", "seeds", "faults")
            message = "expected something to vary: vary, seeds or faults"
            raise FieldError(message, without=tuple((part,) for part in parts))
        return self
