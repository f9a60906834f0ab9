"""HorizontalPodAutoscalers of the Kubernetes documentation as the policy target_tracking_hpa."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from windtunnel.scenarios.import_metrics import parse_meanings
from windtunnel.scenarios.import_policy import Imported, import_policy
from windtunnel.scenarios.problems import ScenarioError

from ..support import run, steady

HEAD = """apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: php-apache
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: php-apache}
  minReplicas: 1
  maxReplicas: 10
"""
WALKTHROUGH = (
    HEAD
    + """\
  metrics:
  - type: Resource
    resource:
      name: cpu
      target:
        type: Utilization
        averageUtilization: 50
  - type: Pods
    pods:
      metric:
        name: packets-per-second
      target:
        type: AverageValue
        averageValue: 1k
  - type: Object
    object:
      metric:
        name: requests-per-second
      describedObject:
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        name: main-route
      target:
        type: Value
        value: 10k
"""
)
"""kubernetes.io, "HorizontalPodAutoscaler Walkthrough", autoscaling on multiple metrics and custom metrics."""

BEHAVIOR = (
    HEAD
    + """\
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 300
      policies:
      - type: Percent
        value: 100
        periodSeconds: 15
    scaleUp:
      stabilizationWindowSeconds: 0
      policies:
      - type: Percent
        value: 100
        periodSeconds: 15
      - type: Pods
        value: 4
        periodSeconds: 15
      selectPolicy: Max
