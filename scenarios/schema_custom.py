"""Custom metrics in the scenario schema: what app servers write besides the four that all have, and what a modelled one writes."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ..core.custom import OWN, CustomMetric
from .schema_base import Model, Name, Number


def _free(name: str) -> str:
    if name in OWN:
        raise ValueError(f"expected another name than {', '.join(OWN)}, got {name!r}")
    return name


CustomName = Annotated[Name, AfterValidator(_free)]


class CustomMetricModel(Model):
    """What a modelled server says: the sum of these, of those that are given; nothing given: no modelled server writes it."""

    base: Number | None = Field(None, description="always so much (all are plain numbers)")
    per_in_flight: Number | None = Field(
        None, description="for each request in flight, queued ones too, when it is sampled"
    )
    per_queued: Number | None = Field(None, description="for each of these that waits for a worker")
    per_request: Number | None = Field(None, description="for each request that came in the second before")

    @property
    def modelled(self) -> bool:
        """Whether a modelled server writes it."""
        return bool(
            self.model_fields_set - {name for name in self.model_fields_set if getattr(self, name) is None}
        )

    def resolve(self, name: str) -> CustomMetric:
        """The engine's."""
        parts = (self.base, self.per_in_flight, self.per_queued, self.per_request)
        return CustomMetric(name, *(part or 0.0 for part in parts))


def custom_names(part: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each custom metric that *part* of a scenario, which is at *path*, names: where, and which."""
    if isinstance(part, list):
        for number, one in enumerate(part):
            yield from custom_names(one, (*path, number))
    if not isinstance(part, Model):
        return
    for name, field in type(part).model_fields.items():
        value, where = getattr(part, name), (*path, field.alias or name)
        if name == "custom" and isinstance(value, str):
            yield where, value
        else:
            yield from custom_names(value, where)
