"""A first scenario for somebody's own fleet: commented, legal, replayed in seconds, with an objective that does not hold yet."""

import json
import re
from pathlib import Path

from ..core.errors import UsageError
from .yaml_source import read_yaml

TEMPLATE = Path(__file__).parent / "first.yaml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")


def first_scenario(name: str) -> str:
    """The text of a scenario file called *name*. Raises UsageError for a name that would make no good file name."""
    if not _NAME.match(name):
        raise UsageError(
            f"expected a name of at most 100 letters, digits, -, _ and ., such as first, got {name!r:.120}"
        )
    plain = read_yaml(name, name).data == name
    return TEMPLATE.read_text(encoding="utf-8").replace("NAME", name if plain else json.dumps(name))
