"""``windtunnel import-policy``: files of Kubernetes or EC2 Auto Scaling become the sections ``fleet`` and ``autoscaler`` of a scenario, in text."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .import_alarms import Alarms
from .import_asg import ALARMS, GROUPS, POLICIES, import_asg
from .import_hpa import KIND, choose, import_hpa
from .import_metrics import Meanings
from .import_part import Part
from .input_file import place_of_bad_text
from .problems import Problem, ScenarioError
from .scenario import Scenario
from .units import show
from .yaml_source import Source, read_yaml_documents

SIZE_LIMIT = 4 * 2**20
_OUTPUTS = (POLICIES, GROUPS, ALARMS)
_WHAT = f"a {KIND}, or the output of aws autoscaling describe-policies"
_WIDTH, _SHORT = 120, 80


@dataclass(frozen=True, slots=True)
class Imported:
    """The sections as YAML, and what was not carried over or only otherwise, each with its place in the source."""

    text: str
    notes: tuple[Problem, ...]


def import_policy(files: Sequence[Path], meanings: Meanings, name: str | None = None) -> Imported:
    """What the scaling policies in *files* are here; of several objects or groups those called *name*. Raises ScenarioError."""
    notes: list[Problem] = []
    parts = [part for path in files for part in _documents(path, notes)]
    hpas = [part for part in parts if part.data.get("kind") == KIND]
    outputs = [part for part in parts if any(key in part.data for key in _OUTPUTS)]
    for part in parts:
        if not any(part is one for one in (*hpas, *outputs)):
            _note_other(part)
    first = str(files[0])
    if hpas and outputs:
        raise ScenarioError([Problem(first, 0, 0, (), "expected the files of one autoscaler, got Kubernetes' and EC2's")])  # fmt: skip
    if hpas:
        chosen = choose(hpas, name, [])
        settings, title = import_hpa(chosen, meanings), f"{KIND} {_called(chosen)}"
    elif any(POLICIES in part.data for part in outputs):
        group, settings = _import_outputs(outputs, meanings, name, notes)
        title = f"Auto Scaling group {group}"
    else:
        raise ScenarioError([*notes, Problem(first, 0, 0, (), f"expected {_WHAT}, got neither")])
    text = _text(settings, notes, files, title)
    _check(text, first)
    return Imported(text, tuple(notes))


def _check(text: str, name: str) -> None:
    """What is printed must be what a scenario takes. Raises ScenarioError, with the place in the scenario."""
    try:
        Scenario.parse(f"scenario: imported\nduration: 1m\n{text}")
    except ScenarioError as error:
        raise ScenarioError(
            [Problem(f"{name}, as imported", 0, 0, one.path, one.message) for one in error.problems]
        ) from None


def _documents(path: Path, notes: list[Problem]) -> list[Part]:
    """The objects in a file: its documents, and the items of those that are lists."""
    content = _content(path)
    if content.lstrip()[:1] in ("{", "["):
        sources = [_read_json(content, str(path))]
    else:
        sources = read_yaml_documents(content, str(path), _WHAT)
    parts = []
    for source in sources:
        whole = Part.of(source, notes)
        is_list = str(whole.data.get("kind", "")).endswith("List") and whole.has("items")
        parts += whole.parts("items") if is_list else [whole]
    return parts


def _content(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size > SIZE_LIMIT:
            raise ScenarioError([Problem(str(path), 0, 0, (), "expected a file of at most 4 MiB")])
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise ScenarioError([Problem(str(path), 0, 0, (), f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line, reason = place_of_bad_text(content, error)
        raise ScenarioError([Problem(str(path), line, 1, (), reason)]) from None


def _read_json(text: str, name: str) -> Source:
    def refuse(word: str) -> Any:
        raise ScenarioError([Problem(name, 0, 0, (), f"expected plain JSON, got the number {word}")])

    try:
        return Source(name, json.loads(text, parse_constant=refuse))
    except json.JSONDecodeError as error:
        if name.endswith(".json"):
            raise ScenarioError([Problem(name, error.lineno, error.colno, (), f"not valid JSON: {error.msg}")]) from None  # fmt: skip
        # A mapping of YAML may begin with a brace too.
        return read_yaml_documents(text, name, _WHAT)[0]
    except (RecursionError, ValueError):
        raise ScenarioError([Problem(name, 0, 0, (), "expected JSON of this world: it is nested too deeply or has a number too long")]) from None  # fmt: skip


_OTHERS = {
    "LifecycleHooks": "launches and terminations wait for nothing here; see fleet.app.boot_time and autoscaler.drain_timeout",
    "ScheduledUpdateGroupActions": "the policy scheduled does the same; combine it with what is imported",
    "ScaledObject": "the policies queue and scheduled do what KEDA's triggers do",
    "VerticalPodAutoscaler": "servers here keep the size that fleet.app says",
}
"""What scales too, by its kind or its output's key, and what there is here for it."""


