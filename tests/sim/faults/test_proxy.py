"""proxy_restart."""

import pytest
from windtunnel.tests.sim.faults.support import even, fault
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")


def test_a_proxy_restart_resets_connections_and_forgets_the_table() -> None:
    document = even("100/s", "4s", fault("proxy_restart", "2s", attributes={"after": "500ms"}))
    found = run(document)
    assert outcomes(found) == {"ok": 349, "refused": 51}
    assert [event["cause"] for event in happened(found, "proxy_down")] == ["proxy_restart"]
    at_once = run(even("100/s", "4s", fault("proxy_restart", "2s"), endpoints=[{"path": "/", "cpu": {"constant": "25ms"}}], fleet={"app": {"workers": 9}}))  # fmt: skip
    assert outcomes(at_once)["refused"] == 3, "those in flight: 25 ms at 100/s"
