"""The janitor: what a lost run left behind on EC2, found by our tags, and ended on request. Nothing without them is ever touched."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...core.errors import UsageError
from ...core.model import SECOND
from ...core.ports import CloudError
from ...scenarios.units import parse_duration
from ..cloud import guarded
from .flight import LEFT, TAG_FLEET, TAG_ROLE, TAG_RUN, fleet_filter, is_tag_value, number_in, tags_of
from .patience import Patience
from .redaction import Redaction

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Leftover:
    """An instance of a fleet: *number* is 0 if its tag is missing, *age* in seconds since EC2 launched it."""

    provider_id: str
    number: int
    role: str
    state: str
    age: float
    run: str

    @property
    def hours(self) -> float:
        """Instance-hours since its launch."""
        return self.age / 3600

    def row(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "id": self.provider_id, "number": self.number, "role": self.role, "state": self.state,
            "age_seconds": math.floor(self.age), "run": self.run, "hours": round(self.hours, 3),
        }  # fmt: skip


def seconds_of(text: str) -> float:
    """Seconds of a duration such as ``2h`` (0 may go without a unit). Raises UsageError."""
    try:
        return parse_duration(0 if text == "0" else text) / SECOND
    except ValueError as error:
        raise UsageError(f"--older-than: {error}") from None


class Janitor:
    """Looks after the instances of *fleet* by way of an EC2 *client*. Raises UsageError for a name that no fleet can have."""

    def __init__(self, client: Any, fleet: str, redact: Redaction, patience: Patience | None = None) -> None:
        if not is_tag_value(fleet):
            raise UsageError(
                f"--fleet: expected letters, digits, spaces and + - = . _ : / @ only, got {fleet!r}"
            )
        self._ec2 = client
        self._fleet = fleet
        self._redact = redact
        self._patience = patience or Patience(f"janitor/{fleet}")

    def find(self, older_than: float = 0.0, now: datetime | None = None) -> tuple[Leftover, ...]:
        """What still costs something and is at least *older_than* seconds old, by age and id. Raises CloudError."""
        moment = now or datetime.now(UTC)
        items = self._patience(lambda: guarded(self._items, self._redact))
        found = []
        for item in items:
            tags = tags_of(item)
            age = (moment - item["LaunchTime"]).total_seconds()
            if tags.get(TAG_FLEET) == self._fleet and age >= older_than:
                role, run = tags.get(TAG_ROLE, ""), tags.get(TAG_RUN, "")
                state = item["State"]["Name"]
                found.append(Leftover(item["InstanceId"], number_in(tags), role, state, age, run))
        return tuple(sorted(found, key=lambda one: (-one.age, one.provider_id)))

    def end(self, leftovers: Sequence[Leftover]) -> tuple[str, ...]:
        """Terminate *leftovers*; their ids. What refuses does not keep the rest alive; its error is raised afterwards. Raises CloudError."""
        ended: list[str] = []
        refused: CloudError | None = None
        ids = [one.provider_id for one in leftovers]
        for start in range(0, len(ids), _BATCH):
            try:
                ended += self._terminate(ids[start : start + _BATCH])
            except CloudError:
                # One id that EC2 refuses (protected, say) fails its whole batch: each by itself.
                for name in ids[start : start + _BATCH]:
                    try:
                        ended += self._terminate([name])
                    except CloudError as error:
                        refused = error
        if refused is not None:
            raise refused
        return tuple(ended)

    def _terminate(self, ids: list[str]) -> list[str]:
        self._patience(lambda: guarded(lambda: self._ec2.terminate_instances(InstanceIds=ids), self._redact))
        return ids

    def _items(self) -> list[dict[str, Any]]:
        filters = [fleet_filter(self._fleet), {"Name": "instance-state-name", "Values": list(LEFT)}]
        pages = self._ec2.get_paginator("describe_instances").paginate(
            Filters=filters, PaginationConfig={"PageSize": 200}
        )
        return [
            item
            for page in pages
            for reservation in page["Reservations"]
            for item in reservation["Instances"]
        ]
