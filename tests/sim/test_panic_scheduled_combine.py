"""Policies at work in a rehearsal: panic when a crowd comes, a schedule by the clock, and both combined."""

from typing import Any

from windtunnel.core.model import SECOND
from windtunnel.reports.run import Run
from windtunnel.tests.support import happened, run

CROWD = [
    {
        "name": "users",
        "stages": [{"for": "60s", "rate": "40/s"}, {"for": "30s", "rate": "200/s"}, {"for": "120s", "rate": "40/s"}],
    }
]  # fmt: skip


def fleet(policy: dict[str, Any], traffic: Any = CROWD, length: str = "210s", **more: Any) -> Run:
    document = {
        "duration": length,
        "fleet": {"app": {"initial": 2, "min": 1, "max": 20, "boot_time": {"constant": "3s"}}},
        "endpoints": [{"path": "/", "cpu": {"constant": "5ms"}}],
        "traffic": traffic,
        "autoscaler": {"policy": policy, "interval": "2s"},
        **more,
    }
    return run(document)


def decided(found: Run) -> list[tuple[float, int, str]]:
    """(second, size, reason) of each decision that changed the size."""
    return [
        (event["t"] / SECOND, event["desired"], event["reason"])
        for event in happened(found, "decision")
        if event.get("desired") != event.get("actual")
    ]


PANIC = {"panic": {"target": "40/s", "metric": "requests"}}
"""So that 28/s a server are wanted."""


def test_a_crowd_is_met_in_panic_and_nobody_goes_until_it_is_over() -> None:
    found = decided(fleet(PANIC))
    assert all(second > 60 for second, _, _ in found), (
        "40/s are two servers: neither more nor fewer before the crowd"
    )
    ups = [(second, size) for second, size, _ in found if second < 100]
    assert ups[0][0] <= 66, "a panic window sees it within seconds"
    assert 8 <= max(size for _, size in ups) <= 10
    assert {reason for second, _, reason in found if second < 100} == {"panic"}
    downs = [(second, size, reason) for second, size, reason in found if second >= 100]
    assert downs, "the fleet shrinks again"
    assert downs[0][0] >= 120, "in panic none goes"
    assert downs[0][2] == "stable window"
    assert min(size for _, size, _ in downs) <= 3


def test_a_schedule_follows_the_clock_of_its_zone() -> None:
    entries = [
        {"cron": "30 2 * * sun", "size": 5},
        {"at": "2026-03-29T00:00:00", "min": 1},
        {"at": "2026-03-29T03:00:30", "min": 2, "max": 3},
    ]
    policy = {"scheduled": {"starts": "2026-03-29T01:59:30", "timezone": "Europe/Berlin", "entries": entries}}
    found = decided(fleet(policy, [], "85s"))
    assert found[-2:] == [(30.0, 5, "scheduled size"), (60.0, 3, "scheduled maximum")], (
        "02:30 is 03:00 on that day"
    )


def test_combined_a_schedule_prepares_and_a_silent_server_lets_nobody_go() -> None:
    schedule = {
        "starts": "2026-03-02T08:59:30",
        "entries": [{"cron": "0 9 * * *", "min": 6}, {"cron": "1 9 * * *", "min": 1}],
    }
    policy = {"combine": {"of": [{"target_tracking": {"target": "20/s"}}, {"scheduled": schedule}]}}
    traffic = [{"name": "users", "stages": [{"for": "120s", "rate": "40/s"}]}]
    plain = decided(fleet(policy, traffic, "120s"))
    assert (30.0, 6, "scheduled: minimum") in plain
    assert any(second > 60 and size < 6 for second, size, _ in plain), "09:01: what the load asks for"
    target = {"role": "app", "count": 1}
    silent = {"name": "mute", "type": "monitor_silent", "at": "50s", "for": "50s", "target": target}
    scaler = {"policy": policy, "interval": "2s", "dead_after": "never"}
    deaf = fleet(policy, traffic, "120s", faults=[silent], autoscaler=scaler)
    assert not [size for second, size, _ in decided(deaf) if 56 < second < 100], (
        "nobody goes while one is unknown"
    )
    assert any(second >= 100 and size < 6 for second, size, _ in decided(deaf))
    reasons = {event["reason"]: event["t"] / SECOND for event in happened(deaf, "decision")}
    assert 50 < reasons["target_tracking: unknown"] < 100, "what hinders is said"
