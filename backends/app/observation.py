"""What the monitors see of an app server in a second, and the beat on which they look."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psutil

from ...core.model import SECOND
from ..live.role import RoleLink


@dataclass(frozen=True, slots=True)
class Observation:
    """*requests* and *cpu_ns* in the last second; the rest now. *memory*: bytes by the model; *rss*: what the processes really have;
    *share*: of memory, 0 to 1, as the registry gets it. *custom*: metrics that the scenario declares."""

    requests: int
    in_flight: int
    queued: int
    memory: int
    rss: int
    cpu_ns: int
    share: float
    custom: Mapping[str, float] = field(default_factory=dict)


def memory_share(rss: int, total: int) -> float:
    """*rss* over *total* bytes; the host's share where there is no total."""
    if total > 0:
        return rss / total
    return float(psutil.virtual_memory().percent) / 100.0


class Rates:
    """Counters that only grow, as differences."""

    def __init__(self, requests: int = 0, cpu_ns: int = 0) -> None:
        self._requests, self._cpu_ns = requests, cpu_ns

    def since(self, requests: int, cpu_ns: int) -> tuple[int, int]:
        """What was added since the last call. A counter that fell began anew."""
        added = (
            requests - self._requests if requests >= self._requests else requests,
            max(0, cpu_ns - self._cpu_ns),
        )
        self._requests, self._cpu_ns = requests, cpu_ns
        return added


LATE = SECOND // 2
"""A beat that comes later than this (ns) counts as of its own time."""


class Beat(threading.Thread):
    """Calls *observe* at each whole second of the live clock, reports it as the status ``second``, and hands it to *write* with the time it counts as (ns).

    That is the second's, so that graces which begin with a sample end at the turns at which they do in a rehearsal, unless the beat comes more than LATE after it. Seconds
    that were missed are left out. An error of *observe* ends the beat and is handed to *failed*.
    """

    def __init__(
        self, link: RoleLink, observe: Callable[[], Observation], write: Callable[[Observation, int], None],
        failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        super().__init__(name="monitors", daemon=True)
        self._link = link
        self._observe = observe
        self._write = write
        self._failed = failed
        self._ended = threading.Event()

    def run(self) -> None:
        """See the class."""
        clock = self._link.clock
        due = 0
        try:
            while True:
                now = clock.now()
                due = max(due, now - now % SECOND) + SECOND
                if self._ended.wait((due - now) / SECOND):
                    return
                now = clock.now()
                seen = self._observe()
                self._link.status(
                    "second",
                    {
                        "requests": seen.requests,
                        "in_flight": seen.in_flight,
                        "queued": seen.queued,
                        "memory": seen.memory,
                        "rss": seen.rss,
                        "cpu_ns": seen.cpu_ns,
                        "custom": dict(seen.custom),
                    },
                )
                self._write(seen, due if now - due <= LATE else now)
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that can end the role
            self._failed(error)

    def end(self) -> None:
        """End it, after what it is doing."""
        self._ended.set()
        if self.is_alive():
            self.join()
