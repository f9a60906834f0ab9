"""Limits on what a flight may cost: instances at a time, and instance time in all.

Theory of operation
-------------------
:class:`LimitedCloud` stands before any cloud. Before a launch it asks the provider what is there (by our tags, not only by its own books) and
afterwards asks again: launches of one process wait for each other, and of two processes that launched at the same moment, whoever then
finds too many ends its own instance. Time is counted from the launch times in the tags: of all that lives, whichever run launched it, and of what
this run launched and ended. It survives a restart: EC2 lists what ended for about an hour, and each launch notes the time spent before it. The
time is used up a margin before it really is, so that ending everything at the next look does not exceed it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ...core.model import SECOND
from ...core.ports import Cloud, CloudError, CloudInstance
from .flight import Past

HOUR = 3600 * SECOND


@dataclass(frozen=True, slots=True)
class Limits:
    """*instances* at a time and *time* (instance-ns) in all; None: unlimited. ``enforce`` must be called each *margin* ns or more often, as ``watch`` does."""

    instances: int | None = None
    time: int | None = None
    margin: int = 10 * SECOND


@dataclass(slots=True)
class _Life:
    launched: int
    ended: int | None = None


@dataclass(slots=True)
class InstanceTime:
    """The books of instance time: what was seen to live, and until when. *now* gives ns."""

    now: Callable[[], int]
    _lives: dict[str, _Life] = field(default_factory=dict)
    _since: int | None = None
    _carried: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def recover(self, past: Past) -> None:
        """Take over what the provider remembers of this run. Without a time of ending, an instance counts until now."""
        with self._lock:
            self._since, self._carried = past.at, past.spent
        self.learn(past)

    def learn(self, past: Past) -> None:
        """Take over when instances ended, of which :meth:`see` knows only that they did."""
        with self._lock:
            for gone in past.ended:
                ended = self.now() if gone.ended is None else gone.ended
                self._lives.setdefault(gone.provider_id, _Life(gone.launched)).ended = ended

    def see(self, living: tuple[CloudInstance, ...]) -> None:
        """What lives now; what lived before and is not among it has ended."""
        with self._lock:
            names = {instance.provider_id for instance in living}
            for name, life in self._lives.items():
                if name not in names and life.ended is None:
                    life.ended = self.now()
            for instance in living:
                self._lives.setdefault(instance.provider_id, _Life(instance.launched)).ended = None

    def end(self, provider_id: str) -> None:
        """An instance ended now; if it is listed again, it has not."""
        with self._lock:
            life = self._lives.get(provider_id)
            if life is not None and life.ended is None:
                life.ended = self.now()

    def spent(self, later: int = 0) -> int:
        """Instance time so far, ns; or as it will be *later* ns from now if all that lives goes on."""
        with self._lock:
            moment = self.now() + later
            total = self._carried
            for life in self._lives.values():
                begin = life.launched if self._since is None else max(life.launched, self._since)
                total += max((moment if life.ended is None else life.ended) - begin, 0)
            return total


class LimitedCloud:
    """Implements core.ports.Cloud over *cloud*, within *limits*. *past* asks the provider what it remembers; *notice* is told what was ended."""

    def __init__(
        self,
        cloud: Cloud,
        limits: Limits,
        time: InstanceTime,
        past: Callable[[], Past] = Past,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._cloud = cloud
        self._limits = limits
        self._time = time
        self._past = past
        self._notice = notice
        self._lock = threading.RLock()
        self._recovered = False
        self._ending = False
        self._told = False

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """See core.ports.Cloud. Raises CloudError ``MaxInstances`` or ``MaxHours`` instead of exceeding a limit."""
        with self._lock:
            living = self._look()
            if self.enforce() or self._used_up_by_one_more():
                raise CloudError("MaxHours", self._told_time())
            most = self._limits.instances
            known = any(instance.number == number for instance in living)
            if most is not None and len(living) >= most and not known:
                raise CloudError("MaxInstances", f"{len(living)} instances there, at most {most} allowed")
            made = self._cloud.launch(number, role, token)
            try:
                after = self._look()
            except CloudError:
                # Nobody knows whether it is one too many.
                self.terminate(made.provider_id)
                raise
            count = len({instance.provider_id for instance in (*after, made)})
            if most is not None and count > most:
                self.terminate(made.provider_id)
                raise CloudError(
                    "MaxInstances", f"{count} instances after a launch elsewhere, at most {most} allowed"
                )
            return made

    def terminate(self, provider_id: str) -> None:
        """See core.ports.Cloud."""
        self._cloud.terminate(provider_id)
        self._time.end(provider_id)

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud. Ends everything when the time is used up."""
        with self._lock:
            living = self._look()
            return self._look() if self.enforce() else living

    def enforce(self) -> bool:
        """Whether the time is used up; then whatever is ours is ended. It asks the provider only then. Raises CloudError, to be called again."""
        limit, margin = self._limits.time, self._limits.margin
        if limit is None or (self._recovered and not self._ending and self._time.spent(margin) < limit):
            return False
        with self._lock:
            # The books may not know yet what ended by itself, and when.
            living = self._look()
            self._time.learn(self._past())
            if not self._ending and self._time.spent(margin) < limit:
                return False
            # For good: what has just been ended must not make room for another launch.
            self._ending = True
            if living and not self._told:
                self._told = True
                self._notice(f"{self._told_time()}; ending {len(living)} instances")
            refused: list[CloudError] = []
            for instance in living:
                try:
                    self.terminate(instance.provider_id)
                except CloudError as error:
                    refused.append(error)
            if refused:
                raise refused[0]
        return True

    def watch(self, stopping: threading.Event) -> None:
        """Enforce twice each margin in a thread of its own until *stopping*, so that no limit waits for anybody's tick."""
        threading.Thread(target=self._watch, args=(stopping,), name="limits", daemon=True).start()

    def _watch(self, stopping: threading.Event) -> None:
        said = ""
        while not stopping.wait(self._limits.margin / 2 / SECOND):
            try:
                self.enforce()
            except CloudError as error:
                if said != str(error):
                    said = str(error)
                    self._notice(f"limits: {said}")

    def _look(self) -> tuple[CloudInstance, ...]:
        if not self._recovered:
            self._time.recover(self._past())
            self._recovered = True
        living = self._cloud.list()
        self._time.see(living)
        return living

    def _used_up_by_one_more(self) -> bool:
        margin, limit = self._limits.margin, self._limits.time
        return limit is not None and self._time.spent(margin) + margin >= limit

    def _told_time(self) -> str:
        limit = self._limits.time or 0
        return f"{self._time.spent() / HOUR:.3f} instance-hours spent, at most {limit / HOUR:g} allowed"
