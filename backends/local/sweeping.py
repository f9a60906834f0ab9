"""Takes a flight's keys out of a registry of the user's, after its conductor was lost: the guardian starts it, with url and prefix as JSON on its input."""

import json
import sys

from ...core.ports import RegistryError
from ..connection import registry_at
from .redis_server import sweep


def sweep_all(url: str, prefix: str) -> None:
    """All servers that are listed are the flight's: it began with a registry without any. A registry that is gone needs nothing."""
    try:
        listed = registry_at(url, prefix).servers()
    except RegistryError:
        return
    sweep(url, prefix, (*listed.serving, *listed.canary, *listed.standby))


def main() -> None:
    """See the module."""
    told = json.load(sys.stdin)
    sweep_all(str(told["url"]), str(told["prefix"]))


if __name__ == "__main__":
    main()
