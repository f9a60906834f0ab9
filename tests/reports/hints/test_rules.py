"""Each rule in a fleet that calls for it: it speaks, and its evidence is what was put in."""

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.reports.profiler.hints.hint import PARTS, SEVERITIES
from windtunnel.reports.profiler.hints.rules import RULES
from windtunnel.tests.reports.hints.fleets import Document, fault, fleet, hints_of, kinds, parts, the

MIB = 2**20


def stages(*what: tuple[str, str]) -> list[Document]:
    """Stages of constant rates: (length, rate)."""
    return [{"for": length, "rate": rate} for length, rate in what]


def crowd(*what: tuple[str, str], **client: Any) -> list[Document]:
    """One source in stages."""
    return [{"name": "users", "stages": stages(*what), "client": {"timeout": "3s", **client}}]


SCALED: Document = {
    "fleet": parts(
        {"initial": 2, "min": 2, "max": 8, "cores": 4, "queue": 32, "boot_time": {"constant": "20s"}}
    ),
    "autoscaler": {
        "policy": {"target_tracking": {"metric": "requests", "target": "100/s"}},
        "interval": "2s",
        "cooldown": "4s",
    },
}
"""A server of it does 200 requests a second; a launch takes 20 s."""


def test_a_scale_out_that_was_late_and_where_the_time_went() -> None:
    """A crowd at 30 s that needs four servers of the two that are there."""
    hint = the(
        "scale_out_late",
        hints_of(fleet(length="80s", traffic=crowd(("30s", "150/s"), ("50s", "700/s")), **SCALED)),
    )
    assert hint.severity == "critical"
    assert abs(hint.value("needed since") - 30 * SECOND) <= 2 * SECOND
    assert hint.value("boot") == pytest.approx(20 * SECOND, abs=SECOND)
    assert 20 * SECOND <= hint.value("delay") <= 27 * SECOND
    assert hint.value("until it was decided") <= 5 * SECOND
    steps = [one.value for one in hint.evidence if one.name.startswith(("until", "boot"))]
    assert sum(steps) == hint.value("delay")
    assert hint.value("servers needed") == pytest.approx(3.5, abs=0.3)
    assert hint.value("servers serving") == 2
    assert "20 s of them boot" in hint.text


def test_a_scale_out_that_the_cloud_held_up() -> None:
    faults = [fault("capacity_error", "25s", "30s")]
    document = fleet(
        length="110s", traffic=crowd(("30s", "150/s"), ("80s", "700/s")), faults=faults, **SCALED
    )
    hint = the("scale_out_late", hints_of(document))
    assert hint.value("launches refused") >= 1
    assert hint.value("until it was decided") + hint.value("until it was launched") >= 20 * SECOND
    assert hint.value("boot") == pytest.approx(20 * SECOND, abs=SECOND)
    assert "the cloud refused" in hint.text


def test_a_scale_out_that_came_in_time_is_no_hint() -> None:
    """A slow rise, and a target at half of what a server can do."""
    ramp = [
        {
            "name": "users",
            "stages": [{"for": "80s", "rate": "150/s"}, {"for": "60s", "to": "400/s"}],
            "client": {"timeout": "3s"},
        }
    ]
    assert not kinds(hints_of(fleet(length="140s", traffic=ramp, **SCALED))) & {
        "scale_out_late",
        "scale_out_missing",
    }


def test_a_scale_out_that_never_came_and_why() -> None:
    capped = {
        **SCALED,
        "fleet": parts({"initial": 2, "min": 2, "max": 2, "queue": 32, "boot_time": {"constant": "20s"}}),
    }
    document = fleet(length="70s", traffic=crowd(("20s", "150/s"), ("50s", "600/s")), **capped)
    found = hints_of(document)
    hint = the("scale_out_missing", found)
    assert "at its maximum of 2" in hint.text
    assert hint.value("servers needed") == pytest.approx(3, abs=0.3)
    assert hint.value("lasted") == pytest.approx(50 * SECOND, abs=4 * SECOND)
    assert "fleet_is_capped" in kinds(found)
    blind = {
        **SCALED,
        "autoscaler": {"policy": {"threshold": {"memory_high": "90%", "memory_low": "1%"}}, "interval": "2s"},
    }
    document = fleet(length="70s", traffic=crowd(("20s", "150/s"), ("50s", "600/s")), **blind)
    assert "the policy asked for none" in the("scale_out_missing", hints_of(document)).text


