"""Scenario files: what is legal, and the one right sentence, at the right line, for what is not."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel import Scenario, ScenarioError, library
from windtunnel.core.faults import FAULTS
from windtunnel.scenarios import units
from windtunnel.scenarios.references import warnings
from windtunnel.scenarios.schema import Document

GOOD = """\
scenario: test
duration: 10s
fleet:
  app: {initial: 2}
endpoints:
  - {path: /, cpu: {constant: 5ms}}
traffic:
  - name: users
    stages: [{for: 10s, rate: 20/s}]
slo:
  - {name: fast, indicator: latency_p99, below: 100ms}
"""


def problems(text: str, folder: Path | None = None) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse(text, "s.yaml", folder)
    return [str(problem) for problem in caught.value.problems]


def test_good() -> None:
    assert Scenario.parse(GOOD).name == "test"


BAD: list[tuple[str, str, str]] = [
    ("duration: 10s", "duration: 10", "s.yaml:2:11: duration: expected a duration such as 30s, 500ms or 1h30m, got 10"),
    ("duration: 10s", "duration: -5s", "s.yaml:2:11: duration: expected a duration such as 30s, 500ms or 1h30m, got '-5s'"),
    ("duration: 10s", "duration: 0", "s.yaml:2:11: duration: expected a value above 0, got 0"),
    ("duration: 10s\n", "", "s.yaml:1:1: duration: required, but missing"),
    ("initial: 2", "initial: 2.5", "s.yaml:4:18: fleet.app.initial: expected a whole number, got 2.5"),
    ("initial: 2", "initial: -1", "s.yaml:4:18: fleet.app.initial: expected a value at least 0, got -1"),
    ("initial: 2", "initial: two", "s.yaml:4:18: fleet.app.initial: expected a whole number, got 'two'"),
    ("initial: 2", "intial: 2", "s.yaml:4:9: fleet.app.intial: unknown key; did you mean 'initial'?"),
    ("initial: 2", "min: 5, max: 2", "s.yaml:4:8: fleet.app: expected min not above max, got min 5 and max 2"),
    ("initial: 2", "initial: 9, max: 2", "s.yaml:4:8: fleet.app: expected initial not above max, got initial 9 and max 2"),
    ("initial: 2", "initial: 2, initial: 3", "s.yaml:4:21: fleet.app.initial: given twice, first in line 4"),
    ("fleet:\n", "flete:\n", "s.yaml:3:1: flete: unknown key; did you mean 'fleet'?"),
    ("rate: 20/s", "rate: 20", "s.yaml:9:31: traffic[0].stages[0].rate: expected a rate such as 20/s or 300/m, got 20"),
    ("rate: 20/s", "rate: 20/s, to: 5/s", "s.yaml:9:14: traffic[0].stages[0]: expected either rate or to, got both"),
    ("for: 10s, rate", "rate", "s.yaml:9:14: traffic[0].stages[0].for: required, but missing"),
    ("rate: 20/s", "rate: {uniform: {min: 9/s, max: 2/s}}",
     "s.yaml:9:31: traffic[0].stages[0].rate: expected uniform.min not above uniform.max"),
    ("    stages: [{for: 10s, rate: 20/s}]\n", "", "s.yaml:8:5: traffic[0]: expected exactly one of stages, diurnal, bursts, closed, flood, rate_csv, access_log, loadtest, wire, got none"),
    ("    stages:", "    closed: {concurrency: 1}\n    stages:", "s.yaml:8:5: traffic[0]: expected exactly one of stages, diurnal, bursts, closed, flood, rate_csv, access_log, loadtest, wire, got stages and closed"),
    ("constant: 5ms", "constant: 5ms, exponential: {mean: 1s}", "s.yaml:6:20: endpoints[0].cpu: expected exactly one of constant, exponential, lognormal, uniform, pareto, got constant and exponential"),
    ("constant: 5ms", "normal: {mean: 1s}", "s.yaml:6:21: endpoints[0].cpu.normal: unknown key; did you mean 'lognormal'?"),
    ("constant: 5ms", "lognormal: {mean: 1s, cv: .nan}", "s.yaml:6:47: endpoints[0].cpu.lognormal.cv: expected a finite number, got nan"),
    ("constant: 5ms", "lognormal: {mean: 1s, cv: .inf}", "s.yaml:6:47: endpoints[0].cpu.lognormal.cv: expected a finite number, got inf"),
    ("constant: 5ms", "constant: 5 ms", "s.yaml:6:31: endpoints[0].cpu.constant: expected a duration such as 30s, 500ms or 1h30m, got '5 ms'"),
    ("constant: 5ms", "constant: 999999999999d", "s.yaml:6:31: endpoints[0].cpu.constant: expected a smaller duration, got '999999999999d'"),
    ("path: /,", "path: /, calls: [bd],", "s.yaml:6:23: endpoints[0].calls[0]: no dependency 'bd'; known are none"),
    ("  - {path: /,", "  - {path: /, cpu: {constant: 1s}}\n  - {path: /,", "s.yaml:7:12: endpoints[1].path: expected a unique path, got '/' a second time"),
    ("below: 100ms", "below: 5%", "s.yaml:11:49: slo[0].below: expected a duration such as 30s, 500ms or 1h30m, got '5%'"),
    ("below: 100ms", "below: 1s, above: 1ms", "s.yaml:11:5: slo[0]: expected either below or above, got both"),
    ("latency_p99", "latency_99", "s.yaml:11:29: slo[0].indicator: expected one of latency_p99 (or another percentile), latency_mean, latency_max, error_rate, availability, throughput, got 'latency_99'; did you mean 'latency_p99'?"),
    ("below: 100ms", "below: 1s, traffic: [user]", "s.yaml:11:63: slo[0].traffic[0]: no traffic 'user'; did you mean 'users'?"),
    ("scenario: test", "scenario: ''", "s.yaml:1:11: scenario: expected a name, got nothing"),
    ("scenario: test", "scenario: !!python/object/apply:os.system [ls]", "s.yaml:1:11: scenario: expected a plain list, got the tag !!python/object/apply:os.system"),
    ("  app:", "\tapp:", "s.yaml:4:1: not valid YAML: found a tab (YAML indents with spaces, not tabs)"),
    ("slo:", "autoscaler: {policy: threshold}\nslo:", "s.yaml:10:22: autoscaler.policy: expected a policy with its settings such as {threshold: {requests_high: 300/s}}, got 'threshold'"),
    ("slo:", "autoscaler: {policy: {treshold: {}}}\nslo:", "s.yaml:10:23: autoscaler.policy.treshold: unknown key; did you mean 'threshold'?"),
    ("slo:", "autoscaler: {policy: {threshold: {}}}\nslo:", "s.yaml:10:34: autoscaler.policy.threshold: expected requests_high or memory_high, got neither"),
    ("slo:", "autoscaler: {policy: {target_tracking: {metric: cpu, target: 20/s}}}\nslo:", "s.yaml:10:62: autoscaler.policy.target_tracking.target: expected a percentage such as 5%, got '20/s'"),
    ("slo:", "autoscaler: {policy: {queue: {metric: in_flight, target: 20/s}}}\nslo:", "s.yaml:10:58: autoscaler.policy.queue.target: expected a whole number for metric in_flight, got '20/s'"),
    ("slo:", "autoscaler: {policy: {queue: {target: 20/s, activation: 5}}}\nslo:", "s.yaml:10:57: autoscaler.policy.queue.activation: expected a rate such as 20/s or 300/m, got 5"),
    ("slo:", "autoscaler: {policy: {queue: {target: 20/s, idle: 1}}}\nslo:", "s.yaml:10:51: autoscaler.policy.queue.idle: expected idle below least (1), got 1"),
    ("slo:", "autoscaler: {policy: {threshold: {requests_high: 9/s}}, drain_grace: 1s}\nslo:", "s.yaml:10:70: autoscaler.drain_grace: expected more than fleet.registry.refresh_interval: until then the proxy still sends to a draining server"),
    ("slo:", "faults: [{name: a, type: kil, at: 1s}]\nslo:", f"s.yaml:10:26: faults[0].type: expected one of {len(FAULTS)} words, got 'kil'; did you mean 'kill'?"),
    ("    stages: [{for: 10s, rate: 20/s}]", "    stages: [{for: 10s, rate: 20/s}]\n    body: 4", "s.yaml:10:11: traffic[0].body: expected a size such as 512MiB or 12KiB, got 4"),
    ("    stages: [{for: 10s, rate: 20/s}]", "    stages: [{for: 10s, rate: 20/s}]\n    body: {uniform: {min: 4KiB, max: 1KiB}}", "s.yaml:10:11: traffic[0].body: expected uniform.min not above uniform.max"),
    ("slo:", "faults: [{name: a, type: slow, every: 2s, for: 1s, attributes: {factor: 2}}, {name: 'a#1', type: kill, at: 1s}]\nslo:", "s.yaml:10:85: faults[1].name: expected another name: an occurrence of 'a' is called so"),
    ("slo:", "faults: [{name: a, type: pause, every: 20us, for: 10us}]\nslo:", "s.yaml:10:40: faults[0].every: expected a longer time or a shorter run: the fault would occur about 500,000 times"),
    ("slo:", "faults: [{name: a, type: api_throttling, at: 1s, attributes: {rate: 0/s}}]\nslo:", "s.yaml:10:69: faults[0].attributes.rate: expected a rate above 0, got '0/s'"),
    ("slo:", "faults: [{name: a, type: kill, at: 1s, target: {role: proxy, address: 'http://10.0.0.1'}}]\nslo:", "s.yaml:10:71: faults[0].target.address: expected no target address for role proxy: it is no server"),
    ("slo:", "faults: [{name: a, type: kill, at: 1s, target: {count: 2, address: 'http://10.0.0.1'}}]\nslo:", "s.yaml:10:56: faults[0].target.count: expected either a target address or a count, got both"),
    ("slo:", "faults: [{name: a, type: pause}]\nslo:", "s.yaml:10:10: faults[0]: expected at, every, while or after, got none"),
    ("slo:", "faults: [{name: a, type: kill, at: 1s, for: 2s}]\nslo:", "s.yaml:10:45: faults[0].for: expected no for: kill strikes at once"),
    ("slo:", "faults: [{name: a, type: pause, at: 1s, toxicity: 5%}]\nslo:", "s.yaml:10:51: faults[0].toxicity: expected no toxicity with type pause"),
    ("slo:", "faults: [{name: a, type: pause, at: 1s, stream: upstream}]\nslo:", "s.yaml:10:49: faults[0].stream: expected no stream with type pause"),
    ("slo:", "faults: [{name: a, type: partition, at: 1s, stream: upstream, attributes: {from: registry}}]\nslo:", "s.yaml:10:53: faults[0].stream: expected no stream with a partition from the registry"),
    ("slo:", "faults: [{name: a, type: bandwidth, at: 1s, attributes: {rate: 0}}]\nslo:", "s.yaml:10:64: faults[0].attributes.rate: expected a size above 0, got 0"),
    ("slo:", "faults: [{name: a, type: reset, at: 1s, stream: upstream}]\nslo:", "s.yaml:10:49: faults[0].stream: expected no stream with type reset"),
    ("slo:", "faults: [{name: a, type: pause, every: 1s, for: 2s}]\nslo:", "s.yaml:10:40: faults[0].every: expected every above for: one is over before the next begins"),
    ("slo:", "faults: [{name: a, type: pause, every: 1s}]\nslo:", "s.yaml:10:40: faults[0].every: expected for beside every: what never ends cannot begin again"),
    ("slo:", "faults: [{name: a, type: pause, at: 1s, target: {role: proxy}}]\nslo:", "s.yaml:10:56: faults[0].target.role: expected a target role among app, canary, standby for type pause, got 'proxy'"),
    ("slo:", "faults: [{name: a, type: kill, at: 1s, target: {role: proxy, count: 2}}]\nslo:", "s.yaml:10:69: faults[0].target.count: expected no target count: there is one proxy"),
    ("slo:", "faults: [{name: a, type: slow, at: 1s}]\nslo:", "s.yaml:10:26: faults[0].type: expected the attribute factor for type slow, got none"),
    ("slo:", "faults: [{name: a, type: slow, at: 1s, attributes: {factor: 0}}]\nslo:", "s.yaml:10:61: faults[0].attributes.factor: expected a number above 0 and at most 1000000, got 0"),
    ("slo:", "faults: [{name: a, type: slow, at: 1s, attributes: {}}]\nslo:", "s.yaml:10:26: faults[0].type: expected the attribute factor for type slow, got none"),
    ("slo:", "faults: [{name: a, type: latency, at: 1s, attributes: {jitter: 5ms}}]\nslo:", "s.yaml:10:55: faults[0].attributes: expected the attribute latency for type latency, got none"),
    ("slo:", "faults: [{name: a, type: latency, at: 1s, attributes: {latency: 5ms, jitter: 6ms}}]\nslo:", "s.yaml:10:78: faults[0].attributes.jitter: expected jitter not above latency"),
    ("slo:", "faults: [{name: a, type: slow, at: 1s, attributes: {factor: 10000000}}]\nslo:", "s.yaml:10:61: faults[0].attributes.factor: expected a number above 0 and at most 1000000, got 10000000"),
    ("slo:", "faults: [{name: a, type: pause, every: 9s, for: 3}]\nslo:", "s.yaml:10:49: faults[0].for: expected a duration such as 30s, 500ms or 1h30m, got 3"),
    ("slo:", "faults: [{name: a, type: kill, at: 1s, target: {name: db}}]\nslo:", "s.yaml:10:55: faults[0].target.name: expected a target name only for a dependency, got one for role app"),
    *(
        ("slo:", f"faults: [{{name: a, type: kill, at: 1s, target: {{address: '{address}'}}}}]\nslo:",
         f"s.yaml:10:58: faults[0].target.address: expected the address of a server such as http://10.0.0.1 or 10.0.0.1:8080, got '{address}'")
        for address in ("server-1", "https://10.0.0.1", "10.0.0", "10.0.0.256", "10.0.0.1:0", "10.0.0.1:65536", "http://10.0.0.1/x", "::1", "[::g]")
    ),
    ("slo:", "faults: [{name: a, type: latency, at: 1s, attributes: {latency: 5}}]\nslo:", "s.yaml:10:65: faults[0].attributes.latency: expected a duration such as 30s, 500ms or 1h30m, got 5"),
    ("slo:", "faults: [{name: a, type: latency, at: 1s, attributes: {delay: 5s}}]\nslo:", "s.yaml:10:63: faults[0].attributes.delay: expected no attribute 'delay' for type latency: it has latency, jitter"),
    ("slo:", "faults: [{name: a, type: dependency_down, at: 1s}]\nslo:", "s.yaml:10:26: faults[0].type: expected a dependency for dependency_down: fleet.dependencies is empty"),
    ("slo:", "faults: [{name: a, type: autoscaler_crash, at: 1s}]\nslo:", "s.yaml:10:26: faults[0].type: expected an autoscaler for autoscaler_crash: the scenario has none"),
    ("slo:", "faults: [{name: a, type: partition, at: 1s, attributes: {from: clients}}]\nslo:", "s.yaml:10:64: faults[0].attributes.from: expected role app to be cut off from proxy or registry, got 'clients'"),
    ("slo:", "faults: [{name: a, type: kill, at: 1s, attributes: {x: 1}}]\nslo:", "s.yaml:10:56: faults[0].attributes.x: expected no attributes for type kill, got x"),
    ("    stages: [{for: 10s, rate: 20/s}]", "    rate_csv: missing.csv", "s.yaml:9:15: traffic[0].rate_csv: {folder}/missing.csv cannot be read: No such file or directory"),
    ("    stages: [{for: 10s, rate: 20/s}]", "    loadtest: broken.json", "s.yaml:9:15: traffic[0].loadtest: {folder}/broken.json: [1].requestsPerSecond: expected a number above 0, got -5"),
    ("    stages: [{for: 10s, rate: 20/s}]", "    rate_csv: broken.csv", "s.yaml:9:15: traffic[0].rate_csv: {folder}/broken.csv:3: expected second,requests such as 0,42, got '2;7'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), BAD, ids=[f"{n}" for n in range(len(BAD))])
def test_bad(old: str, new: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('[{"url": "/"}, {"url": "/", "requestsPerSecond": -5}]')
    (tmp_path / "broken.csv").write_text("second,requests\n1,4\n2;7\n")
    assert old in GOOD
    assert problems(GOOD.replace(old, new, 1), tmp_path) == [expected.replace("{folder}", str(tmp_path))]


def test_all_problems_at_once_in_order_of_lines() -> None:
    text = GOOD.replace("10s\n", "10\n").replace("initial: 2", "initial: x").replace("5ms", "5")
    assert [problem.split(": ")[1] for problem in problems(text)] == [
        "duration", "fleet.app.initial", "endpoints[0].cpu.constant",
    ]  # fmt: skip


MANY = """\
scenario: many
duration: 10
fleet:
  app: {initial: 9, max: 2, intial: 4}
  proxy: {routing: roundrobin, retries: {attempts: 99}}
