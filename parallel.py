"""Work on several processes that end with this one."""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
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


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes begun inside never see Ctrl-C: it is for the parent to end them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def frugal(work: Callable[[Task], Done]) -> Callable[[Task], Done]:
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


def in_processes(work: Callable[[Task], Done], tasks: Sequence[Task], jobs: int) -> Iterator[Done]:
    """*work* of each of *tasks*, in their order; one job works in this process. An interrupt ends the processes too."""
    if jobs == 1:
        yield from map(work, tasks)
        return
    pool = ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
    )
    workers: dict[int, Any] = {}
    try:
        with _interrupts_held_back():
            futures = [pool.submit(work, task) for task in tasks]
        workers = dict(pool._processes or {})
        for future in futures:
            yield future.result()
            workers = dict(pool._processes or {})
    except BaseException:
        for worker in workers.values():
            worker.terminate()
        # Waited for: the pool's thread and the interpreter's exit would otherwise close one pipe against each other.
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()