OSCILLATING: Document = {
    "fleet": parts({"initial": 4, "min": 2, "max": 16, "workers": 2, "cores": 2, "queue": 256, "boot_time": {"constant": "10s"}}),
    "endpoints": [{"path": "/", "cpu": {"exponential": {"mean": "25ms"}}}],
    "autoscaler": {
        "policy": {"threshold": {"requests_high": "70/s", "requests_low": "62/s"}}, "interval": "1s", "cooldown": "0s", "drain_timeout": "5s",
    },
}  # fmt: skip


def test_a_policy_that_oscillates_under_a_load_that_does_not() -> None:
    found = hints_of(fleet("290/s", "100s", **OSCILLATING))
    hint = the("policy_oscillates", found)
    assert hint.value("actions undone") >= 3
    # 290 requests of 25 ms on servers of two cores.
    assert hint.value("least needed") == pytest.approx(3.6, abs=0.4)
    assert hint.value("most servers") > hint.value("least servers")
    early = the("scaled_in_too_early", found)
    assert early.value("servers before") > early.value("servers after")
    assert early.value("share needed") >= 0.85


def test_a_policy_that_follows_its_load_does_not_oscillate() -> None:
    waves = crowd(("30s", "100/s"), ("40s", "350/s"), ("30s", "100/s"), ("40s", "350/s"), ("30s", "100/s"))
    calm = {**SCALED, "autoscaler": {**SCALED["autoscaler"], "cooldown": "8s"}}
    assert "policy_oscillates" not in kinds(hints_of(fleet(length="170s", traffic=waves, **calm)))


def test_a_fleet_that_is_too_large() -> None:
    hint = the("over_provisioned", hints_of(fleet("30/s", "310s")))
    assert hint.severity == "notice"
    assert hint.value("servers serving") == 4
    assert hint.value("enough") == 1
    assert hint.value("servers needed at the peak") == pytest.approx(30 / 200, abs=0.1)
    assert hint.value("spare") == pytest.approx(3 * 310 * SECOND, rel=0.02)


def test_retries_that_amplify_and_outlive_their_cause() -> None:
    """The hiccup of the library's retry-storm: four seconds in which all servers hang."""
    document = fleet(
        "260/s", "70s", fleet=parts({"initial": 2, "queue": 1000}),
        traffic=crowd(("70s", "260/s"), timeout="500ms", connections={"pool": 2000}, retries={"attempts": 4, "backoff": "50ms", "jitter": "50%"}),
        faults=[fault("pause", "30s", "4s", target={"role": "app", "count": "all"})],
    )  # fmt: skip
    found = hints_of(document)
    amplify, outlive = the("retries_amplify", found), the("storm_outlives", found)
    assert amplify.value("attempts") / amplify.value("requests") == amplify.value("attempts per request") > 2
    assert outlive.value("cause over") == 34 * SECOND
    assert outlive.since == 34 * SECOND
    assert outlive.value("amplification") == pytest.approx(5, rel=0.1)
    assert outlive.value("needed without retries") == pytest.approx(0.65, abs=0.05)
    assert "fault pause ended at 0:34" in outlive.text


def test_a_storm_that_ends_with_its_cause_is_no_more_than_amplified() -> None:
    document = fleet(
        "100/s", traffic=crowd(("60s", "100/s"), timeout="500ms", retries={"attempts": 4, "backoff": "50ms"}),
        faults=[fault("error", "10s", "30s", target={"role": "app", "count": "all"})],
    )  # fmt: skip
    found = hints_of(document)
    assert "storm_outlives" not in kinds(found)
    assert the("retries_amplify", found).value("amplification") == pytest.approx(1 + 4 * 0.5, rel=0.1)


def test_a_proxy_that_is_close_to_its_sockets() -> None:
    """A pool of 90 connections on a proxy of 100 descriptors that holds two for each request."""
    slow = [{"path": "/", "cpu": {"constant": "1ms"}, "io": {"constant": "200ms"}}]
    document = fleet(
        "210/s",
        "20s",
        fleet=parts({"workers": 64}, {"max_connections": 100, "overload": "refuse"}),
        endpoints=slow,
    )
    hint = the("proxy_close_to_its_limits", hints_of(document))
    assert "descriptors" in hint.text
    assert hint.value("limit") == 100
    assert 0.8 <= hint.value("share") <= 1
    roomy = fleet("210/s", "20s", fleet=parts({"workers": 64}, {"max_connections": 1000}), endpoints=slow)
    assert "proxy_close_to_its_limits" not in kinds(hints_of(roomy))


