"""The panel of alerts: when each fired, and the verdicts of what was expected."""

from typing import Any

from windtunnel.core.alerts import ExpectSpec, ExpectVerdict
from windtunnel.core.model import SECOND
from windtunnel.reports.drawing import look
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.figure import draw
from windtunnel.reports.panels_events import alert_height, firing, in_short, shown, verdicts_of
from windtunnel.tests.support import plan, run, steady


def alerting(**more: Any) -> Evidence:
    """100/s between 5 s and 10 s, 10/s else, on a server that is overloaded above 50/s."""
    document = steady(
        "10/s", "20s",
        autoscaler={"policy": {"threshold": {"requests_high": "1000/s"}}},
        alerts=[
            {"name": "overload$", "when": {"metric": "requests", "above": "50/s"}, "clear_after": "2s"},
            {"name": "a name that is too long for the margin", "when": {"standby": {"below": 1}}},
        ],
        expect=[
            {"alert": "overload$", "within": "3s", "of": "5s"},
            {"alert": "overload$", "fires": False, "within": "4s"},
            {"alert": "overload$", "within": "2s", "of": "12s"},
        ],
        **more,
    )  # fmt: skip
    document["traffic"][0]["stages"] = [
        {"for": f"{n}s", "rate": r} for n, r in ((5, "10/s"), (5, "100/s"), (10, "10/s"))
    ]
    document["traffic"][0]["arrivals"] = "constant"
    return Evidence.of(run(document), plan(document).fleet)


def test_intervals_and_verdicts() -> None:
    evidence = alerting()
    assert firing(evidence, "overload$") == [(6 * SECOND, 13 * SECOND)]
    assert firing(evidence, "a name that is too long for the margin") == [(SECOND, evidence.end)]
    assert [in_short(one) for one in verdicts_of(evidence, "overload$")] == [
        "✓ after 1 s",
        "✓ silent",
        "✗ never fired",
    ]
    assert "alert" not in shown(evidence)


def test_the_panel_has_a_row_for_each_and_bars_where_it_fires() -> None:
    evidence = alerting()
    with look():
        figure = draw(evidence, "events")
    axis = figure.axes[0]
    labels = [text.get_text() for text in axis.get_yticklabels()]
    assert labels == [r"overload\$", "expected", "not expected", "expected", "a name that is…"]
    patches: list[Any] = list(axis.patches)
    bars = [(bar.get_x(), bar.get_width(), round(bar.get_y() + bar.get_height() / 2)) for bar in patches]
    assert bars == [(6.0, 7.0, 0), (1.0, evidence.seconds - 1.0, 4)]
    assert {text.get_text() for text in axis.texts} == {"✓ after 1 s", "✓ silent", "✗ never fired"}


def test_without_alerts_there_is_no_panel() -> None:
    document = steady()
    evidence = Evidence.of(run(document), plan(document).fleet)
    assert alert_height(evidence) == 0
    with look():
        assert len(draw(evidence, "events").axes) == 1


def test_words() -> None:
    def said(fires: bool, value: int | None, held: bool) -> str:
        return in_short(ExpectVerdict(ExpectSpec("a", fires, 0, SECOND, ""), value, held))

    assert said(True, 1_500_000_000, True) == "✓ after 1.5 s"
    assert said(True, 90 * SECOND, False) == "✗ after 90 s"
    assert said(False, 2, False) == "✗ fired 2 times"
    assert said(False, 1, False) == "✗ fired 1 time"
