"""The decorators of the kernel's routines: small ones that are inlined wherever they are called, and larger ones that are not."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

inlined: list[Callable[..., Any]] = []
called: list[Callable[..., Any]] = []


def routine(function: F) -> F:
    """A routine that is compiled into its caller: passing the world along would cost more than most routines do."""
    inlined.append(function)
    return function


def subroutine(function: F) -> F:
    """A routine that is rare, or called from many places, and therefore compiled once."""
    called.append(function)
    return function
