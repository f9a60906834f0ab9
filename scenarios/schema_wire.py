"""The scenario file's schema: exact bytes on a connection, for what no source of requests says: malformed, ambiguous, slow, broken off, never read."""

import base64
import binascii
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from .schema_base import Model, Positive
from .schema_stage import Stage
from .units import Duration, show

MOST_BYTES = 16 << 20
"""Of a connection."""
Status = Annotated[int, Field(ge=100, le=599)]


class WireStep(Model):
    """Bytes that are sent in one go, and a pause after them."""

    text: str | None = Field(
        None,
        description='the bytes as Latin-1 characters, best in double quotes (`"GET / HTTP/1.1\\r\\n\\r\\n"`, `"\\xff"`); `{authority}` stands for the fleet\'s HOST:PORT',
    )
    base64: str | None = Field(None, description="the bytes in base64 instead")
    repeat: Positive = Field(1, description="so many times over")
    pause: Duration = Field(0, description="wait after them")

    @field_validator("text")
    @classmethod
    def _latin(cls, value: str | None) -> str | None:
        if value is not None and any(ord(character) > 255 for character in value):
            raise ValueError(f"expected characters up to \\xff, each a byte, got {show(value)}")
        return value

    @field_validator("base64")
    @classmethod
    def _decodes(cls, value: str | None) -> str | None:
        try:
            base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"expected base64, got {show(value)}") from None
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.text is None) == (self.base64 is None):
            raise ValueError(
                "expected either text or base64, got " + ("neither" if self.text is None else "both")
            )
        return self

    @property
    def data(self) -> bytes:
        """The bytes."""
        once = (
            base64.b64decode(self.base64) if self.base64 is not None else (self.text or "").encode("latin-1")
        )
        return once * self.repeat


class WireConnection(Model):
    """What is sent over one connection."""

    steps: list[WireStep] = Field(min_length=1, max_length=10_000, description="bytes and pauses, in order")
    end: Literal["wait", "close", "half-close", "reset"] = Field(
        "wait",
        description="after the last pause: wait for answers; close; close the sending side only; reset the connection",
    )
    reads: bool = Field(True, description="false: the answers are never read")
    expect: list[Status] | None = Field(
        None,
        max_length=10_000,
        description="the statuses that are right, in order: then a refusal that is among them is ok, and another answer is none; omitted: an outcome is what it is",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        size = sum(len(step.text or step.base64 or "") * step.repeat for step in self.steps)
        if size > MOST_BYTES:
            raise ValueError(f"expected at most {MOST_BYTES} bytes on a connection, got about {size}")
        return self


class WireTraffic(Model):
    """Exact bytes: connections at given times (`at`) or at a rate (`stages`); where there are several, they take turns."""

    connections: list[WireConnection] = Field(
        min_length=1, max_length=1000, description="what is sent over each"
    )
    at: list[Duration] | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description="when they begin, after the source's start; each time all of them",
    )
    stages: list[Stage] | None = Field(None, min_length=1, description="or the rate at which they begin")

    @model_validator(mode="after")
    def _when(self) -> Self:
        if (self.at is None) == (self.stages is None):
            raise ValueError(
                "expected either at or stages, got " + ("neither" if self.at is None else "both")
            )
        return self
