"""A HorizontalPodAutoscaler of Kubernetes as the policy ``target_tracking_hpa``.

Read are autoscaling/v2 and its older shapes: v2beta2 (the same), v2beta1 (targets beside the metric) and v1 (CPU alone). Defaults are those of
pkg/apis/autoscaling/v2/defaults.go of kubernetes/kubernetes; the flags of the controller, which no manifest has, stay at theirs.
"""

from decimal import Decimal
from typing import Any

from .import_metrics import Meaning, Meanings, advice, spell
from .import_part import Part
from .problems import Problem, ScenarioError
from .units import format_share

Settings = dict[str, Any]

VERSIONS = ("autoscaling/v2", "autoscaling/v2beta2", "autoscaling/v2beta1", "autoscaling/v1")
KIND = "HorizontalPodAutoscaler"
DEFAULT_CPU = 80
_KINDS = {
    "Resource": "resource", "ContainerResource": "containerResource", "Pods": "pods", "Object": "object", "External": "external",
}  # fmt: skip
_HOLD_SECONDS, _PERIOD_SECONDS = 3600, 1800
"""Kubernetes' API refuses longer ones."""


def import_hpa(part: Part, meanings: Meanings) -> Settings:
    """The sections ``fleet`` and ``autoscaler`` for the object *part*; what else became of it goes to its notes. Raises ScenarioError."""
    part.text("apiVersion", VERSIONS) or part.required("apiVersion")
    part.known("kind", "metadata", "status")
    _annotations(part)
    spec = part.part("spec") or part.required("spec")
    spec.known("scaleTargetRef")
    least = spec.whole("minReplicas")
    most = spec.whole("maxReplicas", 1) or spec.required("maxReplicas")
    least = 1 if least is None else least
    if least > most:
        spec.fail("maxReplicas", f"expected no less than minReplicas ({least}), got {most}")
    before = len(part.notes)
    metrics = _metrics(spec, meanings)
    if not metrics:
        reasons = part.notes[before:]
        none = part.source.problem(spec.path, "expected a metric that can be carried over, got none")
        raise ScenarioError([*reasons, none])
    if least == 0 and not any(metric.get("total") for metric in metrics):
        spec.note("minReplicas", "0, but no metric here is a total: the policy itself keeps one server")
    policy: Settings = {"metrics": metrics, **_behavior(spec)}
    for one in (spec, part):
        one.rest()
    return {
        "fleet": {"app": {"min": least, "max": most}},
        "autoscaler": {"interval": "15s", "cooldown": "0s", "policy": {"target_tracking_hpa": policy}},
    }


def _annotations(part: Part) -> None:
    """The API shows what v1 has no fields for as annotations."""
    metadata = part.part("metadata")
    notes = metadata.part("annotations") if metadata else None
    for key in notes.data if notes else ():
        if notes and key in ("autoscaling.alpha.kubernetes.io/metrics", "autoscaling.alpha.kubernetes.io/behavior"):  # fmt: skip
            notes.note(key, "not carried over: get the object as autoscaling/v2, where this has fields")


def _metrics(spec: Part, meanings: Meanings) -> list[Settings]:
    entries = spec.parts("metrics")
    cpu = spec.whole("targetCPUUtilizationPercentage", 1)
    found: list[tuple[Part, Settings, Decimal]] = []
    if cpu is not None:
        _add(spec, "targetCPUUtilizationPercentage", "cpu", Decimal(cpu), found)
    elif not entries:
        spec.note("metrics", f"none given: {DEFAULT_CPU}% of the CPU, Kubernetes' default")
        _add(spec, "metrics", "cpu", Decimal(DEFAULT_CPU), found)
    for entry in entries:
        kind = entry.text("type", _KINDS) or entry.required("type")
        inner = entry.part(_KINDS[kind]) or entry.required(_KINDS[kind])
        if kind == "Resource":
            _resource(inner, found)
        elif kind == "ContainerResource":
            name, container = inner.get("name"), inner.get("container")
            entry.note("", f"not carried over: {name} of the container {container} alone; a server here is one program: left out")  # fmt: skip
        else:
            _custom(kind, inner, meanings, found)
        entry.rest()
    return [metric for _, metric, _ in found]


def _add(
    part: Part, key: str, meaning: Meaning | str, value: Decimal, found: list[tuple[Part, Settings, Decimal]], total: bool = False
) -> None:  # fmt: skip
    """Add a metric to *found*, which has each once: of two the one with the lower target, which asks for more."""
    known = meaning if isinstance(meaning, Meaning) else Meaning(meaning)  # type: ignore[arg-type]
    if value <= 0:
        part.fail(key, f"expected a target above 0, got {value}")
    share = known.metric in ("cpu", "memory")
    if share and value != int(value):
        part.note(key, f"utilisations are whole percentages: {int(value)} in place of {value}")
        value = Decimal(int(value))
    try:
        spelled, changed = spell(known, value)
    except ValueError:
        part.note(key, f"not carried over: {value}% of what a container requests has no counterpart, a server has 100% of its CPUs and memory; left out")  # fmt: skip
        return
    if spelled == 0 or (share and value == 0):
        part.note(key, "not carried over: rounds to 0; left out")
        return
    if changed:
        part.note(key, changed)
    metric: Settings = {"metric": known.metric, "target": spelled, **({"total": True} if total else {})}
    per_second = value / known.seconds
    for number, (_, other, target) in enumerate(found):
        if other["metric"] == known.metric:
            part.note(key, f"{known.metric} is there already: of both the lower target was kept")
            if per_second < target:
                found[number] = (part, metric, per_second)
            return
    found.append((part, metric, per_second))


