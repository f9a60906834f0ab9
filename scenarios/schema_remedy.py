"""The remedy against low memory in the scenario schema."""

from typing import Self

from pydantic import Field, model_validator

from ..core import remedy as core
from ..core.model import SECOND
from .schema_base import FieldError, Model, Word
from .units import Duration, Share


class RemedyEffect(Model):
    """What a remedy is taken to do to a modelled server: exactly one of restart and free."""

    restart: Duration | None = Field(
        None,
        description="its process ends with all that it has in flight, and serves again after this time, with nothing leaked",
    )
    free: Share | None = Field(None, gt=0, description="so much of what was leaked is given back")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.restart is None) == (self.free is None):
            given = "neither" if self.restart is None else "both"
            raise FieldError(
                f"expected either restart or free, got {given}", without=(("restart",), ("free",))
            )
        return self

    def resolve(self) -> core.Effect:
        """The engine's."""
        if self.restart is not None:
            return core.Restart(self.restart)
        assert self.free is not None
        return core.Free(self.free)


class OnLowMemory(Model):
    """A remedy: a program that an app server runs, beside itself, when its memory is nearly used up."""

    command: list[Word] = Field(
        min_length=1,
        max_length=1000,
        description="the program and its arguments, in flight only; no shell reads them. `{host}`, `{port}` and `{pid}` (of the app server, or of your own program) are filled in",
    )
    above: Share = Field(
        0.9, description="it is run when a sample of the server's memory is strictly above this"
    )
    clear: Share | None = Field(
        None,
        description="after one that succeeded it is not run again before a sample is at or below this; omitted: as `above`",
    )
    timeout: Duration = Field(
        10 * SECOND, gt=0, description="it is killed, with all that it started, after this"
    )
    cooldown: Duration = Field(60 * SECOND, description="from the end of one to the next")
    takes: Duration = Field(0, description="how long it takes in a rehearsal, where it always succeeds")
    effect: RemedyEffect | None = Field(
        None,
        description="what it is taken to do to a modelled server when it has succeeded, in a rehearsal and to the app servers of a flight that are not a program of your own; omitted: nothing",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.clear is not None and self.clear > self.above:
            raise FieldError("expected clear not above `above`", ("clear",))
        if self.takes > self.timeout:
            raise FieldError("expected it to take no longer than its timeout", ("takes",))
        return self

    def resolve(self) -> core.RemedySpec:
        """The engine's."""
        return core.RemedySpec(
            command=tuple(self.command),
            above=self.above,
            clear=self.above if self.clear is None else self.clear,
            timeout=self.timeout,
            cooldown=self.cooldown,
            takes=self.takes,
            effect=None if self.effect is None else self.effect.resolve(),
        )
