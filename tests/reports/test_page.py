"""The page: its order, that it needs nothing else, that it is safe, the same each time, and honest about partial runs."""

import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from windtunnel import Run, RunError, Scenario, replay, report
from windtunnel.core.errors import UsageError
from windtunnel.reports.drawing import plain
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.figure import PICTURES
from windtunnel.reports.page.html import render
from windtunnel.reports.page.markup import table
from windtunnel.reports.page.pages import SECTIONS, live_page, recorded_page
from windtunnel.reports.panels_events import shown
from windtunnel.reports.violations import fault_spans
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.command_line import windtunnel
from windtunnel.tests.support import TWINS, scenario, steady
from windtunnel.tests.support import run as run_document

VOID = {"meta", "img", "br", "link", "hr", "input"}
HOSTILE = "<script>alert(1)</script>&\"'$x^2$ _"


class Reader(HTMLParser):
    """Checks that tags are balanced and collects what matters."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.sections: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags[tag] += 1
        self.ids.update(value for name, value in attrs if name == "id" and value)
        self.links += [found[name] or "" for name in ("href", "src", "xlink:href") if name in found]
        if tag == "section":
            self.sections.append(found["id"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    replay(
        Scenario.load(
            "server-dies", ["duration=40s", "fleet.proxy.retries.attempts=0", "slo[0].below=0.01%"]
        ),
        out=path,
        **TWINS,
    )
    return path


@pytest.fixture(scope="module")
def drawn(directory: Path) -> str:
    (path,) = report(directory)
    assert path == directory / "report.html"
    return path.read_text(encoding="utf-8")


def test_sections_come_in_the_documented_order(drawn: str) -> None:
    order = ["verdict", "identity", "outcomes", "errors", "latency", "map", "timeline", "servers", "recovery", "beside", "hints",
             "proxy", "cost"]  # fmt: skip
    assert [anchor for anchor, _, _ in SECTIONS] == order
    assert Reader(drawn).sections == order
    text = (Path(__file__).parents[2] / "docs" / "report.md").read_text()
    places = [text.index(f"\n## {number}. {title}\n") for number, (_, title, _) in enumerate(SECTIONS, 1)]
    assert places == sorted(places)


def test_a_replay_leaves_the_same_page_as_report(tmp_path: Path) -> None:
    replay(Scenario.load("steady", ["duration=2s"]), out=tmp_path / "run", **TWINS)
    path = tmp_path / "run" / "report.html"
    text = path.read_text(encoding="utf-8")
    report(tmp_path / "run")
    assert path.read_text(encoding="utf-8") == text


def test_the_page_needs_nothing_else(drawn: str, directory: Path) -> None:
    found = Reader(drawn)
    assert not found.tags["link"]
    assert not found.tags["img"]
    assert all(link.startswith(("#", "data:")) for link in found.links)
    assert not re.search(r"https?:|@import|url\((?!#)|file:", drawn)
    assert not re.search(r"fetch\(|XMLHttpRequest|sendBeacon|importScripts", drawn)
    assert str(directory) not in drawn
    assert max(found.ids.values()) == 1
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)


def test_light_dark_and_print(drawn: str) -> None:
    assert "@media (prefers-color-scheme: dark)" in drawn
    assert "@media print" in drawn


def test_landmarks_headings_and_what_stands_without_scripts(drawn: str) -> None:
    found = Reader(drawn)
    for tag in ("header", "nav", "main", "h1", "noscript"):
        assert found.tags[tag] == 1, tag
    assert found.tags["h2"] == len(found.sections)
    assert found.tags["table"] >= 10
    # Each chart has a heading of its own, and room for a table of its figures.
    charts = drawn.count('<figure class="chart"')
    assert charts == drawn.count('<details class="figures">') == drawn.count('<h3 id="chart-') >= 8


def test_the_verdict_in_words(drawn: str) -> None:
    text = Reader(drawn).text
    for words in (
        "✗ violated: 1 of 2 objectives",
        "hidden",
        "0.010%",
        "✓ held",
        "beyond",
        "within",
        "one-dies (kill, server ",
    ):
        assert words in text
    assert "windtunnel verify ." in text
    assert "windtunnel replay scenario.yaml --seed 1" in text


def test_the_digest_is_on_the_page(drawn: str, directory: Path) -> None:
    assert Run.open(directory).digest in drawn


def test_the_same_run_gives_the_same_page(drawn: str, directory: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(directory, tmp_path / "elsewhere"))
    (again,) = report(copy)
    assert again.read_text(encoding="utf-8") == drawn


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_each_figure_as_a_file(directory: Path, tmp_path: Path, suffix: str) -> None:
    copy = Path(shutil.copytree(directory, tmp_path / "run"))
    paths = report(copy, suffix)
    assert [path.name for path in paths] == [f"{name}.{suffix}" for name in PICTURES]
    first = [path.read_bytes() for path in paths]
    report(copy, suffix)
    assert [path.read_bytes() for path in paths] == first
    assert all(len(content) > 2000 for content in first)


def test_names_of_a_scenario_are_no_markup() -> None:
    document = {
        **steady(length="3s"),
        "scenario": HOSTILE,
        "traffic": [{"name": HOSTILE, "stages": [{"for": "3s", "rate": "50/s"}]}],
        "endpoints": [{"path": f"/{HOSTILE}", "calls": [HOSTILE]}],
        "fleet": {"dependencies": [{"name": HOSTILE, "service": {"constant": "1ms"}}]},
        "faults": [{"name": HOSTILE, "type": "kill", "at": "1s"}],
        "slo": [{"name": HOSTILE, "indicator": "latency_p99", "below": "1ms"}],
    }
    evidence = Evidence.of(run_document(document), compile_plan(scenario(document)).fleet)
    text = render(recorded_page(evidence))
    found = Reader(text)
    assert found.tags["script"] == 2
    assert found.text.count(HOSTILE) > 5
    assert "alert(1)</script>" not in text


def test_a_live_page_has_no_conclusions() -> None:
    fleet = compile_plan(Scenario.load("server-dies")).fleet
    text = render(live_page(fleet), embedded=False, scripts="<script>begin()</script>")
    found = Reader(text)
    assert found.sections == ["verdict", "map", "timeline", "servers"]
    assert 'id="windtunnel-document"' not in text
    assert "under way" in found.text


def interrupted(path: Path, second: int = 20) -> Path:
    """A run that was cut off after some seconds."""

    def stop(now: int, end: int) -> None:
        if now >= second * 10**9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(Scenario.load("server-dies"), out=path, progress=stop, **TWINS)
    assert Run.open(path).partial
    return path


def test_a_partial_run_is_drawn_and_called_partial(tmp_path: Path) -> None:
    (path,) = report(interrupted(tmp_path / "run"))
    found = Reader(path.read_text(encoding="utf-8"))
    for words in (
        "partial: this run was cut off",
        "no verdict (partial)",
        "none (partial run)",
        "recorded up to 0:",
    ):
        assert words in found.text
    for words in ("✓ held", "✗ violated", "✓ passed", "windtunnel verify"):
        assert words not in found.text
    assert len(report(tmp_path / "run", "png")) == len(PICTURES)


def test_a_run_cut_off_before_anything_was_written(tmp_path: Path) -> None:
    folder = interrupted(tmp_path / "run", 2)
    for part in (folder / "parts").iterdir():
        part.unlink()
    (folder / "events.jsonl").write_text("")
    (path,) = report(folder)
    assert "partial" in Reader(path.read_text(encoding="utf-8")).text


def test_the_summary_of_what_is_recorded_agrees_with_that_of_the_whole(
    directory: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(directory, tmp_path / "run"))
    (copy / "summary.json").unlink()
    whole, cut = Run.open(directory).summary, Run.open(copy)
    fleet = compile_plan(Scenario.load(copy / "scenario.yaml")).fleet
    assert Evidence.of(cut, fleet).summary == {**whole, "digest": ""}


@pytest.mark.parametrize("document", [
    {"duration": "2s"},
    {"duration": "2s", "fleet": {"app": {"initial": 0}}},
    steady(length="2s", fleet={"app": {"initial": 0}}),
    {"duration": "2s", "traffic": [{"name": "m", "flood": {"stages": [{"for": "1s", "rate": "9/s"}], "connections": 1}}]},
])  # fmt: skip
def test_runs_with_next_to_nothing(document: dict[str, object]) -> None:
    evidence = Evidence.of(run_document(document), compile_plan(scenario(document)).fleet)
    assert len(Reader(render(recorded_page(evidence))).sections) == len(SECTIONS)


def test_faults_that_last_and_events_nobody_knew() -> None:
    events = [
        {"t": 1, "event": "fault", "name": "a", "type": "slow", "targets": [1], "until": 9},
        {"t": 2, "event": "fault", "name": "b", "type": "loss", "targets": ["db"], "until": -1},
        {"t": 3, "event": "fault", "name": "c", "type": "kill", "targets": [1]},
        {"t": 4, "event": "fault_over", "name": "a", "type": "slow"},
    ]
    assert fault_spans(events, 20) == [("a", 1, 4), ("b", 2, 20)]


def test_another_run_beside_it(directory: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(directory, tmp_path / "flight"))
    (path,) = report(copy, beside=directory)
    found = Reader(path.read_text(encoding="utf-8"))
    for words in (
        "in 20 batches of time: within tolerance",
        "B - A, 95% interval",
        "draws their curves beside each other",
    ):
        assert words in found.text, words
    with pytest.raises(UsageError, match="--beside: expected the format html, got 'png'"):
        report(copy, "png", beside=directory)


def test_an_event_without_a_mark_has_a_row(directory: Path) -> None:
    run = Run.open(directory)
    fleet = compile_plan(Scenario.load(directory / "scenario.yaml")).fleet
    alert = '{"event":"alert_fired","name":"x","t":5}'
    more = Run(run.table, (*run.lines[:-1], alert, run.lines[-1]), run.summary)
    assert shown(Evidence(more, fleet))["alert_fired"] == [5]


def test_bad_input_is_one_sentence_and_exit_code_2(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    copy = Path(shutil.copytree(directory, tmp_path / "copy"))
    (copy / "scenario.yaml").unlink()
    for arguments, message in (
        (("empty",), "empty: expected a run's directory with events.jsonl"),
        (("nowhere",), "nowhere: expected a run's directory with events.jsonl"),
        (("copy", "--format", "gif"), "--format: expected one of html, png, svg, pdf, got 'gif'"),
        (("copy",), "copy/scenario.yaml: "),
    ):
        done = windtunnel("report", *arguments, folder=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(message)
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_a_damaged_table_is_a_sentence(directory: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(directory, tmp_path / "copy"))
    table = copy / "metrics.parquet"
    content = bytearray(table.read_bytes())
    content[4:400] = bytes(396)
    table.write_bytes(content)
    with pytest.raises(RunError, match="damaged run"):
        report(copy)
    with pytest.raises(UsageError):
        report(copy, "bmp")


def test_what_was_never_used_has_no_server_and_no_time(tmp_path: Path) -> None:
    """The steady fleet models no memory: its greatest is no server's."""
    replay(Scenario.load("steady", ["duration=2s"]), out=tmp_path / "run", **TWINS)
    text = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<td>memory</td><td class=n>0\.0 MiB</td><td></td><td></td>", text)
    assert "server 0" not in text


def test_only_long_words_of_a_table_are_broken() -> None:
    drawn = table(("name", "size"), [("short words " * 9, "1"), ("x" * 60, "2")], (1,))
    assert drawn.count("class=long") == 1
    assert f"<td class=long>{'x' * 60}</td>" in drawn


@pytest.mark.parametrize(
    ("value", "text"), [(2000, "2,000"), (1, "1"), (0.5, "0.5"), (0.00002, "0.00002"), (0.01 * 100, "1")]
)
def test_logarithmic_axes_have_plain_numbers(value: float, text: str) -> None:
    assert plain(value) == text
