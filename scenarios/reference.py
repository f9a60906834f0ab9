"""The references of the scenario file, from the schema, and of the faults, from their table."""

import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ..core.faults import FAULTS, Attribute
from .schema import Document
from .schema_base import Distribution, SizeDistribution, StageRate
from .units import format_duration

_SHARED = (Distribution, SizeDistribution, StageRate)
_UNITS = {"duration": "duration", "rate": "rate", "percentage": "percentage", "size": "size"}


def reference_markdown() -> str:
    """Markdown tables, a section per part of the file."""
    sections = list(_sections(Document, "", set()))
    for shared in _SHARED:
        sections.extend(_sections(shared, f"a {_title(shared)}", set(), force=True))
    return "\n".join(sections)


def _title(model: type[BaseModel]) -> str:
    return {"Distribution": "distribution", "StageRate": "rate of a stage", "SizeDistribution": "body"}.get(
        model.__name__, model.__name__
    )


def _sections(
    model: type[BaseModel], path: str, seen: set[type[BaseModel]], force: bool = False
) -> Iterator[str]:
    if model in seen or (model in _SHARED and not force):
        return
    seen.add(model)
    yield f"### {path or 'The file'}\n"
    yield (model.__doc__ or "").strip() + "\n"
    yield "| field | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    inner: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        shown = field.alias or name
        yield f"| `{shown}` | {_type(field)} | {_default(field)} | {field.description} |"
        nested = _model(field.annotation)
        if nested is not None:
            many = "[]" if get_origin(field.annotation) is list or "list[" in str(field.annotation) else ""
            inner.append((f"{path}.{shown}{many}" if path else f"{shown}{many}", nested))
    yield ""
    for where, nested in inner:
        yield from _sections(nested, where, seen)


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _model(part)
        if found is not None:
            return found
    return None


def _type(field: FieldInfo) -> str:
    for meta in field.metadata:
        title = getattr(meta, "json_schema", {}).get("title") if hasattr(meta, "json_schema") else None
        if title in _UNITS:
            return _UNITS[title]
    return _spell(field.annotation)


def _spell(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " or ".join(
            dict.fromkeys(_spell(part) for part in get_args(annotation) if part is not type(None))
        )
    if origin is list:
        return f"list of {_spell(get_args(annotation)[0])}"
    if origin is dict:
        return "mapping"
    if hasattr(annotation, "__metadata__"):
        for meta in annotation.__metadata__:
            title = getattr(meta, "json_schema", {}).get("title") if hasattr(meta, "json_schema") else None
            if title in _UNITS:
                return _UNITS[title]
        return _spell(annotation.__origin__)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _title(annotation) if annotation in _SHARED else "mapping"
    return {int: "whole number", float: "number", str: "text", bool: "true or false"}.get(annotation, "value")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "omitted"
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True, mode="json")
        return f"`{value}`".replace("'", "") if value else "see below"
    kind = _type(field)
    if kind in _UNITS:
        from . import units

        spell: Any = {
            "duration": units.format_duration, "rate": units.format_rate,
            "percentage": units.format_share, "size": units.format_size,
        }[kind]  # fmt: skip
        return f"`{spell(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ("", [], {}) else "empty"


UNITS = {
    "bytes": "size",
    "factor": "number",
    "share": "percentage",
    "offset": "duration with a sign",
    "count": "whole number",
    "status": "500 to 599",
    "word": "word",
}
"""Units of a fault's attributes in words."""


def faults_markdown() -> str:
    """Markdown, a section per family of faults and a paragraph per type."""
    lines: list[str] = []
    for family in dict.fromkeys(fault.family for fault in FAULTS.values()):
        lines.append(f"## {family.capitalize()}\n")
        for name, fault in FAULTS.items():
            if fault.family != family:
                continue
            lines += [f"### {name}\n", fault.does, "", f"*What you should see:* {fault.see}", ""]
            takes = [f"target {' or '.join(f'`{role}`' for role in fault.roles)}"]
            takes += ["`for`"] * fault.lasts
            takes += [f"`toxicity` ({fault.toxicity})"] * bool(fault.toxicity)
            takes += ["`stream`"] * fault.stream
            takes += [
                f"`{key}` ({UNITS.get(attribute.unit, attribute.unit)}: {attribute.meaning}"
                + ("" if attribute.default in (None, "") else f"; {_value_omitted(attribute)} if omitted")
                + ")"
                for key, attribute in fault.attributes
            ]
            lines += [f"Takes {', '.join(takes)}.", ""]
    return "\n".join(lines)


def _value_omitted(attribute: Attribute) -> str:
    value = attribute.default
    if isinstance(value, str):
        return f"`{value}`"
    return format_duration(int(value)) if attribute.unit == "duration" and value else f"{value:g}"


def library_markdown(scenarios: Mapping[str, Document]) -> str:
    """Markdown, a section per scenario of the library: what happens, what it teaches, what it asserts."""
    lines: list[str] = []
    for name, document in scenarios.items():
        lines += [f"## {name}\n", *document.description.strip().splitlines(), ""]
        for deploy in document.deploys:
            if deploy.expect is not None:
                lines.append(f"- deploy {deploy.called} is {deploy.expect.replace('_', ' ')}")
        for slo in document.slo:
            bound = f"below {slo.below}" if slo.below is not None else f"above {slo.above}"
            start = f" from {format_duration(slo.from_)}" if slo.from_ else ""
            end = f" to {format_duration(slo.to)}" if slo.to is not None else ""
            lines.append(f"- {slo.name}: {slo.indicator} {bound}{start}{end}")
        lines.append("")
    return "\n".join(lines)
