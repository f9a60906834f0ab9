"""Compilation: the kernel's routines, once per machine and version of the sources, kept in a cache.

numba keys its cache by the file of the function that is compiled and does not notice an edited callee in another module (its
documentation, "Notes on caching", says so). The folder is therefore named after a hash of every source that can take part, of numba's version and of the CPU.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ...core.decision import enable_compilation, set_fast
from ...core.distributions import fill_samples, fill_steps
from ...core.rates import SEGMENT, fill_times
from . import command as entry
from . import routine
from .layout import World
from .loop import advance

KEPT = 8
"""So many compiled versions are kept."""

Command = Callable[[Any, int, int, int, int], int]

SOURCES = (Path(__file__).parents[2] / "core", Path(__file__).parent)
CONTROL_PLANE = frozenset(
    {
        "alerts.py", "autoscaler.py", "backtest.py", "custom.py", "decision_log.py", "fault_family.py", "fault_targets.py", "fault_waiting.py", "faults.py", "invariants.py", "limits.py", "probed.py", "records.py", "readings.py",
        "refusals.py", "scaling.py", "scaling_decision.py", "scaling_world.py", "troubles.py", "victims.py",
    }
)  # fmt: skip
"""Plain Python that changes often and that nothing compiled calls. (So are the policies, in a folder of their own.)"""


def fingerprint(folders: tuple[Path, ...] = SOURCES) -> str:
    """Names the compiled form of the sources in *folders* on this machine."""
    import llvmlite.binding as llvm
    import numba
    import numpy as np

    digest = hashlib.blake2b(digest_size=12)
    for folder in folders:
        for path in sorted(set(folder.glob("*.py")) - {folder / name for name in CONTROL_PLANE}):
            digest.update(f"{folder.name}/{path.name}\0".encode() + path.read_bytes() + b"\0")
    facts = (numba.__version__, np.__version__, llvm.get_host_cpu_name(), sys.implementation.cache_tag)
    digest.update("/".join(map(str, facts)).encode())
    return digest.hexdigest()


def cache_root() -> Path:
    """Where compiled kernels are kept: the user's cache folder, or a temporary one if that cannot be written."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "windtunnel"
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            return base
    except OSError:
        shared = Path(tempfile.gettempdir()) / f"windtunnel-{os.getuid()}"
        shared.mkdir(mode=0o700, exist_ok=True)
        if shared.stat().st_uid != os.getuid():
            return Path(tempfile.mkdtemp(prefix="windtunnel-"))
        return shared


def cache_folder() -> Path:
    """The folder of this version."""
    return cache_root() / f"kernel-{fingerprint()}"


def is_compiled() -> bool:
    """Whether the kernel starts at once: it is in the cache, or compilation is switched off."""
    import numba

    return bool(numba.config.DISABLE_JIT) or any(cache_folder().glob("from_outside*.nbc"))


def prepare() -> None:
    """Load what is compiled, or compile it (under a minute, once per version of the sources and machine)."""
    _compiled_entry()


class Kernel:
    """The kernel's entry, compiled; plain if numba's compilation is switched off (NUMBA_DISABLE_JIT=1)."""

    def __init__(self, world: World) -> None:
        self._entry = _compiled_entry()
        self._world = world
        self._addresses = _addresses(world)

    @property
    def world(self) -> World:
        """The world that commands are for; exchange it when an array was exchanged."""
        return self._world

    @world.setter
    def world(self, world: World) -> None:
        """Exchange it."""
        if world is not self._world:
            self._addresses = _addresses(world, self._world, self._addresses)
            self._world = world

    def close(self) -> None:
        """Let go of the world; no command can follow."""
        del self._world, self._addresses

    def __call__(self, what: int, one: int = 0, two: int = 0, three: int = 0) -> int:
        """See command.command."""
        return int(self._entry(self._addresses, what, one, two, three))


def _addresses(world: World, before: World | None = None, known: Any = None) -> Any:
    """The table of *world*; that of the world *before* it, *known*, is brought up to date."""
    import numba

    if numba.config.DISABLE_JIT:
        return world
    from .world_type import addresses_of

    return addresses_of(world, before, known)


@cache
def _compiled_entry() -> Command:
    import numba
    from numba import types
    from numba.extending import register_jitable

    if numba.config.DISABLE_JIT:
        return entry.command
    from .outside import from_outside

    enable_compilation()
    for function in routine.inlined:
        register_jitable(forceinline=True)(function)
    larger: list[Callable[..., Any]] = [*routine.called, advance, entry.command]
    for function in larger:
        # Said, for a caller that is inlined would pass it on.
        register_jitable(forceinline=False)(function)
    integers = types.Array(types.int64, 1, "C")
    with _cache() as folder:
        made: Command = _compiled(from_outside, (integers, *[types.int64] * 4), folder)
        drawing = (types.int64, integers, types.int64, types.int64, integers)
        sampling = (types.int64, types.float64, types.float64, *drawing)
        set_fast(fill_samples, _compiled(fill_samples, sampling, folder))
        set_fast(fill_steps, _compiled(fill_steps, drawing, folder))
        floats = types.Array(types.float64, 1, "C")
        profile = types.Array(numba.from_dtype(SEGMENT), 1, "C")
        placing = (profile, floats, types.int64, integers)
        set_fast(fill_times, _compiled(fill_times, placing, folder))
    _forget_old(folder)
    return made


@contextmanager
def _cache() -> Iterator[Path]:
    """The cache's folder, for one process at a time."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _compiled(function: Callable[..., Any], signature: tuple[Any, ...], folder: Path) -> Any:
    """Without reference counts: the arrays outlive every call, and counting costs the kernel five times the work itself.

    The cache is told that the folder's name stands for the sources, so that every copy of them shares it.
    """
    import numba
    from numba.core.caching import IndexDataCacheFile

    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        made = numba.njit(cache=True, _nrt=False)(function)
    finally:
        numba.config.CACHE_DIR = before
    made._cache._cache_path = str(folder)
    made._cache._cache_file = IndexDataCacheFile(str(folder), function.__name__, folder.name)
    with _whole_program(function.__name__):
        made.compile(signature)
    return made


@contextmanager
def _whole_program(name: str) -> Iterator[None]:
    """Inside, only the library of function *name* is optimised and turned into machine code.

    numba does both for every function, each time with all that it calls, of which only the last is ever run: for the kernel four fifths of
    the time.
    """
    from numba.core.codegen import CPUCodeLibrary, JITCPUCodegen

    finalize, set_env = CPUCodeLibrary.finalize, JITCPUCodegen.set_env

    def link_only(library: Any) -> None:
        if name in library.name:
            finalize(library)
            return
        for linked in dict.fromkeys(library._linking_libraries):
            library._reload_init.update(linked._reload_init)
            library._final_module.link_in(linked._get_module_for_linking(), preserve=True)
        library._finalized = True

    def set_existing(codegen: Any, variable: str, value: Any) -> None:
        if codegen._engine.is_symbol_defined(variable):
            set_env(codegen, variable, value)

    CPUCodeLibrary.finalize, JITCPUCodegen.set_env = link_only, set_existing
    try:
        yield
    finally:
        CPUCodeLibrary.finalize, JITCPUCodegen.set_env = finalize, set_env


def _forget_old(newest: Path) -> None:
    folders = sorted(newest.parent.glob("kernel-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in folders[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
