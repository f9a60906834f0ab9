"""The pipeline, ``pipeline.yaml`` at a project's root: the one definition that the embedded build server follows and the Jenkinsfile is made of.

A stage's steps are shell scripts; each runs by ``/bin/sh -xe`` at the root of a clean checkout, as Jenkins' step ``sh`` does, and a status that is not 0 ends the stage and the build.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from ....scenarios.schema_base import FieldError, Model
from ....scenarios.settings_file import parse_settings, read_settings
from ....scenarios.units import Duration, show
from ....scenarios.yaml_source import read_yaml

FILE = "pipeline.yaml"
MINUTE = 60_000_000_000
_NAME = re.compile(r"[a-z][a-z0-9 _-]{0,39}")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_GLOB = re.compile(r"[A-Za-z0-9._*-]+(/[A-Za-z0-9._*-]+)*")


def _is(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"expected {what}, got {show(text)}")
        return text

    return AfterValidator(check)


def _script(text: str) -> str:
    if not text.strip():
        raise ValueError("expected a shell script, got nothing")
    if any(not (c.isprintable() or c == "\n") or ord(c) > 126 for c in text):
        raise ValueError(f"expected a shell script of printable ASCII and line ends, got {show(text)}")
    return text.strip("\n")


def _inside(text: str) -> str:
    if ".." in text.split("/"):
        raise ValueError(f"expected a pattern inside the checkout, got {show(text)}")
    return text


Name = Annotated[str, _is(_NAME, "a name of small letters, digits, spaces, - and _")]
Branch = Annotated[str, _is(_BRANCH, "a branch of letters, digits, ., - and _")]
Variable = Annotated[str, _is(_VARIABLE, "a variable such as REDIS_PASSWORD")]
Script = Annotated[str, AfterValidator(_script)]
Glob = Annotated[str, _is(_GLOB, "a pattern such as runs/**"), AfterValidator(_inside)]


class Secret(Model):
    """A secret that steps may ask for: a text, or a file whose path the variable holds."""

    credential: Annotated[str, _is(_CREDENTIAL, "the id of a Jenkins credential")]
    kind: Literal["text", "file"] = "text"


class Stage(Model):
    """A stage. *checkout* takes the place of steps in the first one. *branches*: only for these; omitted: for all. *roll_back*: if it does not succeed, the pipeline's way back is taken."""

    stage: Name
    checkout: bool = False
    branches: Annotated[list[Branch], Field(min_length=1)] | None = None
    timeout: Duration = Field(10 * MINUTE, gt=0)
    secrets: list[Variable] = Field(default_factory=list)
    steps: list[Script] = Field(default_factory=list)
    roll_back: bool = False


class Publish(Model):
    """What outlives a build, also one that failed: JUnit files and other artefacts, by patterns relative to the checkout."""

    junit: list[Glob] = Field(default_factory=list)
    artifacts: list[Glob] = Field(default_factory=list)


class RollBack(Model):
    """The way back, taken when a stage with ``roll_back`` did not succeed. It gets the secrets of that stage, and a time of its own."""

    timeout: Duration = Field(10 * MINUTE, gt=0)
    steps: Annotated[list[Script], Field(min_length=1)]


class Pipeline(Model):
    """A pipeline. *branches* says which role a push to a branch deploys; *environment* is what every step sees besides the build's own variables."""

    pipeline: Name
    branches: Annotated[dict[Branch, Name], Field(min_length=1)]
    timeout: Duration = Field(120 * MINUTE, gt=0)
    keep: Annotated[int, Field(ge=1, le=10_000)] = 50
    environment: dict[Variable, Annotated[str, AfterValidator(_script)]] = Field(default_factory=dict)
    secrets: dict[Variable, Secret] = Field(default_factory=dict)
    stages: Annotated[list[Stage], Field(min_length=1)]
    roll_back: RollBack | None = None
    publish: Publish = Publish()

    @field_validator("environment")
    @classmethod
    def _plain(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if "\n" in text:
                raise ValueError(f"expected one line for {name}, got {show(text)}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [one.stage for one in self.stages]
        for place, one in enumerate(self.stages):
            at = ("stages", place)
            if names.index(one.stage) != place:
                raise FieldError(f"expected a name of its own, got {show(one.stage)} again", (*at, "stage"))
            if one.checkout != (place == 0):
                raise FieldError(
                    "expected checkout: true in the first stage, and in no other", (*at, "checkout")
                )
            if one.checkout == bool(one.steps):
                raise FieldError("expected steps, or checkout: true without any", (*at, "steps"))
            for number, secret in enumerate(one.secrets):
                if secret not in self.secrets:
                    raise FieldError(f"no secret {show(secret)} in secrets", (*at, "secrets", number))
            for number, branch in enumerate(one.branches or ()):
                if branch not in self.branches:
                    raise FieldError(f"no branch {show(branch)} in branches", (*at, "branches", number))
            if one.roll_back and self.roll_back is None:
                raise FieldError("expected roll_back, with steps, in the pipeline too", (*at, "roll_back"))
        return self

    def stages_of(self, branch: str) -> list[Stage]:
        """The stages that a build of *branch* goes through."""
        return [one for one in self.stages if one.branches is None or branch in one.branches]


def read_pipeline(path: Path) -> Pipeline:
    """The pipeline in the file *path*. Raises ScenarioError with every mistake at its line."""
    return read_settings(path, Pipeline, "a pipeline")


def parse_pipeline(text: str, name: str = FILE) -> Pipeline:
    """The pipeline in *text*, which came from *name*. Raises ScenarioError with every mistake at its line."""
    return parse_settings(read_yaml(text, name, "a pipeline"), Pipeline, "a pipeline")
