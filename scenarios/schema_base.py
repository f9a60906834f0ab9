"""What all parts of the scenario schema share: strict models, distributions, small value types."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from ..core import distributions as core
from .units import Duration, Rate, Size, format_rate, format_size, parse_rate, parse_size, show


class Model(BaseModel):
    """A part of a scenario: unknown keys are errors, nothing is coerced, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class FieldError(ValueError):
    """A mistake that a mapping as a whole shows and a field of it bears: *at* is that field's path from the mapping.

    *without* are paths of what is missed: a complaint about them is none where they were written, but wrong.
    """

    def __init__(
        self, message: str, at: tuple[str | int, ...] = (), without: tuple[tuple[str, ...], ...] = ()
    ) -> None:
        super().__init__(message)
        self.at = at
        self.without = without


Count = Annotated[int, Field(ge=0, le=1_000_000)]
Positive = Annotated[int, Field(ge=1, le=1_000_000)]


def _text(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("expected a name, got nothing")
    if isinstance(value, str) and not value.isprintable():
        raise ValueError(f"expected text without control characters, got {show(value)}")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, got {show(value)}")
    return float(value)


Number = Annotated[float, BeforeValidator(_number)]
Name = Annotated[str, BeforeValidator(_text), Field(max_length=200)]
Word = Annotated[str, BeforeValidator(_text), Field(max_length=4096)]
"""Of a command line."""


class Exponential(Model):
    """Exponential: memoryless."""

    mean: Duration = Field(description="mean")


class Lognormal(Model):
    """Lognormal: the usual shape of service and boot times."""

    mean: Duration = Field(description="mean")
    cv: Annotated[Number, Field(ge=0, le=100)] = Field(
        description="coefficient of variation: standard deviation / mean (a plain number)"
    )


class Uniform(Model):
    """Uniform between two durations."""

    min: Duration = Field(description="least")
    max: Duration = Field(description="greatest")


class Pareto(Model):
    """Pareto: heavy-tailed."""

    mean: Duration = Field(description="mean")
    shape: Annotated[Number, Field(gt=1, le=1000)] = Field(
        description="shape alpha, above 1 (a plain number; below 2 the variance is infinite)"
    )


class Distribution(Model):
    """A distribution of durations: exactly one of its fields."""

    constant: Duration | None = Field(None, description="always this long")
    exponential: Exponential | None = Field(None, description="exponential")
    lognormal: Lognormal | None = Field(None, description="lognormal")
    uniform: Uniform | None = Field(None, description="uniform")
    pareto: Pareto | None = Field(None, description="Pareto")

    @model_validator(mode="before")
    @classmethod
    def _no_bare_duration(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, (dict, Distribution)):
            raise ValueError(
                f"expected a distribution such as {{constant: 5ms}} or {{exponential: {{mean: 5ms}}}}, got {show(value)}"
            )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> "Distribution":
        given = sorted(self.model_fields_set)
        if len(given) == 1 and getattr(self, given[0]) is None:
            raise ValueError(f"expected a value for {given[0]}, got nothing")
        if len(given) != 1:
            names = ", ".join(type(self).model_fields)
            raise ValueError(f"expected exactly one of {names}, got {' and '.join(given) or 'none'}")
        if self.uniform and self.uniform.min > self.uniform.max:
            raise ValueError("expected uniform.min not above uniform.max")
        return self

    def resolve(self) -> core.Distribution:
        """The engine's distribution, in nanoseconds."""
        if self.exponential:
            return core.exponential(self.exponential.mean)
        if self.lognormal:
            return core.lognormal(self.lognormal.mean, self.lognormal.cv)
        if self.uniform:
            return core.uniform_between(self.uniform.min, self.uniform.max)
        if self.pareto:
            return core.pareto(self.pareto.mean, self.pareto.shape)
        return core.constant(self.constant or 0)


class UniformSize(Model):
    """Uniform between two sizes."""

    min: Size = Field(description="least")
    max: Size = Field(description="greatest")


class LognormalSize(Model):
    """Lognormal: the usual shape of sizes."""

    mean: Size = Field(gt=0, description="mean")
    cv: Annotated[Number, Field(ge=0, le=100)] = Field(
        description="coefficient of variation: standard deviation / mean (a plain number)"
    )


class SizeDistribution(Model):
    """A constant size (``4KiB``), or one drawn for each request."""

    constant: Size | None = Field(None, description="this size; written without the key: `body: 4KiB`")
    uniform: UniformSize | None = Field(None, description="uniform")
    lognormal: LognormalSize | None = Field(None, description="lognormal")

    @model_validator(mode="wrap")
    @classmethod
    def _plain_size(
        cls, value: Any, handler: ModelWrapValidatorHandler["SizeDistribution"]
    ) -> "SizeDistribution":
        if isinstance(value, SizeDistribution):
            return value
        if not isinstance(value, dict):
            parse_size(value)
            return handler({"constant": value})
        made = handler(value)
        given = sorted(made.model_fields_set)
        if len(given) != 1:
            names = ", ".join(cls.model_fields)
            raise ValueError(f"expected exactly one of {names}, got {' and '.join(given) or 'none'}")
        if made.uniform and made.uniform.min > made.uniform.max:
            raise ValueError("expected uniform.min not above uniform.max")
        return made

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(self) if self.constant is None else format_size(self.constant)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        return {"anyOf": [TypeAdapter(Size).json_schema(), handler(core_schema)]}

    def resolve(self) -> core.Distribution:
        """The engine's distribution, in bytes."""
        if self.uniform:
            return core.uniform_between(self.uniform.min, self.uniform.max)
        if self.lognormal:
            return core.lognormal(self.lognormal.mean, self.lognormal.cv)
        return core.constant(self.constant or 0)


class RateRange(Model):
    """A range of rates."""

    min: Rate = Field(description="least")
    max: Rate = Field(description="greatest")


class StageRate(Model):
    """A constant rate (``20/s``), or one drawn anew from a range at regular times."""

    constant: Rate | None = Field(None, description="this rate; written without the key: `rate: 20/s`")
    uniform: RateRange | None = Field(None, description="a rate drawn uniformly from the range")
    every: Duration = Field(1_000_000_000, description="how often a new rate is drawn")

    @model_validator(mode="wrap")
    @classmethod
    def _plain_rate(cls, value: Any, handler: ModelWrapValidatorHandler["StageRate"]) -> "StageRate":
        if isinstance(value, StageRate):
            return value
        if not isinstance(value, dict):
            parse_rate(value)
            return handler({"constant": value})
        made = handler(value)
        if (made.constant is None) == (made.uniform is None):
            raise ValueError(f"expected a rate such as 20/s or uniform: {{min, max}}, got {show(value)}")
        if made.uniform and made.uniform.min > made.uniform.max:
            raise ValueError("expected uniform.min not above uniform.max")
        if made.every <= 0:
            raise ValueError("expected a positive duration for every, got 0")
        return made

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(self) if self.constant is None else format_rate(self.constant)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        return {"anyOf": [TypeAdapter(Rate).json_schema(), handler(core_schema)]}
