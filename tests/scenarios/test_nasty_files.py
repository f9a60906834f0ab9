"""Nasty scenario files: what YAML, editors and hurried people do to a file, and the one right sentence at the right line."""

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel import Scenario, ScenarioError, library
from windtunnel.scenarios.problems import Problem
from windtunnel.scenarios.references import warnings
from windtunnel.tests.scenarios.test_files import GOOD, problems

NASTY: dict[str, tuple[str, str, str]] = {
    # Values that YAML 1.1 would read as something else.
    "sexagesimal": ("slo:", "faults: [{name: a, type: kill, at: 1:30}]\nslo:",
     "s.yaml:10:36: faults[0].at: expected a duration such as 30s, 500ms or 1h30m, got '1:30'"),
    "octal": ("initial: 2", "initial: 010", "s.yaml:4:18: fleet.app.initial: expected a whole number, got '010'"),
    "yes as number": ("initial: 2", "initial: yes", "s.yaml:4:18: fleet.app.initial: expected a whole number, got 'yes'"),
    "true as name": ("name: users", "name: true", "s.yaml:8:11: traffic[0].name: expected text, got true"),
    "number as name": ("scenario: test", "scenario: 2024", "s.yaml:1:11: scenario: expected text, got 2024"),
    "date as duration": ("duration: 10s", "duration: 2024-01-01",
     "s.yaml:2:11: duration: expected a duration such as 30s, 500ms or 1h30m, got '2024-01-01'"),
    # Nothing where something is expected.
    "no value": ("initial: 2", "initial: ", "s.yaml:4:17: fleet.app.initial: expected a value, got nothing"),
    "no mapping": ("  app: {initial: 2}", "  proxy: {health_check: }", "s.yaml:4:24: fleet.proxy.health_check: expected a value, got nothing"),
    "no entry": ("    stages: [{for: 10s, rate: 20/s}]", "    stages:\n      -\n      - {for: 10s, rate: 2/s}",
     "s.yaml:10:8: traffic[0].stages[0]: expected a value, got nothing"),
    "null as name": ("name: users", "name: ~", "s.yaml:8:11: traffic[0].name: expected text, got nothing"),
    # Keys that stand elsewhere, or nowhere.
    "misplaced": ("initial: 2", "initial: 2, routing: random", "s.yaml:4:21: fleet.app.routing: unknown key here; it belongs in fleet.proxy"),
    "misplaced below": ("    stages", "    timeout: 3s\n    stages", "s.yaml:9:5: traffic[0].timeout: unknown key here; it belongs in client"),
    "misplaced part": ("slo:", "proxy: {routing: random}\nslo:", "s.yaml:10:1: proxy: unknown key here; it belongs in fleet"),
    "case": ("duration: 10s", "Duration: 10s", "s.yaml:2:1: Duration: unknown key; did you mean 'duration'?"),
    "name in Python": ("for: 10s", "for_: 10s", "s.yaml:9:15: traffic[0].stages[0].for_: unknown key; did you mean 'for'?"),
    "number as key": ("slo:", "1: 2\nslo:",
     "s.yaml:10:1: 1: unknown key; known are alerts, autoscaler, deploys, description, duration, endpoints, expect, faults, fleet, initial_version, invariants, profile, scenario, search, seed, slo, traffic, versions"),
    "merge key": ("{initial: 2}", "{<<: {initial: 2}}",
     "s.yaml:4:9: fleet.app: expected plain keys, got << (merge keys are not read: write the keys out, or give an alias for the whole value)"),
    "tag on a key": ("scenario:", "!!python/name:os.system scenario:", "s.yaml:1:1: expected plain keys, got the tag !!python/name:os.system"),
    "tag on a mapping": ("{initial: 2}", "!app {initial: 2}", "s.yaml:4:8: fleet.app: expected a plain mapping, got the tag !app"),
    "escape in a key": ("slo:", '"\\x1b[31m": 2\nslo:',
     "s.yaml:10:1: '\\x1b[31m': unknown key; known are alerts, autoscaler, deploys, description, duration, endpoints, expect, faults, fleet, initial_version, invariants, profile, scenario, search, seed, slo, traffic, versions"),
    # The wrong kind of thing.
    "mapping for list": ("  - name: users\n    stages:", "  users:\n    stages:", "s.yaml:7:1: traffic: expected a list (each entry begins with a dash), got a mapping"),
    "text for mapping": ("fleet:\n  app: {initial: 2}", "fleet: none", "s.yaml:3:8: fleet: expected a mapping with app, proxy, network, ..., got 'none'"),
    "bare duration": ("{constant: 5ms}", "5ms",
     "s.yaml:6:20: endpoints[0].cpu: expected a distribution such as {constant: 5ms} or {exponential: {mean: 5ms}}, got '5ms'"),
    "bare mean": ("{constant: 5ms}", "{exponential: 5ms}", "s.yaml:6:34: endpoints[0].cpu.exponential: expected a mapping with mean, got '5ms'"),
    "distribution without value": ("{constant: 5ms}", "{constant: ~}", "s.yaml:6:20: endpoints[0].cpu: expected a value for constant, got nothing"),
    "bare bound": ("below: 100ms", "below: 0.1", "s.yaml:11:49: slo[0].below: expected a duration such as 30s, 500ms or 1h30m, got 0.1"),
    "percentile with a point": ("latency_p99", "latency_p99.9",
     "s.yaml:11:29: slo[0].indicator: expected one of latency_p99 (or another percentile), latency_mean, latency_max, error_rate, availability, throughput, got 'latency_p99.9'; did you mean 'latency_p999'?"),
    "pool misspelt": ("    stages", "    client: {connections: {pol: 5}}\n    stages", "s.yaml:9:28: traffic[0].client.connections.pol: unknown key; did you mean 'pool'?"),
    "rate misspelt": ("20/s", "{poisson: 3/s}", "s.yaml:9:32: traffic[0].stages[0].rate.poisson: unknown key; known are constant, every, uniform"),
    # Quantities.
    "digits of another script": ("duration: 10s", "duration: ١٠s", "s.yaml:2:11: duration: expected a duration such as 30s, 500ms or 1h30m, got '١٠s'"),
    "too long": ("duration: 10s", "duration: 401d", "s.yaml:2:11: duration: expected a value at most 9600h, got '401d'"),
    "too many": ("initial: 2", "initial: 10000000", "s.yaml:4:18: fleet.app.initial: expected a value at most 1000000, got 10000000"),
    "huge seed": ("duration:", f"seed: {2**63}\nduration:", f"s.yaml:2:7: seed: expected a value below {2**63}, got {2**63}"),
    "infinite rate": ("20/s", "9" * 400 + "/s", f"s.yaml:9:31: traffic[0].stages[0].rate: expected a rate below 1000000000/s, got '{'9' * 56}..."),
    "too many requests": ("{for: 10s, rate: 20/s}", "{for: 9h, to: 900000000/s}",
     "s.yaml:9:13: traffic[0].stages: expected fewer than 68719476736 requests of one source, got about 1.5e+13"),
    "long name": ("scenario: test", "scenario: " + "x" * 500, "s.yaml:1:11: scenario: expected at most 200 characters, got 500"),
    # YAML that cannot be parsed: at the place that is wrong, not where the parser gave up.
    "no colon": ("duration: 10s", "duration 10s", "s.yaml:2:1: not valid YAML: expected a key, a colon and a space, such as duration: 2m"),
    "no space": ("duration: 10s", "duration:10s", "s.yaml:2:1: not valid YAML: expected a key, a colon and a space, such as duration: 2m"),
    "tab behind the colon": ("duration: 10s", "duration:\t10s", "s.yaml:2:10: not valid YAML: found a tab (YAML indents with spaces, not tabs)"),
    "open quote": ("scenario: test", "scenario: 'test", "s.yaml:1:11: not valid YAML: a quote is opened here and never closed"),
    "open brace": ("{initial: 2}", "{initial: 2", "s.yaml:5:10: not valid YAML: expected ',' or '}' in what is opened in line 4"),
    "indentation": ("    stages", "   stages", "s.yaml:9:4: not valid YAML: expected the indentation of line 8, where this list begins"),
    "percent sign": ("below: 100ms", "below: %5", "s.yaml:11:49: not valid YAML: text that begins with % needs quotes"),
    "star": ("path: /,", "path: *,", "s.yaml:6:12: not valid YAML: text that begins with * needs quotes"),
    "no anchor": ("{constant: 5ms}", "*c", "s.yaml:6:20: not valid YAML: expected an anchor &c above, got none"),
    "anchor twice": ("{constant: 5ms}", "&c {constant: 5ms}, io: &c {constant: 1ms}", "s.yaml:6:44: not valid YAML: anchor 'c' given twice, first in line 6"),
    "two documents": ("slo:", "---\nslo:", "s.yaml:10:1: not valid YAML: expected one document in the file, got more after its end"),
    "control character": ("scenario: test", "scenario: te\x00st", "s.yaml:1:13: expected text, got the control character U+0000"),
}  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_nasty(name: str, tmp_path: Path) -> None:
    old, new, expected = NASTY[name]
    assert old in GOOD
    assert problems(GOOD.replace(old, new, 1), tmp_path) == [expected]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(("name: users", f"name: {text}") for text in ("on", "no", "yes", "1:30", "010", "2024-01-01", "=")),
        ("scenario: test", "scenario: 🚀"),
        ("cpu: {constant: 5ms}", "cpu: &c {constant: 5ms}, io: *c"),
        ("initial: 2", "initial: 0x10"),
        ("initial: 2", "max: ~"),
        ("below: 100ms", "above: 0"),
    ],
)
def test_legal_and_still_so_when_resolved(old: str, new: str) -> None:
    scenario = Scenario.parse(GOOD.replace(old, new, 1))
    again = Scenario.parse(scenario.to_yaml())
    assert again.fingerprint() == scenario.fingerprint()
    assert again.document.traffic[0].name == scenario.document.traffic[0].name


