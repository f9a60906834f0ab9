"""A steady load: requests at a fixed pace over a kept connection and over new ones, and what became of them."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class SteadyLoad:
    """Begins to send when it is made. *outcomes* counts by status, or by the error's name."""

    def __init__(self, host: str, port: int, rate: float = 40.0) -> None:
        self.outcomes: Counter[str] = Counter()
        self._place = (host, port)
        self._gap = 1 / rate
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(kept,)) for kept in (True, False)]
        for thread in self._threads:
            thread.start()

    def _send(self, kept: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        due = time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            due += 2 * self._gap
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(*self._place, timeout=20)
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                self.outcomes[str(answer.status)] += 1
                if kept and not answer.will_close:
                    continue
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[type(error).__name__] += 1
            if connection is not None:
                connection.close()
            connection = None
        if connection is not None:
            connection.close()

    def end(self) -> None:
        """Send no more."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    @property
    def failures(self) -> dict[str, int]:
        """Everything but 200."""
        return {name: count for name, count in self.outcomes.items() if name != "200"}


@contextmanager
def steady_load(host: str, port: int, rate: float = 40.0) -> Iterator[SteadyLoad]:
    """While the block runs."""
    load = SteadyLoad(host, port, rate)
    try:
        yield load
    finally:
        load.end()
