"""What the autoscaler takes over from the cloud's list."""

from windtunnel.core.autoscaler import Autoscaler
from windtunnel.core.ports import CloudInstance
from windtunnel.tests.support import plan, steady


def test_an_address_that_comes_after_the_launch_is_taken_over() -> None:
    policy = {"policy": {"threshold": {"requests_high": "100/s", "requests_low": "10/s"}}}
    spec = plan(steady(autoscaler=policy)).fleet.autoscaler
    assert spec is not None
    engine = Autoscaler(spec)
    engine.launched(0, CloudInstance(1, "i-1", "", "serving", "pending", 0))
    assert engine.watched() == ()
    engine.adopt(5, (CloudInstance(1, "i-1", "http://203.0.113.7", "serving", "running", 0),))
    assert engine.watched() == ("http://203.0.113.7",)
