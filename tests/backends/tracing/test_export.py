"""What the environment asks for, and an endpoint that does not take what it is sent: nobody waits for it, and it is said once."""

import socket
import time
from collections.abc import Mapping

import pytest
from windtunnel.backends.live import otel_export
from windtunnel.backends.live.otel_environment import Environment, Sampler
from windtunnel.backends.live.tracing import Context
from windtunnel.core.errors import UsageError
from windtunnel.core.trace.probability import NEVER, threshold_of
from windtunnel.core.trace.schema import Said
from windtunnel.core.trace.spans import INTERNAL

from .collector import collecting
from .roles import tracing_into

AT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Environment()),
        (AT, Environment(True, True)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/x"}, Environment(True, False)),
        ({**AT, "OTEL_SDK_DISABLED": "True"}, Environment()),
        ({**AT, "OTEL_TRACES_EXPORTER": "none"}, Environment(False, True)),
        ({**AT, "OTEL_LOGS_EXPORTER": "none"}, Environment(True, False)),
        ({**AT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, Environment(True, True)),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, Environment()),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, Environment(sampler=Sampler(False, NEVER))),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, Environment(sampler=Sampler(True, threshold_of(0.25)))),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, Environment(sampler=Sampler(False, NEVER))),
    ],
)  # fmt: skip
def test_standard_variables(variables: Mapping[str, str], expected: Environment) -> None:
    assert Environment.read(variables) == expected


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({**AT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf, .* got 'grpc'"),
        ({**AT, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: expected http/protobuf"),
        ({**AT, "OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: expected otlp or none, got 'zipkin'"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "OTEL_TRACES_SAMPLER: expected always_on, .* got 'jaeger_remote'"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, "OTEL_TRACES_SAMPLER_ARG: expected a share from 0 to 1, got '2'"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"}, "OTEL_TRACES_SAMPLER_ARG: expected a share"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said(variables: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Environment.read(variables)


def some(number: int) -> Said:
    return Said(f"span {number}", INTERNAL, {"windtunnel.number": number}, "")


def test_an_endpoint_that_is_down_is_one_warning_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otel_export, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        begun = time.monotonic()
        queue = {"OTEL_BSP_MAX_QUEUE_SIZE": "64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16"}
        with tracing_into(url, monkeypatch, OTEL_EXPORTER_OTLP_TIMEOUT="0.2", **queue) as (tracing, link):
            for number in range(3000):
                tracing.alone(some(number), number, number + 1)
            handed_over = time.monotonic() - begun
        ended = time.monotonic() - begun
    assert handed_over < 15
    assert ended < handed_over + 15
    (told,) = [line for line in link.lines if line["status"] == "traced"]
    assert told == {"status": "traced", "spans": 0, "lost": 3000}
    assert len([line for line in link.lines if line["status"] == "not_exported"]) == 1
    warnings = [line["message"] for line in link.logged]
    assert len(warnings) == 2, warnings
    assert warnings[0].startswith("traces are not exported: ")
    assert warnings[1] == "3000 spans were not exported"


def test_headers_resource_and_calls_within_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ConnectionError("away")

    more = {
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=abc",
        "OTEL_RESOURCE_ATTRIBUTES": "team=blue,service.name=mine,service.namespace=shop",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.0001",
    }
    with collecting() as collector:
        with tracing_into(collector.url, monkeypatch, **more) as (tracing, link):
            with tracing.work() as work:
                assert tracing.timed(lambda error: some(1), lambda: 17) == 17
                work.says(some(0), ())
            with pytest.raises(ConnectionError):
                tracing.timed(lambda error: Said("fails", INTERNAL, {}, error), fails)
            for _ in range(100):
                tracing.timed(lambda error: some(2), lambda: 1)
        spans = {span.name: span for span in collector.spans}
    assert collector.headers[0]["x-key"] == "abc"
    assert set(spans) >= {"span 0", "span 1", "fails"}
    assert len(collector.spans) < 10, "a hundredth of a percent of what did not fail"
    assert spans["span 1"].parent == spans["span 0"].id
    assert spans["fails"].error == "ConnectionError"
    resource = spans["fails"].resource
    assert (resource["team"], resource["service.name"], resource["service.namespace"]) == (
        "blue",
        "proxy",
        "shop",
    )
    assert resource["deployment.environment.name"] == "flight"
    assert [line for line in link.lines if line["status"] == "traced"] == [
        {"status": "traced", "spans": len(collector.spans), "lost": 0}
    ]


def test_lines_of_a_failing_fleet_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector, tracing_into(collector.url, monkeypatch) as (tracing, link):
        begun = tracing.clock.now()
        context = Context("1" * 32, "", 3, "")
        for _ in range(5000):
            tracing.log(context, "2" * 16, "warning", "failed")
        seconds = (tracing.clock.now() - begun) // 10**9 + 2
    assert 50 <= len(link.logged) <= 50 * seconds