def test_a_proxy_that_is_close_to_its_event_loop() -> None:
    hint = the(
        "proxy_close_to_its_limits",
        hints_of(fleet("200/s", "20s", fleet=parts(proxy={"cpu_per_request": "4500us"}))),
    )
    assert "event loop" in hint.text
    assert hint.value("share") == pytest.approx(1, abs=0.15)


def test_memory_that_grows_and_the_time_that_is_left() -> None:
    memory = {"total": "512MiB", "base": "128MiB", "per_request": "1MiB"}
    leak = fault("memory_leak", "0s", server=3, attributes={"rate": "2MiB"})
    hint = the("memory_grows", hints_of(fleet(fleet=parts({"memory": memory}), faults=[leak])))
    assert hint.subject == "server 3"
    assert hint.value("slope") == pytest.approx(2 * MIB, rel=0.02)
    # 512 - 128 - 2 * 60 MiB, at 2 MiB a second.
    assert hint.value("time left") == pytest.approx((512 - 128 - 120) / 2 * SECOND, rel=0.05)
    assert hint.value("per request") == pytest.approx(2 * MIB / 50, rel=0.1)
    all_leak = {**memory, "leak": "64KiB"}
    hint = the("memory_grows", hints_of(fleet(fleet=parts({"memory": all_leak}))))
    assert hint.part == "fleet"
    assert hint.value("per request") == pytest.approx(64 * 2**10, rel=0.1)


def test_memory_that_comes_and_goes_with_the_load_does_not_grow() -> None:
    memory = {"total": "512MiB", "base": "128MiB", "per_request": "8MiB"}
    document = fleet(
        fleet=parts({"memory": memory}), traffic=crowd(("20s", "50/s"), ("20s", "200/s"), ("20s", "400/s"))
    )
    assert "memory_grows" not in kinds(hints_of(document))


def test_memory_that_is_short() -> None:
    memory = {"total": "512MiB", "base": "440MiB", "per_request": "1MiB"}
    pressure = fault("memory_pressure", "20s", "10s", 2, attributes={"size": "40MiB"})
    hint = the("memory_is_short", hints_of(fleet(fleet=parts({"memory": memory}), faults=[pressure])))
    assert hint.subject == "server 2"
    assert hint.value("memory used") >= 480 * MIB
    assert abs(hint.since - 20 * SECOND) <= SECOND


def test_a_server_that_fails_more_than_its_peers() -> None:
    found = hints_of(fleet(faults=[fault("error", "20s", "20s", 2, toxicity="30%")]))
    hint = the("server_fails_more", found)
    assert hint.subject == "server 2"
    assert hint.value("share") == pytest.approx(0.3, abs=0.06)
    assert hint.value("share of the peers") == 0
    assert abs(hint.since - 20 * SECOND) <= 2 * SECOND
    assert abs(hint.until - 40 * SECOND) <= 2 * SECOND
    alike = fleet(
        faults=[fault("error", "20s", "20s", target={"role": "app", "count": "all"}, toxicity="30%")]
    )
    assert "server_fails_more" not in kinds(hints_of(alike))


def test_a_full_queue_beside_idle_workers() -> None:
    """One of four is twenty times slower, and round robin sends it a quarter."""
    slow = fault("slow", "10s", server=1, attributes={"factor": 20})
    hint = the("queue_full_while_idle", hints_of(fleet(fleet=parts({"queue": 8}), faults=[slow])))
    assert hint.value("of these on the worst") == hint.value("attempts turned away")
    assert "on server 1" in hint.text
    assert hint.value("workers busy") == pytest.approx((4 + 3 * 1) / 16, abs=0.12)


def test_a_timeout_that_is_shorter_than_the_service() -> None:
    document = fleet(
        "50/s",
        endpoints=[{"path": "/export", "cpu": {"constant": "1ms"}, "io": {"exponential": {"mean": "300ms"}}}],
    )
    document["fleet"] = parts({"workers": 64}, {"upstream_timeout": "1s"})
    hint = the("timeout_too_short", hints_of(document))
    assert hint.subject == "endpoint /export"
    # exp(-1 / 0.3) of 3000.
    assert hint.value("attempts timed out") == pytest.approx(107, rel=0.3)
    assert 0.8 * SECOND <= hint.value("service p99") <= SECOND
    assert hint.value("timeout") == SECOND
    # A timeout because of the queue is not the timeout's fault.
    crowded = fleet("260/s", fleet=parts({"initial": 1, "queue": 1000}, {"upstream_timeout": "1s"}))
    assert "timeout_too_short" not in kinds(hints_of(crowded))