def _note_other(part: Part) -> None:
    found = [said for key, said in _OTHERS.items() if key in part.data or part.data.get("kind") == key]
    said = (
        f"not carried over: {found[0]}"
        if found
        else f"not looked at: it is no {KIND}, and no output that is read"
    )
    part.note("", f"{_called(part)}: {said}")


def _called(part: Part) -> str:
    """A word for an object: its kind (of others) and its name."""
    metadata = part.data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = part.data.get("kind")
    if kind == KIND:
        return str(name or "(no name)")
    return f"{kind} {name}" if isinstance(kind, str) and isinstance(name, str) else "a mapping with " + (", ".join(list(part.data)[:3]) or "no key")  # fmt: skip


def _import_outputs(
    outputs: list[Part], meanings: Meanings, name: str | None, notes: list[Problem]
) -> tuple[str, dict[str, Any]]:
    alarms = Alarms()
    policies: list[Part] = []
    groups: list[Part] = []
    for output in outputs:
        policies += output.parts(POLICIES)
        groups += output.parts(GROUPS)
        alarms.add(output)
        if output.has("NextToken"):
            output.note("NextToken", "the output is cut off: what comes after it is not known")
            output.known("NextToken")
        output.rest()
    owners = [
        policy.text("AutoScalingGroupName") or policy.required("AutoScalingGroupName") for policy in policies
    ]
    known = sorted(set(owners))
    chosen = name if name is not None else known[0] if len(known) == 1 else ""
    if chosen not in known:
        source = next(part.source for part in outputs if POLICIES in part.data)
        wanted = f"policies of {show(name)}" if name else "policies of one group, or --name with one of them"
        raise ScenarioError([*notes, source.problem((POLICIES,), f"expected {wanted}, got {', '.join(known) or 'none'}")])  # fmt: skip
    mine = [policy for policy, owner in zip(policies, owners, strict=True) if owner == chosen]
    group = next((one for one in groups if one.text("AutoScalingGroupName") == chosen), None)
    return chosen, import_asg(mine, group, alarms, meanings, chosen)


class _Flow(dict[str, Any]):
    """A mapping that is written in one line."""


class _Dumper(yaml.SafeDumper):
    """YAML with lists inside their keys."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """See PyYAML; a list is indented below its key."""
        super().increase_indent(flow, False)


_Dumper.add_representer(
    _Flow,
    lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True),
)


def _flowing(value: Any) -> Any:
    """*value* with what is small and plain in one line."""
    if isinstance(value, list):
        return [_flowing(one) for one in value]
    if not isinstance(value, dict):
        return value
    plain = not any(isinstance(one, (dict, list)) for one in value.values())
    short = plain and sum(len(f"{key}: {one}, ") for key, one in value.items()) <= _SHORT
    return _Flow(value) if short else {key: _flowing(one) for key, one in value.items()}


def _text(settings: dict[str, Any], notes: Sequence[Problem], files: Sequence[Path], title: str) -> str:
    lines = [f"# Imported from {', '.join(path.name for path in files)}: {title}."]
    if notes:
        lines += ["# Not carried over, or not as it is there:", *(f"# - {note}" for note in notes)]
    else:
        lines.append("# Everything was carried over.")
    body = yaml.dump({key: _inside(value) for key, value in settings.items()}, Dumper=_Dumper, sort_keys=False, width=_WIDTH)  # fmt: skip
    return "\n".join(line if line.isprintable() else f"# {line!r}" for line in lines) + "\n" + body


def _inside(section: Any) -> Any:
    return {key: _flowing(value) for key, value in section.items()}
