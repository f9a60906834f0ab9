"""Takes a flight's keys out of a registry of the user's, after its conductor was lost: the guardian starts it, with url, prefix and addresses as JSON on its input."""

import json
import sys
from collections.abc import Iterable

from ...core.ports import RegistryError
from ..connection import registry_at
from .redis_server import sweep


def sweep_all(url: str, prefix: str, addresses: Iterable[str]) -> None:
    """Beside the servers at *addresses*, all that are listed are the flight's: it began with a registry without any. A registry that is gone needs nothing."""
    try:
        listed = registry_at(url, prefix).servers()
    except RegistryError:
        return
    sweep(url, prefix, dict.fromkeys((*addresses, *listed.serving, *listed.canary, *listed.standby)))


def main() -> None:
    """See the module."""
    told = json.load(sys.stdin)
    sweep_all(str(told["url"]), str(told["prefix"]), map(str, told["addresses"]))


if __name__ == "__main__":
    main()
