"""Deploys of the proxy, and of registry and autoscaler: one process each, started anew in another version."""

from .commands import Component, RestartProxy, RestartRegistry
from .moment import Moment
from .spec import PROXY


def restart(moment: Moment) -> bool:
    """Have the role run the moment's version; whether it does, and has been healthy for long enough."""
    spec = moment.spec
    is_proxy = spec.branch == PROXY
    found: Component | None = moment.observed.proxy if is_proxy else moment.observed.registry
    if found is None or found.version != moment.version:
        moment.ask(
            RestartProxy(moment.version, spec.handover) if is_proxy else RestartRegistry(moment.version)
        )
    elif found.healthy_since >= 0 and moment.now - found.healthy_since >= spec.min_ready:
        return True
    failed = any(
        isinstance(one, (RestartProxy, RestartRegistry)) and one.version == moment.version
        for one in moment.observed.failed
    )
    if failed:
        moment.fail(f"the {spec.role} could not be started")
    elif moment.now - moment.books.since >= spec.deadline:
        moment.fail(f"the {spec.role} was not healthy in time")
    return False
