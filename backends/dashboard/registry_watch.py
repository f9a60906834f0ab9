"""Follows a fleet by its registry alone: what its servers and its proxy say of themselves, once a second. It reads, and changes nothing."""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.columns import METRIC_ROW
from ...core.lifecycle import State
from ...core.model import SECOND
from ...core.ports import ProxyLoad, RegistryError, Sample, Servers
from ..live.clock import LiveClock
from ..live.telling import Told
from ..live.whereabouts import Whereabouts
from ..registry import RedisRegistry
from .following import LIVE, NOTHING
from .news import News
from .showing import Show

MEMORY = 1_000_000
"""What counts as all of a server's memory, of which the registry knows the share."""

_OLD = 3 * SECOND
"""A sample that is older says nothing of this second; one without a time is taken at its word."""

_ROLES = (("serving", State.SERVING), ("canary", State.CANARY), ("standby", State.STANDBY))

Read = tuple[Servers, Mapping[str, Sample], ProxyLoad | None]


class RegistryWatch:
    """Implements dashboard_server.Followed for the fleet of *registry*; servers are numbered as they are first seen."""

    def __init__(self, registry: RedisRegistry, show: Show, news: News) -> None:
        self.state = LIVE
        self.whereabouts: Whereabouts | None = None
        self.grown = 0
        self._registry = registry
        self._show = show
        self._news = news
        self._clock = LiveClock.begin()
        self._begun = self._clock.now()
        self._numbers: dict[str, int] = {}
        self._listed: dict[str, State] = {}
        self._reachable = True

    def told(self) -> dict[str, Any]:
        """See dashboard_server.Followed: nobody strikes a fleet that is not ours."""
        return {"state": self.state, "allowed": False, "flight": False}

    async def run(self) -> None:
        """Until it is cancelled."""
        second = 0
        while True:
            second += 1
            await asyncio.sleep(max(0.0, (self._begun + second * SECOND - self._clock.now()) / 1e9))
            try:
                servers, samples, proxy = await asyncio.to_thread(self._read)
            except RegistryError as error:
                self._reach(second, False, str(error))
                continue
            self._reach(second, True, "")
            self._list(second, servers)
            frame = self._show.frame(self._second(second, samples, proxy), ())
            self._news.tell("frame", frame, int(frame["first"]))

    def _read(self) -> Read:
        """In a thread: Redis may take its time."""
        servers = self._registry.servers()
        samples = self._registry.read_samples([*servers.serving, *servers.canary, *servers.standby])
        return servers, samples, self._registry.read_proxy_load()

    def _second(self, second: int, samples: Mapping[str, Sample], proxy: ProxyLoad | None) -> Told:
        time, now = second * SECOND, self._clock.now()
        rows: list[tuple[int, ...]] = []
        if proxy is not None and now - proxy.time < _OLD:
            rows.append(
                (time, 0, int(State.SERVING), proxy.requests, proxy.in_flight, proxy.waiting, 0, 0, 0, 0)
            )
        for address, state in self._listed.items():
            one = samples.get(address)
            said = (0, 0, 0, 0)
            if one is not None and (one.time is None or now - one.time < _OLD):
                said = (one.requests, one.in_flight, round(one.memory * MEMORY), round(one.cpu * SECOND))
            requests, in_flight, memory, cpu = said
            rows.append((time, self._numbers[address], int(state), requests, in_flight, 0, memory, cpu, 0, 0))
        return Told("second", {"t": time}, metrics=np.array(rows, dtype=METRIC_ROW))

    def _list(self, second: int, servers: Servers) -> None:
        listed = {address: state for role, state in _ROLES for address in getattr(servers, role)}
        for address in sorted(set(listed) - set(self._listed)):
            number = self._numbers.setdefault(address, len(self._numbers) + 1)
            self._tell(second, "ready", {"server": number, "role": listed[address].word, "address": address})
        for address in sorted(set(self._listed) - set(listed)):
            self._tell(second, "unlisted", {"server": self._numbers[address], "address": address})
        self._listed = listed

    def _reach(self, second: int, able: bool, error: str) -> None:
        if able != self._reachable:
            self._reachable = able
            name = "registry_reachable" if able else "registry_unreachable"
            self._tell(second, name, {} if able else {"error": error})

    def _tell(self, second: int, name: str, fields: Mapping[str, Any]) -> None:
        marks = self._show.marks([{"t": second * SECOND, "event": name, **fields}])
        if marks:
            self._news.tell("frame", {**NOTHING, "marks": marks})
