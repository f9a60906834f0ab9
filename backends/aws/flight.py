"""What the EC2 adapter needs in a flight and not in a rehearsal, and the tags that say whose an instance is."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .patience import Patience
from .redaction import Redaction

TAG_FLEET = "windtunnel:fleet"
TAG_RUN = "windtunnel:run"
TAG_NUMBER = "windtunnel:instance"
TAG_ROLE = "windtunnel:role"
TAG_LAUNCHED = "windtunnel:launched"
TAG_TOKEN = "windtunnel:token"
TAG_SPENT = "windtunnel:spent"

LIVING = ("pending", "running")
ENDED = ("shutting-down", "terminated")
LEFT = (*LIVING, "stopping", "stopped")
"""States of what still costs something."""

_TAG_VALUE = re.compile(r"[\w+\-=.:/@][\w +\-=.:/@]*")
_TRANSITION = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")


@dataclass(frozen=True, slots=True)
class Flight:
    """*run* names the run in a tag; *epoch* is the wall clock (ns since 1970) where the adapter's ``now`` is 0, so that launch times
    outlive a process. *values* are filled into the user data, beside number, role, fleet and run; *spent* is the run's instance time so
    far, in ns, which each launch notes in a tag.
    """

    run: str
    epoch: int
    patience: Patience
    redact: Redaction
    values: Mapping[str, str] = field(default_factory=dict)
    spent: Callable[[], int] = lambda: 0
    page: int = 200


@dataclass(frozen=True, slots=True)
class Ended:
    """An instance of this run that is gone: when it was launched and ended, ns; *ended* is None if the provider does not say."""

    provider_id: str
    launched: int
    ended: int | None


@dataclass(frozen=True, slots=True)
class Past:
    """What a provider remembers of a run: instances that ended, and the instance time (ns) noted *at* the last launch."""

    ended: tuple[Ended, ...] = ()
    at: int | None = None
    spent: int = 0


def tags_of(item: Mapping[str, Any]) -> dict[str, str]:
    """The tags of an instance as EC2 describes it."""
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}


def number_in(tags: Mapping[str, str]) -> int:
    """The instance number in *tags*, or 0."""
    text = tags.get(TAG_NUMBER, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def fleet_filter(fleet: str) -> dict[str, Any]:
    """The filter for a fleet's tag. ``*`` and ``?`` are wildcards to EC2; whoever uses it compares the tag all the same."""
    return {"Name": f"tag:{TAG_FLEET}", "Values": [re.sub(r"([*?\\])", r"\\\1", fleet)]}


def ended_at(item: Mapping[str, Any]) -> int | None:
    """When an instance ended, wall-clock ns, from its StateTransitionReason: ``User initiated (2026-01-31 12:00:00 GMT)``."""
    found = _TRANSITION.search(item.get("StateTransitionReason", ""))
    if found is None:
        return None
    return int(datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def is_tag_value(text: str) -> bool:
    """Whether EC2 takes *text* as the value of a tag in every service (EC2 User Guide, "Tag restrictions"), not empty, at most 256."""
    return len(text) <= 256 and _TAG_VALUE.fullmatch(text) is not None