def _resource(part: Part, found: list[tuple[Part, Settings, Decimal]]) -> None:
    name = part.text("name") or part.required("name")
    if name not in ("cpu", "memory"):
        part.known(*part.data)
        part.note("name", f"not carried over: there is no {name} here; left out")
        return
    target = part.part("target")
    if target is not None:
        target.text("type", ("Utilization", "AverageValue", "Value"))
    # v2beta1 has the target beside the name.
    place, share, absolute = (
        (target, "averageUtilization", "averageValue")
        if target
        else (part, "targetAverageUtilization", "targetAverageValue")
    )
    percent = place.whole(share, 1)
    if percent is not None:
        what = {"cpu": "cores", "memory": "memory"}[name]
        place.note(share, f"a share of what the container requests; here of the server's {what}: the same if the request is all that it gets")  # fmt: skip
        _add(place, share, name, Decimal(percent), found)
    elif place.number(absolute) is not None:
        place.note(absolute, f"not carried over: an amount of {name}; here {name} is a share of what the server has; left out")  # fmt: skip
    else:
        place.required(share)
    for one in (part, *([target] if target else [])):
        one.rest()


def _custom(kind: str, part: Part, meanings: Meanings, found: list[tuple[Part, Settings, Decimal]]) -> None:
    """A metric by a name of its own: of each pod, of an object, or of something outside."""
    metric, target = part.part("metric"), part.part("target")
    if metric is None and not part.has("metricName"):
        part.required("metric")
    # v2beta1 has the name and the target beside each other, and the object in `target`.
    key, holder = ("metricName", part) if metric is None else ("name", metric)
    name = holder.text(key) or holder.required(key)
    if metric is None:
        place, average = part, "averageValue" if kind == "Object" else "targetAverageValue"
    else:
        place, average = target or part.required("target"), "averageValue"
        place.text("type", ("Utilization", "AverageValue", "Value"))
    meaning = meanings.get(name)
    said = f"{'a' if kind == 'Pods' else 'an'} {kind} metric, {name}"
    if meaning is None:
        part.note("", f"not carried over: {said}, of which nothing here is known to be the same: left out ({advice(name)})")  # fmt: skip
        return
    value = place.number(average)
    if value is None and kind == "Pods":
        place.required(average)
    if value is None:
        part.note("", f"not carried over: {said}, has one value for the whole fleet, not one that grows with its load (an averageValue); left out")  # fmt: skip
        return
    total = kind != "Pods"
    if total and meaning.metric in ("cpu", "memory"):
        part.note(
            "", f"not carried over: {said}: the sum of shares of {meaning.metric} says nothing; left out"
        )
        return
    for holder in (part, metric or part):
        if holder.has("selector") or holder.has("metricSelector"):
            holder.note("selector" if holder.has("selector") else "metricSelector", "not looked at: all requests of the fleet count")  # fmt: skip
            holder.known("selector", "metricSelector")
    _add(place, average, meaning, value, found, total)
    part.known("describedObject", "target")
    for one in (part, metric, target if metric else None):
        if one is not None:
            one.rest()


def _behavior(spec: Part) -> Settings:
    behavior = spec.part("behavior")
    if behavior is None:
        return {}
    rules = {
        ours: _rules(behavior.part(theirs))
        for ours, theirs in (("scale_up", "scaleUp"), ("scale_down", "scaleDown"))
        # Either of them, or an empty behavior, brings Kubernetes' defaults for both.
        if behavior.has(theirs) or not (behavior.has("scaleUp") or behavior.has("scaleDown"))
    }
    behavior.rest()
    return rules


def _rules(part: Part | None) -> Settings:
    if part is None:
        return {}
    found: Settings = {
        "stabilization_window": part.seconds("stabilizationWindowSeconds", 0, _HOLD_SECONDS),
        "select_policy": (part.text("selectPolicy", ("Max", "Min", "Disabled")) or "").lower() or None,
        "policies": [_rate(one) for one in part.parts("policies")] or None,
    }
    tolerance = part.number("tolerance")
    if tolerance is not None:
        if not 0 <= tolerance <= 1:
            part.fail("tolerance", f"expected a share from 0 to 1, got {tolerance}")
        found["tolerance"] = format_share(float(tolerance))
    part.rest()
    return {key: value for key, value in found.items() if value is not None}


def _rate(part: Part) -> Settings:
    kind = part.text("type", ("Pods", "Percent")) or part.required("type")
    value = part.whole("value", 1) or part.required("value")
    period = part.seconds("periodSeconds", 1, _PERIOD_SECONDS) or part.required("periodSeconds")
    part.rest()
    return {kind.lower(): value, "period": period}


def choose(candidates: list[Part], name: str | None, others: list[Problem]) -> Part:
    """The object called *name*, or the only one. Raises ScenarioError."""
    named = [(_name(part), part) for part in candidates]
    known = ", ".join(one or "(no name)" for one, _ in named)
    chosen = [part for one, part in named if name is None or one == name]
    if len(chosen) == 1:
        return chosen[0]
    source, path = candidates[0].source, candidates[0].path if len(candidates) == 1 else ()
    wanted = f"one {KIND} called {name!r}" if name else f"one {KIND}, or --name with one of them"
    raise ScenarioError([*others, source.problem(path, f"expected {wanted}, got {known}")])


def _name(part: Part) -> str:
    metadata = part.part("metadata")
    return (metadata.text("name") if metadata else None) or ""
