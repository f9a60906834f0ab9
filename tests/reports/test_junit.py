"""Verdicts for build servers."""

import xml.etree.ElementTree as ET
from pathlib import Path

from windtunnel.campaign import cases_of_campaign, run_campaign, variants
from windtunnel.reports.junit import Case, cases_of_run, junit, write_junit
from windtunnel.tests.command_line import windtunnel
from windtunnel.tests.scenarios.test_files import GOOD
from windtunnel.tests.support import run, steady
from windtunnel.tests.test_cli import TWINS

SLOS = [
    {"name": 'a <&> "b"', "indicator": "latency_p99", "below": "1ms"},
    {"name": "up", "indicator": "availability", "above": "99%"},
]


def test_a_case_per_objective() -> None:
    summary = run(steady(slo=SLOS)).summary
    root = ET.fromstring(junit("s <x>", cases_of_run(summary), {"seed": "1"}))
    assert root.attrib == {"tests": "2", "failures": "1", "errors": "0"}
    (suite,) = root
    assert suite.get("name") == "s <x>"
    failed, passed = suite.findall("testcase")
    assert failed.get("name") == 'a <&> "b"'
    failure = failed.find("failure")
    assert failure is not None
    value = summary["slo"][0]["value"] / 1e6
    assert failure.get("message") == f"expected latency_p99 below 1ms, measured {value:,.2f} ms"
    assert failure.text == f"bound 1.00 ms, measured {value:,.2f} ms"
    assert passed.get("name") == "up"
    assert not list(passed)
    assert [(one.get("name"), one.get("value")) for one in suite.iter("property")] == [("seed", "1")]


def test_what_xml_cannot_hold_is_replaced(tmp_path: Path) -> None:
    write_junit(tmp_path / "new" / "j.xml", "a\x00b\x1b", [Case("\ud800]]>", "\x08", "\uffff")], {})
    root = ET.parse(tmp_path / "new" / "j.xml").getroot()
    assert root[0].get("name") == "a\ufffdb\ufffd"
    assert root[0][1].get("name") == "\ufffd]]>"


def test_no_objective_is_no_case() -> None:
    root = ET.fromstring(junit("none", cases_of_run(run(steady()).summary), {}))
    assert root.get("tests") == "0"


def test_over_seeds_undecided_fails() -> None:
    (result,) = run_campaign(
        variants("steady", ["duration=3s", "slo[0].above=0%", "slo[1].below=40ms"]), 3, 1
    )
    held, *_ = cases_of_campaign(result)
    assert held.failure == ""
    for case, objective in zip(cases_of_campaign(result), result.objectives, strict=True):
        good = objective.verdict in ("held", "no data")
        assert (case.failure == "") == good
        if not good:
            assert f"{objective.verdict}, held in {objective.held} of 3 seeds" in case.failure


def test_the_command_line_writes_it(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(GOOD.replace("below: 100ms", "below: 1ms"))
    for more in (("--no-figure", "--out", "run", *TWINS), ("--seeds", "2")):
        done = windtunnel("replay", "s.yaml", "--junit", "out/j.xml", *more, folder=tmp_path)
        assert done.returncode == 3, done.stderr
        root = ET.parse(tmp_path / "out" / "j.xml").getroot()
        assert root.get("failures") == "1"
    bad = windtunnel("replay", "s.yaml", "--junit", "out", "--no-figure", folder=tmp_path)
    assert bad.returncode == 2
    assert not (tmp_path / "runs").exists()
