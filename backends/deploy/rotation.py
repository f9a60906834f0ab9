"""``python -m windtunnel.backends.deploy.rotation``: what playbooks ask of the registry, one short call each, with JSON as the answer.

The registry's address comes from WINDTUNNEL_REDIS_URL, since a command line can be read by everybody on the machine. Exit codes: 0 done (``changed`` says
whether there was anything to do), 3 a server was not healthy in time, 4 the registry failed.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from ...core.ports import RegistryError
from ..connection import registry_at
from ..fleet_operations import FleetOperations, Unhealthy, known_address

URL = "WINDTUNNEL_REDIS_URL"


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    asked = _parser().parse_args(arguments)
    address = known_address(asked.address)
    try:
        fleet = FleetOperations(registry_at(os.environ.get(URL, ""), asked.key_prefix))
        answer = _obey(fleet, asked, address)
    except Unhealthy as error:
        sys.stderr.write(f"{error}\n")
        return 3
    except (RegistryError, ValueError) as error:
        sys.stderr.write(f"the registry: {error}\n")
        return 4
    sys.stdout.write(json.dumps({"address": address, **answer}) + "\n")
    return 0


def _obey(fleet: FleetOperations, asked: argparse.Namespace, address: str) -> dict[str, object]:
    if asked.action == "drain":
        changed = fleet.leave(address)
        return {"changed": changed, "ended": fleet.drained(address, asked.timeout) if changed else True}
    if asked.action == "restore":
        return {"changed": fleet.restore(address, asked.role)}
    fleet.wait_healthy(address, asked.version, asked.path, asked.min_ready, asked.timeout)
    return {"changed": False}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rotation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--key-prefix", default="")
    actions = parser.add_subparsers(dest="action", required=True)
    drain, restore, healthy = (actions.add_parser(name) for name in ("drain", "restore", "healthy"))
    for action in (drain, restore, healthy):
        action.add_argument("address")
    drain.add_argument("--timeout", type=float, default=30.0)
    restore.add_argument("--role", default="serving")
    healthy.add_argument("--version", default="")
    healthy.add_argument("--path", default="/health")
    healthy.add_argument("--min-ready", type=float, default=2.0)
    healthy.add_argument("--timeout", type=float, default=60.0)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
