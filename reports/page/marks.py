"""Events as marks of the timeline: one event, one mark, so that a live run's come as its events do."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...core.faults import FAULTS
from ..violations import described
from .model import NONE, Mark, server_node

AT, BEGINS, ENDS = "at", "begins", "ends"
BAD, GOOD, NOTE = "bad", "good", "note"

_KINDS: dict[str, tuple[str, str, str]] = {
    "fault": ("fault", BEGINS, BAD), "fault_over": ("fault", ENDS, GOOD), "faults_stopped": ("fault", AT, NOTE),
    "deploy_started": ("deploy", BEGINS, NOTE), "deploy_promoted": ("deploy", ENDS, GOOD), "deploy_rolled_back": ("deploy", ENDS, BAD),
    "deploy_failed": ("deploy", ENDS, BAD), "deploy_superseded": ("deploy", ENDS, NOTE), "weight_set": ("deploy", AT, NOTE),
    "analysis": ("deploy", AT, NOTE), "rollback_started": ("deploy", AT, BAD), "deploy_step": ("deploy", AT, NOTE),
    "deploy_paused": ("deploy", AT, NOTE), "proxy_handed_over": ("deploy", AT, NOTE), "registry_restarted": ("deploy", AT, NOTE),
    "decision": ("scaling", AT, NOTE), "launched": ("scaling", AT, NOTE), "promoted": ("scaling", AT, NOTE),
    "draining": ("scaling", AT, NOTE), "terminated": ("scaling", AT, NOTE),
    "alert": ("alert", BEGINS, BAD), "alert_over": ("alert", ENDS, GOOD),
    "ready": ("server", AT, GOOD), "registered": ("server", AT, GOOD), "killed": ("server", AT, BAD), "out_of_memory": ("server", AT, BAD),
    "crashed": ("server", AT, BAD), "boot_failed": ("server", AT, BAD), "updating": ("server", AT, NOTE), "unlisted": ("server", AT, BAD),
    "remedy_started": ("server", AT, NOTE), "remedy_ended": ("server", AT, NOTE), "restarting": ("server", AT, BAD), "restarted": ("server", AT, GOOD),
    "ejected": ("proxy", BEGINS, BAD), "unejected": ("proxy", ENDS, GOOD), "unhealthy": ("proxy", BEGINS, BAD), "healthy": ("proxy", ENDS, GOOD),
    "breaker_opened": ("proxy", BEGINS, BAD), "breaker_closed": ("proxy", ENDS, GOOD),
    "proxy_down": ("proxy", BEGINS, BAD), "proxy_up": ("proxy", ENDS, GOOD),
    "registry_unreachable": ("registry", BEGINS, BAD), "registry_reachable": ("registry", ENDS, GOOD),
    "launch_refused": ("cloud", AT, BAD), "terminate_refused": ("cloud", AT, BAD), "list_refused": ("cloud", AT, BAD),
    "orphan_found": ("cloud", AT, NOTE), "launch_stuck": ("cloud", AT, BAD), "termination_stuck": ("cloud", AT, BAD), "spot_notice": ("cloud", AT, BAD),
}  # fmt: skip
"""Kind, phase and tone by event. An event that is not here is a mark of the kind ``other``."""

KINDS = ("fault", "deploy", "scaling", "alert", "server", "proxy", "registry", "cloud", "other")
"""In the order of the timeline's rows."""

_SILENT = frozenset({"run", "end", "booting", "updated"})
"""They say nothing that another does not."""

_ONE = {
    "ejected": "ejection", "unejected": "ejection", "unhealthy": "health", "healthy": "health", "breaker_opened": "breaker",
    "breaker_closed": "breaker", "proxy_down": "proxy", "proxy_up": "proxy", "registry_unreachable": "registry",
    "registry_reachable": "registry",
}  # fmt: skip
"""What lasts by a name that its two events share."""

_PLACES = frozenset({"clients", "proxy", "registry", "autoscaler", "cloud"})
"""Names of targets that are nodes themselves."""

