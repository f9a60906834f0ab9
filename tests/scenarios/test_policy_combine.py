"""Policies made of policies in a scenario file: they come back as written, and their mistakes are told where they are."""

from typing import Any

import pytest
from pydantic import TypeAdapter
from windtunnel import ScenarioError
from windtunnel.core.model import FleetSpec
from windtunnel.scenarios.schema import Document
from windtunnel.tests.support import plan, scenario

PARTS: list[dict[str, Any]] = [
    {"panic": {"target": "28/s", "panic_threshold": "250%", "stable_window": "30s"}},
    {"panic": {"metric": "in_flight", "target": 10, "target_utilization": "80%", "max_scale_down_rate": 1.5}},
    {"scheduled": {"starts": "2026-03-02T08:00:00", "entries": [{"cron": "0 9 * * *", "min": 2, "max": 5}]}},
    {"combine": {"by": "mean", "of": [{"threshold": {"requests_high": "5/s"}}, {"target_tracking": {"target": "9/s"}}]}},
    {"target_tracking_hpa": {"metrics": [{"metric": "cpu", "target": "60%"}]}},
]  # fmt: skip


def document(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"duration": "10s", "autoscaler": {"policy": {"combine": {"of": list(parts), **more}}}}


def test_what_is_written_comes_back() -> None:
    read = scenario(document(*PARTS, by="min")).document
    data = read.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert Document.model_validate(data) == read
    fleet = TypeAdapter(FleetSpec)
    made = plan(document(*PARTS, by="min")).fleet
    assert fleet.validate_json(fleet.dump_json(made)) == made
    assert made.autoscaler is not None
    assert [part.kind for part in made.autoscaler.policy.of] == [next(iter(part)) for part in PARTS]  # type: ignore[union-attr]


def test_the_schema_for_editors_knows_policies_within_policies() -> None:
    schema = Document.model_json_schema()
    assert schema["$defs"]["CombinePolicy"]["properties"]["of"]["items"] == {"$ref": "#/$defs/Policy"}


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"panic": {"target": "28/s", "panic_threshold": "100%"}}, "panic.panic_threshold: expected a percentage from 110% to 1000%, got '100%'"),
        ({"panic": {"target": "28/s", "panic_threshold": 2}}, "panic.panic_threshold: expected a percentage such as 200%, got 2"),
        ({"panic": {"target": "28/s", "stable_window": "1500ms"}}, "panic.stable_window: expected a value at least 5s, got '1500ms'"),
        ({"panic": {"target": "28/s", "stable_window": "7500ms"}}, "panic.stable_window: expected whole seconds"),
        ({"panic": {"target": "28/s", "max_scale_up_rate": 1}}, "panic.max_scale_up_rate: expected a value above 1, got 1"),
        ({"panic": {"target": 28}}, "panic.target: expected a rate such as 20/s or 300/m, got 28"),
        ({"combine": {"of": []}}, "combine.of: expected at least one entry, got none"),
        ({"combine": {"of": [{"panic": {"target": "0/s"}}]}}, "combine.of[0].panic.target: expected a target above 0, got '0/s'"),
    ],
)  # fmt: skip
def test_mistakes_are_told_where_they_are(part: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario(document(PARTS[0], part))
    assert f"autoscaler.policy.combine.of[1].{sentence}" in str(raised.value)
