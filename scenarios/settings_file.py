"""Small YAML or JSON files beside the scenario, a model each: every mistake at its line, in one sentence."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from .input_file import place_of_bad_text
from .problems import Problem, ScenarioError, describe, errors_of
from .units import show
from .yaml_source import Source, read_yaml

SIZE_LIMIT = 2**20

Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(path: Path, model: type[Settings], what: str) -> Settings:
    """The *model* in the file *path*, which should hold *what* (``a profile``). Raises ScenarioError with every mistake."""
    try:
        if path.is_file() and path.stat().st_size > SIZE_LIMIT:
            raise ScenarioError([Problem(str(path), 0, 0, (), "expected a file of at most 1 MiB")])
        content = path.read_bytes()
        text = content.decode("utf-8")
    except OSError as error:
        raise ScenarioError([Problem(str(path), 0, 0, (), f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line, reason = place_of_bad_text(content, error)
        raise ScenarioError([Problem(str(path), line, 1, (), reason)]) from None
    return parse_settings(read_yaml(text, str(path), what), model, what)


def parse_settings(source: Source, model: type[Settings], what: str) -> Settings:
    """The *model* in *source*. Raises ScenarioError with every mistake, in order of lines."""
    if not isinstance(source.data, dict):
        raise ScenarioError([source.problem((), f"expected {what}, a mapping, got {show(source.data)}")])
    problems = [source.problem(path, "expected a value, got nothing") for path in source.empty]
    try:
        found = model.model_validate(source.data)
    except ValidationError as error:
        for item in errors_of(error):
            at = tuple(item["loc"])
            if at in source.empty:
                continue
            unknown = item["type"] == "extra_forbidden"
            problems.append(source.problem(at, describe(item, model, item.get("input")), of_key=unknown))
    if problems:
        raise ScenarioError(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return found
