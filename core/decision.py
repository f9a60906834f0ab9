"""The one decorator of data-plane decisions.

Theory of operation
-------------------
A decision is a pure function in the subset of Python that numba compiles in nopython mode. It stays an
ordinary Python function: the reference simulation calls it as it is. Whoever wants it compiled (the
kernel, the live proxy, the test that compares both) calls :func:`enable_compilation` once; from then on
compiled callers may call any decision by name. Only then is numba imported, so that processes that never
compile pay neither its half second nor its memory.

Rules of the subset: integers are non-negative int64 (no overflow, no mixing with unsigned), floats are
float64, ``math`` is the scalar one, state is a structured numpy array per entity, passed whole.
"""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_decisions: dict[str, Callable[..., Any]] = {}
_compiled: set[str] = set()
_fast: dict[Callable[..., Any], Callable[..., Any]] = {}


def decision(function: F) -> F:
    """Mark a function as a data-plane decision; it is returned unchanged."""
    name = f"{function.__module__}.{function.__qualname__}"
    assert name not in _decisions, f"decision {name} is declared twice"
    _decisions[name] = function
    return function


def decisions() -> dict[str, Callable[..., Any]]:
    """All decisions declared by the modules imported so far, by qualified name."""
    return dict(_decisions)


def enable_compilation() -> None:
    """Let numba-compiled code call every decision declared so far. Idempotent."""
    from numba.extending import register_jitable

    for name, function in _decisions.items():
        if name not in _compiled:
            register_jitable(function)
            _compiled.add(name)


def set_fast(function: Callable[..., Any], compiled: Callable[..., Any]) -> None:
    """From now on :func:`fast` answers *compiled* for *function*."""
    _fast[function] = compiled


def fast(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The compiled form of a decision that loops over an array, if this process has one."""
    return _fast.get(function)
