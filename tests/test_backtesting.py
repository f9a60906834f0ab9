"""Explaining and backtesting rehearsals: what is said is what happened, and an estimate is near what the other policy really does."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from windtunnel import RunError, ScenarioError, replay
from windtunnel.backtesting import backtest, explain
from windtunnel.cli import app
from windtunnel.core.errors import UsageError
from windtunnel.core.model import SECOND
from windtunnel.core.records import BOOTING
from windtunnel.reports.backtest_words import rows, sentences
from windtunnel.reports.decision_log import DecisionLog
from windtunnel.reports.explanation import story
from windtunnel.reports.run import Run
from windtunnel.scenarios.build import compile_plan

from .support import TWINS, run, scenario, steady

DAY: dict[str, Any] = {
    "duration": "120s",
    "fleet": {"app": {"initial": 2, "min": 1, "max": 8, "boot_time": {"constant": "5s"}, "queue": 64}},
    "endpoints": [{"path": "/", "cpu": {"constant": "2ms"}}],
    "traffic": [
        {
            "name": "users",
            "stages": [
                {"for": "20s", "rate": "80/s"}, {"for": "40s", "to": "300/s"},
                {"for": "20s", "rate": "300/s"}, {"for": "40s", "to": "60/s"},
            ],
        }
    ],
    "autoscaler": {"policy": {"target_tracking": {"target": "60/s"}}, "interval": "2s", "cooldown": "6s"},
}  # fmt: skip
TIGHTER = "autoscaler.policy.target_tracking.target=45/s"


def flown(document: dict[str, Any], folder: Path) -> Path:
    """The directory of a run of *document*."""
    replay(scenario(document), out=folder, figure=False, **TWINS)
    return folder


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flown(DAY, tmp_path_factory.mktemp("day") / "run")


def test_the_recorded_policy_decides_again_as_it_did(day: Path) -> None:
    found = backtest(day, ["autoscaler.cooldown=6s"])
    assert (found.parts, found.ends, found.otherwise) == (-1, -1, 0)
    assert len(found.turns) == 59
    assert rows(found) == []
    assert sentences(found) == [
        "Certain: to 1:58, in all of 59 turns, the other policy has the recorded fleet."
    ]


def test_an_estimated_fleet_is_nearly_the_one_that_the_other_policy_really_has(day: Path) -> None:
    found = backtest(day, [TIGHTER])
    document = {
        **DAY,
        "autoscaler": {**DAY["autoscaler"], "policy": {"target_tracking": {"target": "45/s"}}},
    }
    really = {row["time_ns"]: row["serving"] + row["booting"] for row in run(document).decisions.to_pylist()}
    assert 0 < found.parts < 30 * SECOND
    assert found.ends == -1, found.why
    # An autoscaler that looks every two seconds sees a boot of five take six.
    assert (found.boot, found.boots > 2) == (6 * SECOND, True)
    off = [abs(turn.own_size - really[turn.time]) for turn in found.turns]
    assert off[: found.parts // (2 * SECOND)] == [0] * (found.parts // (2 * SECOND))
    # Not exactly: samples are of servers, and an estimate spreads them evenly.
    assert max(off) <= 1
    assert sum(off) <= 6
    assert any(turn.own_size != turn.size for turn in found.turns)


def test_what_is_told_is_what_was_decided(day: Path) -> None:
    explanation = explain(day)
    story = explanation.story()
    events = [e for e in explanation.run.events if e["event"] == "decision" and e["actions"]]
    told = {sentence.start: sentence.text for sentence in story if "wanted: the policy" in sentence.text}
    changes = {e["t"]: e for e in events if e["desired"] != e["actual"]}
    assert told.keys() == changes.keys()
    for time, event in changes.items():
        assert f"{event['desired']} wanted: the policy asked for {event['desired']}" in told[time]
    held = [s for s in story if "no change, although the policy asked for" in s.text]
    assert held
    assert all("the cooldown of 6 s was not over" in s.text for s in held)


def test_a_turn_with_its_inputs(day: Path) -> None:
    explanation = explain(day)
    found = explanation.at(41 * SECOND)
    assert found.time == 40 * SECOND
    seen = [row for row in explanation.run.observations.to_pylist() if row["time_ns"] == 40 * SECOND]
    assert len(found.servers) == len(seen)
    serving = [cells for cells in found.servers if cells[0] != BOOTING]
    assert all(cells[1] == "0 s old" and cells[2].endswith("/s") for cells in serving)
    assert found.sentences[0].startswith("The autoscaler saw ")
    assert any("decided on at" in sentence for sentence in found.sentences)
    with pytest.raises(UsageError, match="expected a time from 2 s on"):
        explanation.at(SECOND)


def test_hindrances_are_told(tmp_path: Path) -> None:
    document = {
        **DAY,
        "fleet": {"app": {**DAY["fleet"]["app"], "max": 3}},
        "autoscaler": {**DAY["autoscaler"], "dead_after": "8s", "max_sample_age": "3s"},
        "faults": [
            {"name": "away", "type": "registry_down", "at": "9s", "for": "6s"},
            {"name": "crash", "type": "autoscaler_crash", "at": "90s", "for": "5s", "target": {"role": "autoscaler"}},
            {"name": "dies", "type": "kill", "at": "51s", "target": {"role": "app", "count": 1}},
        ],
    }  # fmt: skip
    folder = flown(document, tmp_path / "run")
    explanation = explain(folder)
    told = [(s.when, s.text) for s in explanation.story()]
    texts = " ".join(text for _, text in told)
    assert "Nothing was decided: the registry could not be reached." in texts
    assert "Nothing was decided: another autoscaler, or a dead one, held the lease." in texts
    assert "the maximum is 3" in texts
    assert "No turn took place" in texts
    assert "(silent)" in texts
    away = next(when for when, text in told if "registry could not" in text)
    assert away == "0:10 to 0:14"
    at = explanation.at(13 * SECOND)
    assert at.servers == ()
    assert at.sentences[0].startswith("Nothing was decided, and the fleet stayed as it was")
    # The dead server is no decision of the policy's, so that nobody can say which one another fleet would have lost.
    found = backtest(folder, ["fleet.app.max=8"])
    assert found.why


def test_missing_samples_are_told() -> None:
    document = steady(
        length="12s",
        fleet={"app": {"initial": 2}},
        autoscaler={"policy": {"threshold": {"requests_high": "900/s"}}, "interval": "1s", "max_sample_age": "2s"},
        faults=[{"name": "dies", "type": "kill", "at": "4s", "target": {"role": "app", "count": 1}}],
    )  # fmt: skip
    found = run(document)
    (dead,) = (event["server"] for event in found.events if event["event"] == "killed")
    spec = compile_plan(scenario(document)).fleet.autoscaler
    assert spec is not None
    told = [(s.when, s.text) for s in story(DecisionLog(found), spec)]
    assert ("0:06 to 0:11", f"No usable sample of server {dead}; the policy asked for 2.") in told


def test_both_engines_record_the_same(tmp_path: Path) -> None:
    document = {**DAY, "duration": "40s"}
    kernel, simpy = (run(document, engine=engine) for engine in ("kernel", "simpy"))
    assert kernel.decisions.equals(simpy.decisions)
    assert kernel.observations.equals(simpy.observations)
    assert kernel.observations.num_rows > 30


def test_a_run_that_was_cut_off_is_explained_to_where_it_was(day: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(day, folder)
    (folder / "summary.json").unlink()
    assert explain(folder).story() == explain(day).story()
    (folder / "observations.parquet").unlink()
    (folder / "decisions.parquet").unlink()
    with pytest.raises(RunError, match=r"expected a run that recorded its autoscaler's decisions"):
        explain(folder)


def test_runs_without_a_record_are_one_sentence(tmp_path: Path) -> None:
    folder = flown(steady("5/s", "2s"), tmp_path / "run")
    assert not (folder / "decisions.parquet").exists()
    with pytest.raises(RunError, match="its scenario has no autoscaler"):
        explain(folder)
    with pytest.raises(RunError, match=r"expected a run's directory"):
        backtest(tmp_path, ["autoscaler.cooldown=1s"])


def test_a_damaged_record_is_one_sentence(day: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(day, folder)
    (folder / "observations.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RunError, match="damaged run"):
        explain(folder)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        ([], UsageError, "expected --set with another policy"),
        (
            ["autoscaler.interval=5s"],
            UsageError,
            "--set autoscaler.interval: expected one of autoscaler.policy",
        ),
        (["traffic.users.stages[0].rate=9/s"], UsageError, "nothing else"),
        (["autoscaler.polcy=1"], ScenarioError, "polcy"),
    ],
)
def test_what_a_backtest_cannot_change(
    day: Path, overrides: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        backtest(day, overrides)


def test_the_commands(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert app(list(words), standalone_mode=False) is None
        return capsys.readouterr().out

    assert "wanted: the policy asked for" in said("explain", str(day))
    assert said("explain", str(day), "--at", "0:41").startswith("The turn at 0:40:")
    assert json.loads(said("explain", str(day), "--at", "41s", "--json"))["time_ns"] == 40 * SECOND
    assert json.loads(said("explain", str(day), "--json"))[-1]["text"].startswith("59 turns in all")
    text = said("backtest", str(day), "--set", TIGHTER)
    assert "Estimate: to 1:58, as if" in text
    data = json.loads(said("backtest", str(day), "--set", TIGHTER, "--json"))
    assert len(data["turns"]) == 59
    with pytest.raises(UsageError, match="--at: expected a time such as 3m10s or 3:10"):
        app(["explain", str(day), "--at", "noon"], standalone_mode=False)


def test_a_day_of_ten_servers_is_small(tmp_path: Path) -> None:
    """A turn every ten seconds; samples that never repeat, which is the worst case."""
    from windtunnel.core.draws import draw, key, uniform
    from windtunnel.core.policies.view import FleetView, Proposal, ServerView
    from windtunnel.core.records import rows_of
    from windtunnel.core.scaling_decision import Decision
    from windtunnel.reports.sink import DirectorySink
    from windtunnel.reports.tables import names_of

    sink = DirectorySink(tmp_path / "run", names_of(["users"], ["/"]), {})
    stream = key(1, "day")
    for turn in range(1, 8641):
        now = turn * 10 * SECOND
        share = [uniform(draw(stream, turn, n, 0)) for n in range(10)]
        servers = tuple(
            ServerView(
                f"http://10.0.0.{n}", {"requests": 200.0 + int(9 * u), "memory": u, "cpu": u * u, "in_flight": 3.0}, 0, now
            )
            for n, u in enumerate(share)
        )  # fmt: skip
        figures = {"average": sum(share), "ratio": share[0]}
        decision = Decision(
            10, 10, "within", (), FleetView(now, servers), Proposal(10, "within", figures=figures)
        )
        sink.decided(*rows_of(now, decision, False))
        if turn % 100 == 0:
            sink.flush()
            assert sum(map(len, sink.records.values())) == 0
    sink.finish(86_400 * SECOND)
    size = sum(
        (tmp_path / "run" / f"{name}.parquet").stat().st_size for name in ("decisions", "observations")
    )
    assert size < 30 * 2**20 / 5
    assert Run(sink.table, (), {}).observations.num_rows == 86_400