def test_a_server_whose_health_flaps() -> None:
    loop = fault("crash_loop", "5s", "40s", 3, attributes={"lives": "4s", "restart": "4s"})
    health = {
        "health_check": {
            "interval": "1s",
            "timeout": "500ms",
            "unhealthy_threshold": 2,
            "healthy_threshold": 2,
        }
    }
    hint = the("health_flaps", hints_of(fleet(fleet=parts(proxy=health), faults=[loop])))
    assert hint.subject == "server 3"
    assert 4 <= hint.value("times taken out") <= 6
    assert hint.value("between") == pytest.approx(8 * SECOND, abs=SECOND)


def test_a_proxy_that_has_taken_most_servers_out() -> None:
    outlier = {
        "outlier_detection": {
            "consecutive_5xx": 3,
            "base_ejection_time": "10s",
            "max_ejection_percent": "100%",
        }
    }
    sick = fault("error", "20s", "10s", target={"role": "app", "count": 3})
    hint = the("most_are_out", hints_of(fleet("100/s", fleet=parts(proxy=outlier), faults=[sick])))
    assert hint.value("servers out") == 3
    assert hint.value("servers serving") == 4
    assert abs(hint.since - 20 * SECOND) <= SECOND
    assert "4.00 times their share" in hint.text


def test_a_server_that_takes_more_than_its_share() -> None:
    """Errors are quick, so that least connections sends it more."""
    document = fleet(
        "500/s",
        "20s",
        fleet=parts(proxy={"routing": "least_connections"}),
        faults=[fault("error", "0s", server=2)],
    )
    hint = the("load_is_uneven", hints_of(document))
    assert hint.subject == "server 2"
    assert hint.value("requests") / hint.value("its share") == hint.value("factor") >= 1.5
    weights = parts({"weights": [3, 1, 1, 1]}, {"routing": "weighted"})
    assert "load_is_uneven" not in kinds(hints_of(fleet("200/s", "20s", fleet=weights)))


def test_a_server_that_nobody_routes_to() -> None:
    hint = the("nobody_routes_to", hints_of(fleet(faults=[fault("zombie", "20s", "25s", 3)])))
    assert hint.subject == "server 3"
    assert abs(hint.since - 20 * SECOND) <= 3 * SECOND
    assert hint.value("without a request") == pytest.approx(25 * SECOND, abs=3 * SECOND)
    assert hint.value("requests of its peers") == pytest.approx(200 / 3, rel=0.1)
    assert "nobody's table" in hint.text


def test_servers_that_are_gone_and_still_routed_to() -> None:
    document = fleet(
        length="40s", fleet=parts({"min": 4, "max": 6, "boot_time": {"constant": "10s"}}),
        autoscaler={"policy": {"threshold": {"requests_high": "500/s", "requests_low": "1/s"}}, "interval": "2s"},
        faults=[fault("spot_interruption", "10s", server=2, attributes={"notice": "5s", "handler": "none"})],
    )  # fmt: skip
    hint = the("gone_are_routed_to", hints_of(document))
    assert hint.since == 15 * SECOND
    assert hint.value("attempts") >= 10
    assert "to server 2" in hint.text


SEEN: Document = {
    "autoscaler": {
        "policy": {"threshold": {"requests_high": "500/s", "requests_low": "1/s"}},
        "interval": "1s",
        "dead_after": "2m",
    }
}


def test_a_clock_that_is_off() -> None:
    found = hints_of(fleet(faults=[fault("clock_skew", "20s", "25s", 2, attributes={"by": "4s"})], **SEEN))
    hint = the("clock_is_off", found)
    assert hint.subject == "server 2"
    assert hint.value("ahead") == pytest.approx(4 * SECOND, abs=SECOND)
    assert abs(hint.since - 20 * SECOND) <= 2 * SECOND
    behind = the(
        "clock_is_off",
        hints_of(fleet(faults=[fault("clock_skew", "20s", "25s", 3, attributes={"by": "-3s"})], **SEEN)),
    )
    assert behind.value("ahead") == pytest.approx(-3 * SECOND, abs=SECOND)
    assert "behind" in behind.text