MOST = 5000
"""So many marks of servers and proxy are on a page; faults, deploys, scaling and alerts all are."""


def mark(event: Mapping[str, Any], dependencies: Sequence[str] = ()) -> Mark | None:
    """The mark of an event; None for one without. *dependencies*: their names, among which a fault's targets may be."""
    name, time = str(event["event"]), int(event["t"])
    if name in _SILENT or (name in ("launched", "ready") and time == 0):
        return None
    kind, phase, tone = _KINDS.get(name, ("other", AT, NOTE))
    until = event.get("until", NONE)
    if name == "fault" and "until" not in event and not _lasts(str(event.get("type"))):
        phase = AT
    return Mark(
        t=time, kind=kind, phase=phase, name=_name(name, event), text=_text(name, event), tone=_tone(name, event, tone),
        until=until if name == "fault" and isinstance(until, int) else NONE, nodes=_nodes(name, event, dependencies),
    )  # fmt: skip


def _lasts(fault: str) -> bool:
    """Whether a fault of this type that names no end goes on until it is ended, or to the end of the run."""
    return fault in FAULTS and FAULTS[fault].lasts


def marks(events: Iterable[Mapping[str, Any]], dependencies: Sequence[str] = ()) -> list[Mark]:
    """Those of all *events*, in their order."""
    return [found for event in events if (found := mark(event, dependencies)) is not None]


def bounded(found: Sequence[Mark], most: int = MOST) -> list[Mark]:
    """All marks of faults, deploys, scaling and alerts, and the first of the others, *most* of them."""
    kept, others = [], 0
    for one in found:
        others += one["kind"] not in ("fault", "deploy", "scaling", "alert")
        if others <= most or one["kind"] in ("fault", "deploy", "scaling", "alert"):
            kept.append(one)
    return kept


def _name(name: str, event: Mapping[str, Any]) -> str:
    """What the two ends of something that lasts have in common."""
    if name in _ONE:
        server = event.get("server")
        return _ONE[name] if server is None else f"{_ONE[name]} of server {server}"
    for field in ("name", "deploy"):
        if field in event:
            return str(event[field])
    return name.replace("_", " ")


def _text(name: str, event: Mapping[str, Any]) -> str:
    if name == "decision":
        wanted = f"{event.get('actual', '?')} servers, {event.get('desired', '?')} wanted"
        told = f"{event.get('reason', '')}{': ' + str(event['error']) if 'error' in event else ''}"
        return f"{wanted}: {told}" if "actual" in event else told
    if name == "analysis":
        return f"{event.get('deploy')}: {event.get('verdict')} ({event.get('reason')})"
    if name == "deploy_started":
        return f"deploy {event.get('deploy')}: version {event.get('version')}, {event.get('strategy')}"
    text = described(event)
    if text != name.replace("_", " "):
        return text
    for field, says in (("server", "server {}"), ("deploy", "{}"), ("name", "{}")):
        if field in event:
            text = f"{says.format(event[field])}: {text}"
    for field in ("version", "share", "reason", "cause"):
        if event.get(field):
            text += f", {field} {event[field]}"
    return text


def _tone(name: str, event: Mapping[str, Any], tone: str) -> str:
    if name == "analysis":
        return {"pass": GOOD, "fail": BAD}.get(str(event.get("verdict")), NOTE)
    return tone


def _nodes(name: str, event: Mapping[str, Any], dependencies: Sequence[str]) -> list[str]:
    """The ids of the nodes that it is about, where they are known."""
    if isinstance(event.get("server"), int):
        return [server_node(event["server"])]
    found = []
    for target in event.get("targets") or ():
        if isinstance(target, int):
            found.append(server_node(target))
        elif target in _PLACES:
            found.append(str(target))
        elif target in dependencies:
            found.append(f"dependency-{target}")
    if not found and name.startswith(("proxy", "registry")):
        found = [name.partition("_")[0]]
    return found