def test_what_to_think_of_foreign_samples_is_in_the_scenario_and_not_in_its_hash() -> None:
    """A rehearsal has none, so that it cannot change a result."""
    text = GOOD + "autoscaler: {policy: {threshold: {requests_high: 9/s}}}\n"
    one, two = (
        Scenario.parse(text.replace("9/s}}", f"9/s}}}}, foreign: {word}")) for word in ("trust", "unknown")
    )
    assert one.fingerprint() == two.fingerprint() == Scenario.parse(text).fingerprint()
    assert Scenario.parse(two.to_yaml()).resolved()["autoscaler"]["foreign"] == "unknown"
    with pytest.raises(ScenarioError, match="foreign: expected 'trust' or 'unknown', got 'distrust'"):
        Scenario.parse(text.replace("9/s}}", "9/s}}, foreign: distrust"))


@pytest.mark.parametrize(
    "content",
    [GOOD.encode("utf-8-sig"), GOOD.replace("\n", "\r\n").encode(), GOOD.replace("\n", "\r").encode()],
    ids=["BOM", "CRLF", "CR"],
)
def test_what_editors_add_changes_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(content)
    assert Scenario.load(tmp_path / "s.yaml").fingerprint() == Scenario.parse(GOOD).fingerprint()
    (tmp_path / "s.yaml").write_bytes(content.replace(b"20/s", b"20"))
    with pytest.raises(
        ScenarioError, match=r"s\.yaml:9:31: traffic\[0\]\.stages\[0\]\.rate: expected a rate"
    ):
        Scenario.load(tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ":1:1: expected a scenario, got an empty file"),
        (b"# later\n---\n", ":1:1: expected a scenario, got an empty file"),
        (b"- scenario: x", ":1:1: expected a mapping with the key scenario, got a list"),
        (b"hello", ":1:1: expected a mapping with the key scenario, got 'hello'"),
        (GOOD.encode("utf-16"), ":1:1: expected UTF-8 text, got UTF-16"),
        (GOOD.encode().replace(b"users", b"us\xe9rs"), ":8:1: expected UTF-8 text, got the byte 0xe9"),
        (b"\x89PNG\r\n\x1a\n\x00", ":1:1: expected UTF-8 text, got the byte 0x89"),
        (b"scenario: " + b"{a: " * 400 + b"}" * 400,
         ":1:211: expected a smaller document, nested at most 50 deep"),
        (b"x" * (4 * 2**20 + 1), ": expected a file of at most 4 MiB"),
    ],
)  # fmt: skip
def test_files_that_are_no_scenario(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(path)
    assert str(caught.value) == f"{path}{expected}"


def test_only_ordinary_files_are_read(tmp_path: Path) -> None:
    for path, kind in ((tmp_path, "a directory"), (Path(os.devnull), "something that is no ordinary file")):
        with pytest.raises(ScenarioError) as caught:
            Scenario.load(path)
        assert str(caught.value) == f"{path}: expected a scenario file, got {kind}"
    for key in ("rate_csv", "loadtest"):
        text = GOOD.replace("    stages: [{for: 10s, rate: 20/s}]", f"    {key}: /dev/zero")
        where = f"s.yaml:9:{7 + len(key)}"
        assert problems(text) == [
            f"{where}: traffic[0].{key}: /dev/zero cannot be read: expected an ordinary file"
        ]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("r.csv.gz", b"0,1\n", " cannot be read: expected gzipped text, for the name ends in .gz"),
        ("r.csv.gz", gzip.compress(b"0,1\n" * 99, mtime=0)[:-9],
         " cannot be read: expected gzipped text, for the name ends in .gz"),
        ("r.csv", b"0,1\n1,\xff\n", ":2: expected UTF-8 text, got the byte 0xff"),
        ("r.csv", b"0,1\n0,2\n", ":2: expected seconds in ascending order, got 0 after 0"),
        ("r.csv", b"0,nan\n", ":1: expected second,requests such as 0,42, got '0,nan'"),
        ("l.json", b"[" * 200_000, ": expected less deep nesting and numbers of at most 4300 digits"),
        ("l.json", b'[{"url": "http://["}]', ": [0].url: expected a URL, got 'http://['"),
        ("l.json", b"[" + b"9" * 5000 + b"]", ": expected less deep nesting and numbers of at most 4300 digits"),
        ("l.json", '[{"url": "/"'.encode("utf-16"), ":1: expected UTF-8 text, got UTF-16"),
    ],
)  # fmt: skip
def test_bad_files_behind_a_scenario(name: str, content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    key = "loadtest" if name.endswith("json") else "rate_csv"
    text = GOOD.replace("    stages: [{for: 10s, rate: 20/s}]", f"    {key}: {name}")
    (found,) = problems(text, tmp_path)
    assert found == f"s.yaml:9:{7 + len(key)}: traffic[0].{key}: {tmp_path / name}{expected}"


def test_an_empty_key_does_not_hide_what_stands_behind_it() -> None:
    text = (
        GOOD.replace("name: users", "name:")
        .replace("initial: 2", "initial: x")
        .replace("slo:", "faults:\nslo:")
    )
    assert [problem.split(": ")[1] for problem in problems(text)] == [
        "fleet.app.initial", "traffic[0].name", "faults",
    ]  # fmt: skip


def test_notes_on_what_is_legal_and_hardly_meant() -> None:
    crossed = "autoscaler: {policy: {threshold: {requests_high: 1/s, requests_low: 5/s}}}\nfleet:"
    text = GOOD.replace("fleet:", crossed).replace("initial: 2", "memory: {total: 1MiB, base: 2MiB}")
    assert warnings(Scenario.parse(text).document) == [
        "fleet.app.memory.base is above total: every server dies as soon as it serves",
        "requests_low is above requests_high: what adds a server hides what would remove one",
    ]
    assert warnings(Scenario.parse("{scenario: x, duration: 1s}").document) == [
        "no traffic is given: nothing is sent"
    ]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["fleet.app.initial=2500"], []),
        (
            ["fleet.app.initial=100000"],
            ["100,000 servers for 10s take about 12 hours to rehearse; fleet.registry.backend: memory and "
             "fleet.cloud.backend: memory would give the same results in about 20 minutes"],
        ),
        (
            ["fleet.app.initial=100000", "fleet.registry.backend=memory", "fleet.cloud.backend=memory"],
            ["100,000 servers for 10s take about 20 minutes to rehearse"],
        ),
        (
            ["fleet.app.initial=300", "fleet.cloud.backend=memory", "duration=10m"],
            ["300 servers for 10m take about 3 minutes to rehearse; fleet.registry.backend: memory would give the "
             "same results in about 4 seconds"],
        ),
    ],
)  # fmt: skip
def test_a_note_on_fleets_that_take_long(overrides: list[str], expected: list[str]) -> None:
    assert warnings(Scenario.parse(GOOD, overrides=overrides).document) == expected


SCRAPS = st.sampled_from(
    ["", " ", "\n", "\t", "\r", ":", ": ", "- ", "[", "]", "{", "}", ",", "&a ", "*a", "!!set ", "<<: ", "|", ">", "'", '"', "#", "~",
     "---\n", "%", "?", ".nan", "-1", "1e999", "0", "\x00", "\ufeff", "\ud800", "null", "5%", "3/s", "9d", "users", "[]", "{}"]
)  # fmt: skip


@given(
    st.sampled_from(sorted(library())),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), SCRAPS), min_size=1, max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_a_file_with_scraps_in_it_is_legal_or_has_problems_with_a_place(
    name: str, cuts: list[tuple[float, int, str]]
) -> None:
    text = library()[name].read_text()
    for place, length, scrap in cuts:
        start = int(place * len(text))
        text = text[:start] + scrap + text[start + length :]
    found: tuple[Problem, ...] = ()
    try:
        Scenario.parse(text, "s.yaml", library()[name].parent)
    except ScenarioError as error:
        found = error.problems
    assert all(problem.line > 0 and problem.message for problem in found)