def test_samples_that_stop() -> None:
    cut = fault("partition", "20s", "25s", 2, attributes={"from": "registry"})
    found = hints_of(fleet(faults=[cut], **SEEN))
    hint = the("samples_are_old", found)
    assert hint.subject == "server 2"
    assert hint.value("without a sample") == pytest.approx(25 * SECOND, abs=3 * SECOND)
    assert "clock_is_off" not in kinds(found)
    dead = fleet(faults=[fault("kill", "20s", server=2)], **SEEN)
    assert not kinds(hints_of(dead)) & {"samples_are_old", "clock_is_off"}


def test_an_endpoint_that_has_most_of_the_work() -> None:
    endpoints = [
        {"path": "/", "weight": 9, "cpu": {"exponential": {"mean": "5ms"}}},
        {"path": "/report", "weight": 1, "cpu": {"exponential": {"mean": "200ms"}}},
    ]
    slo = [{"name": "fast", "indicator": "latency_p95", "below": "50ms"}]
    hint = the("endpoint_dominates", hints_of(fleet("300/s", "30s", endpoints=endpoints, slo=slo)))
    assert hint.subject == "endpoint /report"
    assert hint.value("share of the time") == pytest.approx(200 / 245, abs=0.05)
    assert hint.value("service") == pytest.approx(0.2 * SECOND, rel=0.15)
    assert "endpoint_dominates" not in kinds(hints_of(fleet("100/s", "30s", endpoints=endpoints)))


def test_a_source_that_brings_the_others_down() -> None:
    traffic = [
        {"name": "users", "stages": stages(("60s", "150/s")), "client": {"timeout": "3s"}},
        {"name": "crawler", "start": "30s", "stages": stages(("20s", "1500/s")), "client": {"timeout": "3s"}},
    ]
    hint = the("source_dominates", hints_of(fleet(fleet=parts({"queue": 16}), traffic=traffic)))
    assert hint.subject == "source crawler"
    assert hint.value("share then") == pytest.approx(1500 / 1650, abs=0.02)
    assert hint.value("seconds") == pytest.approx(20, abs=2)


def test_a_dependency_that_is_saturated() -> None:
    database = {
        "dependencies": [{"name": "db", "concurrency": 2, "service": {"exponential": {"mean": "20ms"}}}]
    }
    document = fleet(
        fleet=parts({"workers": 64}, more=database), endpoints=[{"path": "/", "cpu": {"constant": "2ms"}, "calls": ["db"]}],
        traffic=crowd(("20s", "60/s"), ("20s", "130/s"), ("20s", "30/s")),
    )  # fmt: skip
    hint = the("dependency_saturated", hints_of(document))
    assert hint.subject == "dependency db"
    assert hint.value("calls asked for") == pytest.approx(130, rel=0.1)
    assert hint.value("calls it can serve") == pytest.approx(100)
    assert 20 * SECOND <= hint.since <= 26 * SECOND
    calm = {**document, "traffic": crowd(("60s", "60/s"))}
    assert "dependency_saturated" not in kinds(hints_of(calm))


def test_hints_are_in_order_and_data() -> None:
    found = hints_of(fleet("290/s", "100s", **OSCILLATING))
    ranked = [SEVERITIES.index(hint.severity) for hint in found]
    assert ranked == sorted(ranked)
    for hint in found:
        assert hint.part in PARTS
        assert hint.as_data()["evidence"] == [
            {"name": one.name, "value": one.value, "unit": one.unit} for one in hint.evidence
        ]
        assert len({one.name for one in hint.evidence}) == len(hint.evidence)
        assert all(one.words for one in hint.evidence)


def test_every_rule_is_listed_documented_and_tested() -> None:
    names = {rule.__name__ for rule in RULES}
    modules = {rule.__module__ for rule in RULES}
    written = {
        name
        for module in modules
        for name, one in vars(importlib.import_module(module)).items()
        if inspect.isfunction(one) and one.__module__ == module and not name.startswith("_")
    }
    assert written == names
    root = Path(__file__).parents[3]
    page = (root / "docs" / "hints.md").read_text()
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for rule in RULES:
        assert f"| `{rule.__name__}` | {' '.join((rule.__doc__ or '').split())} |" in page
        assert f'"{rule.__name__}"' in tests
