"""A policy's memory as text, for the registry."""

import json

from .view import NOTHING, Memory


def write_memory(memory: Memory) -> str:
    """JSON, names in order."""
    return json.dumps({name: list(series) for name, series in sorted(memory.items())}, separators=(",", ":"))


def read_memory(text: object) -> Memory:
    """What :func:`write_memory` wrote; nothing from any other text: a policy can begin anew."""
    try:
        found = json.loads(str(text))
    except ValueError:
        return NOTHING
    if not isinstance(found, dict):
        return NOTHING
    series = {name: tuple(values) for name, values in found.items() if isinstance(values, list)}
    whole = all(isinstance(value, (int, float)) for values in series.values() for value in values)
    return series if whole else NOTHING
