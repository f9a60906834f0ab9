"""Work on several processes that end with this one."""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")


def _end_with_parent() -> None:
    """In a worker: end when the parent does, however it ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _begin(prepare: Callable[[Any], None] | None, what: Any) -> None:
    """A worker's first steps."""
    _end_with_parent()
    if prepare is not None:
        prepare(what)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes begun inside never see Ctrl-C: it is for the parent to end them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def collects_garbage(work: Callable[[Task], Done]) -> Callable[[Task], Done]:
    """*work*, after which nothing of it is left in memory.

    What a rehearsal leaves behind are a few objects that refer to each other, and to arrays of many megabytes: too few for Python to look for them by itself.
    """

    @wraps(work)
    def done(task: Task) -> Done:
        try:
            return work(task)
        finally:
            gc.collect()

    return done


class Workers:
    """Processes that stay while there is work, each prepared once by ``prepare(what)``; one job works in this process.

    Inside ``with``; an exception, an interrupt too, ends the processes at once.
    """

    def __init__(self, jobs: int, prepare: Callable[[Any], None] | None = None, what: Any = None) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._running: dict[int, Any] = {}
        if jobs > 1:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                jobs, mp_context=context, initializer=_begin, initargs=(prepare, what)
            )
        elif prepare is not None:
            prepare(what)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._pool is None:
            return
        if kind is not None:
            for worker in self._running.values():
                worker.terminate()
        # Waited for: the pool's thread and the interpreter's exit would otherwise close one pipe against each other.
        self._pool.shutdown(cancel_futures=kind is not None)

    def map(self, work: Callable[[Task], Done], tasks: Iterable[Task]) -> Iterator[Done]:
        """*work* of each of *tasks*, in their order."""
        if self._pool is None:
            yield from map(work, tasks)
            return
        with _interrupts_held_back():
            futures = [self._pool.submit(work, task) for task in tasks]
        self._running = dict(self._pool._processes or {})
        for future in futures:
            yield future.result()
            self._running = dict(self._pool._processes or {})


def in_processes(work: Callable[[Task], Done], tasks: Sequence[Task], jobs: int) -> Iterator[Done]:
    """*work* of each of *tasks*, in their order; one job works in this process. An interrupt ends the processes too."""
    with Workers(jobs) as workers:
        yield from workers.map(work, tasks)
