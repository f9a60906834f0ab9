"""Delivery of news of alerts, beside the autoscaler's turns: no receiver ever delays one.

Each receiver has a thread and a bounded queue of its own, so that one that hangs delays nobody else. What cannot be delivered, or finds a full queue, is lost;
that is said once, and again only after a delivery that succeeded. News may come twice, if the autoscaler dies right after it has told.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...core.alerts import FIRED, AlertSpec, Receiver
from .receivers import DeliveryError, News, deliver, end_group, label

WAITING = 100
"""So much news waits for a receiver at most."""

LAST_SECONDS = 2.0
"""So long the end of the role waits for what is still to be delivered."""

Warn = Callable[[str, Mapping[str, Any]], None]


class _Post:
    """One receiver's queue, and the thread that empties it."""

    def __init__(self, receiver: Receiver, allowed: tuple[str, ...], warn: Warn) -> None:
        self._receiver = receiver
        self._allowed = allowed
        self._warn = warn
        self._queue: queue.Queue[News] = queue.Queue(WAITING)
        self._lock = threading.Lock()
        self._failing = False
        self._group = 0
        self._ended = False
        threading.Thread(target=self._work, daemon=True).start()

    def put(self, news: News) -> None:
        """Never waits."""
        try:
            self._queue.put_nowait(news)
        except queue.Full:
            self._failed(f"{WAITING} wait already")

    @property
    def idle(self) -> bool:
        """Whether everything was tried."""
        return self._queue.unfinished_tasks == 0

    def end(self) -> None:
        """Leave nothing running."""
        with self._lock:
            self._ended = True
            if self._group:
                end_group(self._group)

    def _work(self) -> None:
        while True:
            news = self._queue.get()
            try:
                deliver(self._receiver, news, self._allowed, self._running)
            except DeliveryError as error:
                self._failed(str(error))
            else:
                self._failing = False
            finally:
                self._queue.task_done()

    def _running(self, group: int) -> None:
        with self._lock:
            self._group = group
            if group and self._ended:
                end_group(group)

    def _failed(self, error: str) -> None:
        with self._lock:
            news, self._failing = not self._failing, True
        if news:
            self._warn("an alert was not delivered", {"receiver": label(self._receiver), "error": error})


class Notices:
    """All receivers of all alerts. *warn* is called from their threads."""

    def __init__(
        self, scenario: str, alerts: Iterable[AlertSpec], allowed: tuple[str, ...], warn: Warn
    ) -> None:
        self._scenario = scenario
        self._alerts = {alert.name: alert for alert in alerts}
        receivers = dict.fromkeys(one for alert in self._alerts.values() for one in alert.notify)
        self._posts = {receiver: _Post(receiver, allowed, warn) for receiver in receivers}

    def tell(self, time: int, event: str, fields: Mapping[str, Any]) -> None:
        """An alert's *event* of *time* (ns of the scenario), to its receivers; returns at once."""
        alert = self._alerts[fields["name"]]
        news = {
            "scenario": self._scenario, "alert": alert.name, "state": "firing" if event == FIRED else "over",
            "condition": alert.text, "time_ns": time,
            **{name: value for name, value in fields.items() if name != "name"},
        }  # fmt: skip
        for receiver in alert.notify:
            self._posts[receiver].put(news)

    def close(self, seconds: float = LAST_SECONDS) -> None:
        """Wait so long for what is under way; end programs that still run."""
        end = time.monotonic() + seconds
        while not all(post.idle for post in self._posts.values()) and time.monotonic() < end:
            time.sleep(0.01)
        for post in self._posts.values():
            post.end()
