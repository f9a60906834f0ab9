"""Deploys that cannot be flown are refused before anything starts."""

import sys

from ...core.errors import UsageError
from ...core.model import FleetSpec
from ...core.rollout.spec import PROXY, REDIS


def refuse_deploys(backend: str, fleet: FleetSpec) -> None:
    """Raises UsageError for a scenario with deploys, which *backend* cannot carry out."""
    if fleet.deploys:
        names = ", ".join(deploy.name for deploy in fleet.deploys)
        raise UsageError(
            f"--backend {backend}: expected a scenario without deploys, got {names}; rehearse it, fly it with --backend local, or deploy to real hosts with windtunnel deploy apply"
        )


def check_deploys(fleet: FleetSpec, given_registry: bool) -> None:
    """Raises UsageError for a deploy that cannot be flown on this machine. *given_registry*: the registry is the user's."""
    for deploy in fleet.deploys:
        if deploy.branch == REDIS and given_registry:
            raise UsageError(
                f"deploy {deploy.name}: expected a flight without --redis-url: a registry that is the user's is not restarted"
            )
        if deploy.branch == PROXY and deploy.handover and sys.platform != "linux":
            raise UsageError(
                f"deploy {deploy.name}: expected connections: lost: a proxy hands over on Linux only in a flight"
            )