"""
)
"""kubernetes.io, "Horizontal Pod Autoscaling", default behavior."""


def imported(folder: Path, text: str, *words: str, name: str | None = None) -> Imported:
    (folder / "hpa.yaml").write_text(text)
    return import_policy([folder / "hpa.yaml"], parse_meanings(words), name)


def policy_of(found: Imported) -> dict[str, Any]:
    policy: dict[str, Any] = yaml.safe_load(found.text)["autoscaler"]["policy"]["target_tracking_hpa"]
    return policy


def paths(found: Imported) -> dict[str, str]:
    """What is said of each path."""
    return {str(note).partition(": ")[2].partition(": ")[0]: note.message for note in found.notes}


def metric(kind: str, inner: str) -> str:
    return f"{HEAD}  metrics:\n  - {{type: {kind}, {inner}}}\n"


def test_the_walkthrough_keeps_its_cpu_and_names_what_it_loses(tmp_path: Path) -> None:
    found = imported(tmp_path, WALKTHROUGH)
    assert yaml.safe_load(found.text) == {
        "fleet": {"app": {"min": 1, "max": 10}},
        "autoscaler": {
            "interval": "15s",
            "cooldown": "0s",
            "policy": {"target_tracking_hpa": {"metrics": [{"metric": "cpu", "target": "50%"}]}},
        },
    }
    said = paths(found)
    assert "packets-per-second, of which nothing" in said["spec.metrics[1].pods"]
    assert "--metric requests-per-second=requests" in said["spec.metrics[2].object"]
    assert "of what the container requests" in said["spec.metrics[0].resource.target.averageUtilization"]
    assert f"{tmp_path / 'hpa.yaml'}:17:5: spec.metrics[1].pods: not carried over" in str(found.notes[1])
    assert all(f"# - {note}\n" in found.text for note in found.notes)


def test_metrics_are_what_the_user_says_they_are(tmp_path: Path) -> None:
    found = imported(tmp_path, WALKTHROUGH, "packets-per-second=requests", "requests-per-second=in_flight")
    assert policy_of(found)["metrics"][1:] == [{"metric": "requests", "target": "1000/s"}]
    # An Object's Value is one number for the fleet; only an average is divided among servers.
    assert "one value for the whole fleet" in paths(found)["spec.metrics[2].object"]


def test_the_default_behavior_spelled_out_is_carried_over_whole(tmp_path: Path) -> None:
    found = imported(tmp_path, BEHAVIOR)
    assert policy_of(found) == {
        "metrics": [{"metric": "cpu", "target": "80%"}],
        "scale_up": {
            "stabilization_window": "0s",
            "select_policy": "max",
            "policies": [{"percent": 100, "period": "15s"}, {"pods": 4, "period": "15s"}],
        },
        "scale_down": {"stabilization_window": "300s", "policies": [{"percent": 100, "period": "15s"}]},
    }
    assert paths(found) == {"spec.metrics": "none given: 80% of the CPU, Kubernetes' default"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("behavior: {}", {"scale_up": {}, "scale_down": {}}),
        ("behavior: {scaleDown: {selectPolicy: Disabled}}", {"scale_down": {"select_policy": "disabled"}}),
        ("behavior: {scaleUp: {tolerance: 50m}}", {"scale_up": {"tolerance": "5%"}}),
        ("behavior: {scaleUp: {tolerance: 0.05, policies: []}}", {"scale_up": {"tolerance": "5%"}}),
    ],
)
def test_behavior(tmp_path: Path, written: str, expected: dict[str, Any]) -> None:
    policy = policy_of(imported(tmp_path, f"{HEAD}  {written}\n"))
    del policy["metrics"]
    assert policy == expected


OBJECT = "metric: {name: rps}, describedObject: {kind: Ingress, name: main, apiVersion: v1}"


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        (metric("Pods", "pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: '100'}}"),
         ["rps=requests"], [{"metric": "requests", "target": "100/s"}]),
        (metric("Pods", "pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: 500m}}"),
         ["rps=requests/m"], [{"metric": "requests", "target": "0.5/m"}]),
        (metric("External", "external: {metric: {name: queue}, target: {type: AverageValue, averageValue: 30}}"),
         ["queue=in_flight"], [{"metric": "in_flight", "target": 30, "total": True}]),
        (metric("Object", f"object: {{{OBJECT}, target: {{type: AverageValue, averageValue: 2k}}}}"),
         ["rps=requests"], [{"metric": "requests", "target": "2000/s", "total": True}]),
        # The older shapes of the API.
        (metric("Resource", "resource: {name: memory, targetAverageUtilization: 60}").replace("v2", "v2beta1"),
         [], [{"metric": "memory", "target": "60%"}]),
        (metric("Pods", "pods: {metricName: rps, targetAverageValue: 1k}").replace("v2", "v2beta1"),
         ["rps=requests"], [{"metric": "requests", "target": "1000/s"}]),
        (metric("Object", "object: {metricName: rps, target: {kind: Ingress, name: main}, averageValue: 9, targetValue: 1}").replace("v2", "v2beta1"),
         ["rps=requests"], [{"metric": "requests", "target": "9/s", "total": True}]),
        (HEAD.replace("v2", "v1") + "  targetCPUUtilizationPercentage: 50\n", [], [{"metric": "cpu", "target": "50%"}]),
        (HEAD.replace("v2", "v2beta2"), [], [{"metric": "cpu", "target": "80%"}]),
    ],
)  # fmt: skip
def test_metrics(tmp_path: Path, text: str, words: list[str], expected: list[Any]) -> None:
    assert policy_of(imported(tmp_path, text, *words))["metrics"] == expected


CPU = "  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}\n"


@pytest.mark.parametrize(
    ("entry", "path", "said"),
    [
        ("{type: ContainerResource, containerResource: {name: cpu, container: web, target: {type: Utilization, averageUtilization: 60}}}",
         "spec.metrics[1]", "cpu of the container web alone"),
        ("{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 500m}}}",
         "spec.metrics[1].resource.target.averageValue", "an amount of cpu"),
        ("{type: Resource, resource: {name: ephemeral-storage, target: {type: Utilization, averageUtilization: 6}}}",
         "spec.metrics[1].resource.name", "there is no ephemeral-storage here"),
        ("{type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 200}}}",
         "spec.metrics[1].resource.target.averageUtilization", "200% of what a container requests has no counterpart"),
        ("{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}",
         "spec.metrics[1].resource.target.averageUtilization", "the lower target was kept"),
        ("{type: External, external: {metric: {name: rps, selector: {matchLabels: {a: b}}}, target: {type: Value, value: 3}}}",
         "spec.metrics[1].external", "has one value for the whole fleet"),
        ("{type: External, external: {metric: {name: mem}, target: {type: AverageValue, averageValue: 3}}}",
         "spec.metrics[1].external", "the sum of shares of memory says nothing"),
        ("{type: External, external: {metric: {name: active_connections}, target: {type: AverageValue, averageValue: 3}}}",
         "spec.metrics[1].external", "--metric active_connections=in_flight"),
        ("{type: Pods, pods: {metric: {name: busy, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: 1500m}}}",
         "spec.metrics[1].pods.metric.selector", "all requests of the fleet count"),
        ("{type: Pods, pods: {metric: {name: busy}, target: {type: AverageValue, averageValue: 1500m}}}",
         "spec.metrics[1].pods.target.averageValue", "in_flight is a whole number: 2 in place of 1.5"),
    ],
)  # fmt: skip
def test_what_is_not_carried_over_is_named_and_the_rest_stays(
    tmp_path: Path, entry: str, path: str, said: str
) -> None:
    found = imported(
        tmp_path, f"{HEAD}  metrics:\n{CPU}  - {entry}\n", "rps=requests", "mem=memory", "busy=in_flight"
    )
    assert said in paths(found)[path]
    assert policy_of(found)["metrics"][0] == {"metric": "cpu", "target": "50%"}


def test_an_unknown_key_and_old_annotations_are_named(tmp_path: Path) -> None:
    text = HEAD.replace("  name: php-apache\nspec", "  name: php-apache\n  annotations: {autoscaling.alpha.kubernetes.io/metrics: '[]'}\nspec")  # fmt: skip
    said = paths(imported(tmp_path, text + "  behavior: {scaleUp: {tolerence: 3}}\n"))
    assert "nothing here corresponds to it" in said["spec.behavior.scaleUp.tolerence"]
    assert "autoscaling/v2" in said["metadata.annotations.autoscaling.alpha.kubernetes.io/metrics"]


def test_of_several_objects_the_one_that_is_meant(tmp_path: Path) -> None:
    other = HEAD.replace("php-apache", "other").replace("maxReplicas: 10", "maxReplicas: 7")
    text = f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\n---\n{HEAD}---\n---\n{other}"
    found = imported(tmp_path, text, name="other")
    assert yaml.safe_load(found.text)["fleet"] == {"app": {"min": 1, "max": 7}}
    assert "Service web: not looked at" in str(found.notes[0])
    items = [yaml.safe_load(HEAD), yaml.safe_load(other)]
    listed = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})
    assert "php-apache" in imported(tmp_path, listed, name="php-apache").text
    for content, name, expected in (
        (
            text,
            None,
            "expected one HorizontalPodAutoscaler, or --name with one of them, got php-apache, other",
        ),
        (listed, "third", "expected one HorizontalPodAutoscaler called 'third', got php-apache, other"),
    ):
        with pytest.raises(ScenarioError, match=expected):
            imported(tmp_path, content, name=name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD.replace("autoscaling/v2", "autoscaling/v3"), r"hpa.yaml:1:13: apiVersion: expected one of autoscaling/v2, .*, got 'autoscaling/v3'"),
        (HEAD.replace("maxReplicas: 10", "maxReplicas: many"), r":8:16: spec.maxReplicas: expected a whole number from 1 to 1000000, got 'many'"),
        (HEAD.replace("  maxReplicas: 10\n", ""), r"spec.maxReplicas: required, but missing"),
        (HEAD.replace("minReplicas: 1", "minReplicas: 11"), r"spec.maxReplicas: expected no less than minReplicas \(11\), got 10"),
        (HEAD + "  metrics: {}\n", r"spec.metrics: expected a list, got an empty mapping"),
        (HEAD + "  metrics: [cpu]\n", r"spec.metrics\[0\]: expected a mapping, got 'cpu'"),
        (metric("Cpu", "cpu: 1"), r"spec.metrics\[0\].type: expected one of Resource, .*, got 'Cpu'"),
        (metric("Pods", "resource: {}"), r"spec.metrics\[0\].pods: required, but missing"),
        (metric("Pods", "pods: {metric: {name: rps}, target: {averageValue: 5 apples}}"), r"averageValue: expected a number or a quantity .*, got '5 apples'"),
        (metric("Pods", "pods: {metric: {name: rps}, target: {averageValue: 0}}"), r"averageValue: expected a target above 0, got 0"),
        (metric("Pods", "pods: {metric: {name: other}, target: {averageValue: 5}}"), r"spec: expected a metric that can be carried over, got none"),
        (HEAD + "  behavior: {scaleUp: {stabilizationWindowSeconds: 3601}}\n", r"stabilizationWindowSeconds: expected a whole number from 0 to 3600, got 3601"),
        (HEAD + "  behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 0}]}}\n", r"policies\[0\].periodSeconds: expected a whole number from 1 to 1800, got 0"),
        (HEAD + "  behavior: {scaleUp: {selectPolicy: Most}}\n", r"selectPolicy: expected one of Max, Min, Disabled, got 'Most'"),
        ("kind: Service\nmetadata: {name: web}\n", r"expected a HorizontalPodAutoscaler, or the output of .*, got neither"),
        ("- 1\n", r"expected a mapping, got a list"),
        ("# nothing\n", r"expected a HorizontalPodAutoscaler.*, got an empty file"),
        ("a: [\n", r"not valid YAML"),
        ("metrics: {{ .Values.x }}\n", r"hpa.yaml:1:.*expected plain keys"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ScenarioError, match=expected):
        imported(tmp_path, text, "rps=requests")


@pytest.mark.parametrize(
    ("text", "words", "sizes"),
    [
        (WALKTHROUGH, [], {1}),
        (WALKTHROUGH.replace("averageValue: 1k", "averageValue: 10"), ["packets-per-second=requests"], {5, 6}),
        (BEHAVIOR, [], {1}),
    ],
)  # fmt: skip
def test_what_is_imported_runs(tmp_path: Path, text: str, words: list[str], sizes: set[int]) -> None:
    """50 requests/s: little for the CPU, five servers' work for a target of 10."""
    settings = yaml.safe_load(imported(tmp_path, text, *words).text)
    # A shorter interval than the controller's, to see it in a few seconds.
    settings["autoscaler"]["interval"] = "1s"
    assert run({**steady("50/s", "6s"), **settings}).summary["fleet"]["most"] in sizes
