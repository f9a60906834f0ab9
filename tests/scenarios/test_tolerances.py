"""Tolerances as a user writes them."""

from pathlib import Path

import pytest
from windtunnel import ScenarioError
from windtunnel.core.errors import UsageError
from windtunnel.core.tolerance import DEFAULTS, Tolerance, tolerance_of
from windtunnel.scenarios.tolerances import tolerances


def test_texts_change_the_defaults() -> None:
    assert tolerances() == DEFAULTS
    found = tolerances(
        [
            "p95=30%",
            "p50=5ms",
            "fleet_size=10%",
            "decisions=2",
            "throughput=any",
            "client_timeout=0.2%",
            "instance_hours=1.5",
        ]
    )
    assert found == {
        "p50": Tolerance(5e6), "p95": Tolerance(0.3, relative=True), "outcomes": Tolerance(0.01),
        "fleet_size": Tolerance(0.1, relative=True), "decisions": Tolerance(2), "client_timeout": Tolerance(0.002),
        "instance_hours": Tolerance(1.5),
    }  # fmt: skip
    assert tolerance_of("client_timeout", found) == Tolerance(0.002)
    assert tolerance_of("ok", found) == Tolerance(0.01)
    assert tolerance_of("p99", found) is None


def test_a_file_and_texts_over_it(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("p95: 150%\np99: 10%\ndecisions: any\n")
    found = tolerances([str(path), "p99=20%"])
    assert found["p95"] == Tolerance(1.5, relative=True)
    assert found["p99"] == Tolerance(0.2, relative=True)
    assert "decisions" not in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "p95=3",
            "--tolerance p95=3: p95: expected a percentage or a duration, such as 20% or 5ms, or any, got 3",
        ),
        ("outcomes=0.5", "expected points of a share, such as 1%, or any, got 0.5"),
        ("decisions=1.5", "expected a whole number of ticks, such as 1, or any, got 1.5"),
        ("fleet_size=-1", "expected a percentage or a number, such as 10% or 0.5, or any, got -1"),
        ("fleet_size=nan", "got nan"),
        ("p59=3%", "p59: unknown key; did you mean"),
        ("pending=3%", "pending: unknown key"),
    ],
)
def test_a_bad_text_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        tolerances([text])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bad_file_has_a_sentence_per_field(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("p50: 3\nP95: 4%\nok:\nqueue_full: 2%\n")
    with pytest.raises(ScenarioError) as error:
        tolerances([str(path)])
    assert str(error.value).splitlines() == [
        f"{path}:1:6: p50: expected a percentage or a duration, such as 20% or 5ms, or any, got 3",
        f"{path}:2:1: P95: unknown key; did you mean 'p95'?",
        f"{path}:3:4: ok: expected a value, got nothing",
    ]
    with pytest.raises(ScenarioError, match="cannot be read: No such file or directory"):
        tolerances([str(tmp_path / "nowhere.yaml")])
    path.write_text("")
    with pytest.raises(ScenarioError, match="expected tolerances, got an empty file"):
        tolerances([str(path)])


def test_the_edge_is_within() -> None:
    assert Tolerance(0.1, relative=True).covers(1.0, 1.1)
    assert Tolerance(0.01).covers(0.64, 0.65)
    assert not Tolerance(0.1, relative=True).covers(1.0, 1.1001)
    assert Tolerance(0).covers(5, 5)
    assert not Tolerance(0).covers(5, 5.001)