endpoints:
  - {path: /, cpu: {constant: 5}, calls: [db]}
  - {path: /x, cpu: {gamma: 1}}
traffic:
  - name: users
    stages: [{for: 10s}]
  - name: users
    rate_csv: missing.csv
  - name: more
    stages: [{for: 10s, rate: 1/s}]
    endpoints: {/y: 1}
autoscaler: {policy: {threshold: {requests_high: 1/s, tolerance: 5%}}, cooldown: x}
slo:
  - {name: a, indicator: error_rate, below: 5s}
  - {name: b, indicator: error_rate, below: 5%, traffic: [nobody]}
"""


def test_one_mistake_does_not_hide_another(tmp_path: Path) -> None:
    found = [problem.removeprefix("s.yaml:").split(": ")[0:2] for problem in problems(MANY, tmp_path)]
    assert [(place.split(":")[0], path) for place, path in found] == [
        ("2", "duration"),
        ("4", "fleet.app"),
        ("4", "fleet.app.intial"),
        ("5", "fleet.proxy.routing"),
        ("5", "fleet.proxy.retries.attempts"),
        ("7", "endpoints[0].cpu.constant"),
        ("7", "endpoints[0].calls[0]"),
        ("8", "endpoints[1].cpu.gamma"),
        ("11", "traffic[0].stages[0]"),
        ("13", "traffic[1].rate_csv"),
        ("16", "traffic[2].endpoints./y"),
        ("17", "autoscaler.policy.threshold.tolerance"),
        ("17", "autoscaler.cooldown"),
        ("19", "slo[0].below"),
    ]


def test_an_element_with_two_missing_keys_does_not_take_its_neighbours_along() -> None:
    text = (
        GOOD.replace("slo:\n", "slo:\n  - {below: 1s}\n")
        + "  - {name: b, indicator: latency_p9, below: 1s}\n"
    )
    assert [problem.split(": ")[1] for problem in problems(text)] == [
        "slo[0].name", "slo[0].indicator", "slo[2].indicator",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "description: !!bool maybe",
        "seed: !!int ''",
        "seed: !!float ''",
        "description: " + "[" * 3000,
        "seed: 0x" + "f" * 6000,
        'traffic: [{name: "a\\0b", rate_csv: "a\\0b"}]',
        'endpoints: [{path: "/\\u2028"}]',
        "endpoints: [{path: /, cpu: {lognormal: {mean: 1s, cv: true}}}]",
        "endpoints: [{path: /, cpu: {lognormal: {mean: 1s, cv: '1'}}}]",
    ],
)
def test_hostile_input_is_a_problem_and_no_traceback(text: str) -> None:
    assert problems(f"scenario: x\nduration: 1s\n{text}\n")


def test_notes_on_what_never_happens() -> None:
    text = GOOD.replace("fleet:", "faults: [{name: late, type: kill, at: 1h}]\nfleet:")
    assert warnings(Scenario.parse(text).document) == ["fault 'late' is due after the end"]
    assert warnings(Scenario.parse(GOOD).document) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "s.yaml:1:1: expected a scenario, got an empty file"),
        ("- 1", "s.yaml:1:1: expected a mapping with the key scenario"),
        ("{a: &x {b: *x}}", "s.yaml:1:"),
        ("a: b: c", "s.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        ("a: [1, 2", "s.yaml:1:4: not valid YAML: a [ is opened here and never closed"),
        ("\x00", "s.yaml:1:1: expected text, got the control character U+0000"),
        ("{[1]: 2}", "s.yaml:1:2: expected plain keys, got a list or mapping as key"),
    ],
)
def test_not_even_a_scenario(text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected)


def test_a_billion_laughs_are_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "expected a smaller document" in problems("\n".join(lines))[0]


def test_overrides() -> None:
    scenario = Scenario.parse(GOOD, overrides=["fleet.app.initial=5", "traffic.users.stages[0].rate=7/s",
                                               "fleet.proxy.routing=random", "slo.fast.below=2s"])  # fmt: skip
    document = scenario.document
    assert document.fleet.app.initial == 5
    assert document.traffic[0].stages is not None
    assert document.traffic[0].stages[0].rate is not None
    assert document.traffic[0].stages[0].rate.constant == 7
    assert document.fleet.proxy.routing == "random"
    assert document.slo[0].below == "2s"
    same = Scenario.parse(GOOD, overrides={"fleet.app.initial": 5})
    assert same.document.fleet.app.initial == 5


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "fleet.app.initial=x",
            "--set fleet.app.initial: fleet.app.initial: expected a whole number, got 'x'",
        ),
        (
            "fleet.app.intial=3",
            "--set fleet.app.intial: fleet.app.intial: unknown key; did you mean 'initial'?",
        ),
        ("traffic[4].start=1s", "--set traffic[4].start=1s: expected an index below 1, got 4"),
        ("traffic.user.start=1s", "--set traffic.user.start=1s: no element 'user'; there are users"),
        ("description=#1", "--set description=#1: expected a value, got none"),
        (
            "description=a: b: c",
            "--set description=a: b: c: not valid YAML: mapping values are not allowed here (keys of a mapping have one "
            "indentation; text that holds ': ' needs quotes)",
        ),
        ("duration", "--set duration: expected path=value, such as fleet.app.max=20"),
        (
            "duration.x=3",
            "--set duration.x=3: expected a path through mappings and lists; 'duration' is '10s'",
        ),
    ],
)
def test_bad_overrides(override: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse(GOOD, "s.yaml", overrides=[override])
    assert [str(problem) for problem in caught.value.problems] == [expected]


@pytest.mark.parametrize("name", sorted(library()))
def test_the_library_is_valid_described_and_resolves_to_itself(name: str) -> None:
    scenario = Scenario.load(name)
    assert scenario.name == name
    assert "What it teaches:" in scenario.document.description
    assert scenario.document.slo
    again = Scenario.parse(scenario.to_yaml())
    assert again.fingerprint() == scenario.fingerprint()


def test_what_stands_for_redis_and_ec2_is_no_part_of_the_hash() -> None:
    twins = Scenario.load("steady", ["fleet.registry.backend=memory", "fleet.cloud.backend=memory"])
    assert twins.fingerprint() == Scenario.load("steady").fingerprint()
    assert Scenario.load("steady", ["fleet.app.initial=4"]).fingerprint() != twins.fingerprint()


def test_json_schema_accepts_the_library_and_refuses_what_we_refuse() -> None:
    import jsonschema
    import yaml

    schema = Document.model_json_schema()
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    validator = kind(schema)
    for path in library().values():
        validator.validate(yaml.safe_load(path.read_text()))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"scenario": "x", "duration": 10})
    json.dumps(schema)


@given(st.integers(0, units.LIMIT - 1))
def test_durations_and_sizes_are_spelled_exactly(value: int) -> None:
    assert units.parse_duration(units.format_duration(value)) == value
    assert units.parse_size(units.format_size(value)) == value


@given(st.floats(0, 1e6, allow_nan=False), st.floats(0, 1))
def test_rates_and_shares_are_spelled_exactly(rate: float, share: float) -> None:
    assert units.parse_rate(units.format_rate(rate)) == rate
    assert units.parse_share(units.format_share(share)) == share


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (units.parse_duration, "1h30m", 5400 * 10**9),
        (units.parse_duration, "0.5ms", 500_000),
        (units.parse_duration, "150µs", 150_000),
        (units.parse_rate, "300/m", 5.0),
        (units.parse_share, "2.5%", 0.025),
        (units.parse_size, "1.5KiB", 1536),
        (units.parse_size, "1MB", 10**6),
    ],
)
def test_units(parse: Any, text: str, value: float) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("http://10.0.0.2", "http://10.0.0.2"),
        ("10.0.0.2", "http://10.0.0.2"),
        ("10.0.0.2:80", "http://10.0.0.2"),
        ("http://127.0.0.3:8080/", "http://127.0.0.3:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_address_of_a_target_is_spelled_as_servers_are_registered(written: str, known: str) -> None:
    text = GOOD.replace(
        "slo:", f"faults: [{{name: a, type: kill, at: 1s, target: {{address: '{written}'}}}}]\nslo:"
    )
    assert Scenario.parse(text).document.faults[0].target.address == known
