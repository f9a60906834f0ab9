"""What Python calls: the kernel's entry behind the table of addresses. Importing this module imports numba; only compiled.py does."""

from typing import Any

from .command import command
from .world_type import world_at


def from_outside(addresses: Any, what: int, one: int, two: int, three: int) -> int:
    """command.command for the world at *addresses*; to be compiled."""
    return command(world_at(addresses), what, one, two, three)
