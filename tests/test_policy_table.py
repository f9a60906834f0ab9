"""The command policies: rivals beside the cheapest schedule."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from windtunnel.cli import app
from windtunnel.core.model import SECOND
from windtunnel.policy_table import OPTIMUM, policy_tables

LOAD = """
scenario: crowd
duration: 2m
fleet: {app: {initial: 1, min: 1, max: 4, workers: 1, queue: 20, boot_time: {constant: 10s}}}
endpoints: [{path: /, cpu: {exponential: {mean: 10ms}}}]
traffic: [{name: users, stages: [{for: 40s, rate: 30/s}, {for: 40s, rate: 150/s}, {for: 40s, rate: 30/s}], client: {timeout: 5s, connections: {pool: 50}}}]
slo: [{name: fast, indicator: latency_p99, below: 300ms}, {name: answered, indicator: availability, above: 99%}]
"""
RIVALS = """
scenarios: [load.yaml]
policies:
  tracking: {policy: {target_tracking: {metric: requests, target: 50/s}}}
  lazy: {policy: {threshold: {requests_high: 500/s}}}
"""


def written(folder: Path, load: str = LOAD, rivals: str = RIVALS) -> Path:
    (folder / "load.yaml").write_text(load)
    (folder / "policies.yaml").write_text(rivals)
    return folder / "policies.yaml"


@pytest.mark.long
def test_who_knows_the_future_pays_least_and_violates_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    (table,) = policy_tables(written(tmp_path), budget=12, progress=told.append)
    rows = {row.policy: row.score for row in table.rows}
    assert [*rows] == [OPTIMUM, "tracking", "lazy"]
    assert rows[OPTIMUM].violated_ns == 0
    assert rows["lazy"].violated_ns >= 40 * SECOND
    assert (rows["lazy"].actions, rows["lazy"].instance_ns) == (0, 121 * SECOND)
    assert 0 < rows["tracking"].violated_ns < rows["lazy"].violated_ns
    assert rows["lazy"].instance_ns < rows[OPTIMUM].instance_ns < rows["tracking"].instance_ns
    # Three servers for the crowd, ordered ten seconds before it comes; one before and after.
    assert max(table.schedule) in (2, 3)
    assert (table.schedule[0], table.schedule[-1]) == (1, 1)
    assert told[-1].startswith("crowd: schedule ")
    again = policy_tables(tmp_path / "policies.yaml", budget=12, jobs=2)
    assert again == [table]


@pytest.mark.long
def test_the_command_prints_a_table_or_json(tmp_path: Path) -> None:
    path = written(tmp_path)
    printed = CliRunner().invoke(app, ["policies", str(path), "--budget", "0"])
    assert printed.exit_code == 0, printed.output
    assert "optimum" in printed.stdout
    found = CliRunner().invoke(app, ["policies", str(path), "--budget", "0", "--json"])
    (table,) = json.loads(found.stdout)
    assert [row["policy"] for row in table["policies"]] == [OPTIMUM, "tracking", "lazy"]
    assert len(table["schedule"]) == 12


@pytest.mark.parametrize(
    ("load", "rivals", "expected"),
    [
        (LOAD, RIVALS.replace("target: 50/s", "target: 5%"), "policies.tracking.policy.target_tracking.target: expected a rate"),
        (LOAD.replace("slo:", "#"), RIVALS, "load.yaml: expected objectives (slo)"),
        (LOAD.replace(", max: 4", ""), RIVALS, "load.yaml: expected fleet.app.max"),
        (LOAD, "scenarios: [load.yaml]\n", "policies: required, but missing"),
        (LOAD, RIVALS.replace("load.yaml", "other.yaml"), "other.yaml"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(load: str, rivals: str, expected: str, tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["policies", str(written(tmp_path, load, rivals))])
    assert found.exit_code == 2 or isinstance(found.exception, Exception)
    assert expected in found.output + str(found.exception)
