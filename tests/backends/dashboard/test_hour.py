"""An hour of 200 servers, told as fast as it is taken: neither the server nor the page grows with it, and the page stays fluid."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from windtunnel import Scenario
from windtunnel.backends.live.whereabouts import Whereabouts, written
from windtunnel.backends.local.broadcast import Broadcast
from windtunnel.backends.local.live_api import LiveApi
from windtunnel.backends.local.recording import Recording
from windtunnel.core.columns import ATTEMPT_ROW, REQUEST_ROW
from windtunnel.core.lifecycle import State
from windtunnel.core.outcomes import Outcome
from windtunnel.reports.sink import DirectorySink
from windtunnel.reports.tables import names_of

from .browser import chromium, dashboard_process, needs_chromium, opened, wait
from .serving import SECOND, PlainFaults

pytestmark = [pytest.mark.long, pytest.mark.live, needs_chromium]

SERVERS, HOUR, RATE = 200, 3600, 200
SCENARIO = f"""
scenario: hour
duration: 2h
fleet: {{app: {{initial: {SERVERS}, workers: 4, memory: {{total: 512MiB, base: 100MiB, per_request: 1MiB}}}}}}
endpoints: [{{path: /, cpu: {{constant: 2ms}}}}]
traffic: [{{name: users, stages: [{{for: 2h, rate: {RATE}/s}}]}}]
slo: [{{name: answered, indicator: availability, above: 99%}}]
"""
MIB = 1 << 20


class Hour:
    """A flight that records and tells what nobody flies, in a thread with a loop of its own, as a conductor would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.second = 0
        self._loop = asyncio.new_event_loop()
        scenario = Scenario.parse(SCENARIO)
        sink = DirectorySink(
            directory,
            names_of(["users"], ["/"]),
            {"scenario.yaml": scenario.to_yaml(), "host.json": '{"backend": "local"}'},
        )
        self._recording = Recording(sink)
        self._recording.follower = self._broadcast = Broadcast({"name": "hour", "allowed": False})
        self._recording.begin(0)
        self._draws = np.random.default_rng(1)
        self._sink = sink

    @contextmanager
    def told(self) -> Iterator["Hour"]:
        """Within it the flight can be followed."""
        api = LiveApi(self._broadcast, PlainFaults(), "")  # type: ignore[arg-type]
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            self._call(api.start())
            with written(self.directory, Whereabouts(api.url)):
                yield self
        finally:
            self._call(api.end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()
            self._sink.close()

    def tell(self, seconds: int) -> None:
        """So many seconds more."""
        for _ in range(seconds):
            self._call(self._one())

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _one(self) -> None:
        requests, attempts = np.zeros(RATE, REQUEST_ROW), np.zeros(RATE, ATTEMPT_ROW)
        latency = self._draws.integers(2_000_000, 40_000_000, RATE)
        time_ns = self.second * SECOND + np.sort(self._draws.integers(0, 900_000_000, RATE))
        server = self._draws.integers(1, SERVERS + 1, RATE)
        number = self.second * RATE + np.arange(RATE)
        (
            requests["request"],
            requests["time_ns"],
            requests["latency_ns"],
            requests["status"],
            requests["server"],
        ) = number, time_ns, latency, 200, server
        attempts["request"], attempts["start_ns"], attempts["end_ns"], attempts["server"] = (
            number,
            time_ns,
            time_ns + latency,
            server,
        )
        requests["outcome"] = attempts["outcome"] = int(Outcome.OK)
        attempts["arrived_ns"], attempts["served_ns"] = time_ns + 500_000, time_ns + latency - 500_000
        self._recording.rows([(requests, attempts)])
        self.second += 1
        end = self.second * SECOND
        if self.second % 60 == 0:
            self._recording.event(end - 1, "ejected", {"server": int(server[0]), "until": end + 20 * SECOND})
            self._recording.event(end - 1, "unejected", {"server": int(server[0])})
        there = self._draws.integers(0, 5, (SERVERS, 3))
        rows = [(end, 0, int(State.SERVING), RATE, 3, 0, 0, 10_000_000, 50, 100)]
        rows += [
            (end, n + 1, int(State.SERVING), int(there[n, 0]), int(there[n, 1]), 0, int(110 + there[n, 2]) * MIB, 2_000_000, 0, 0)
            for n in range(SERVERS)
        ]  # fmt: skip
        self._recording.metrics(rows)
        self._recording.flush(end)


def renderer_of(page: Any) -> psutil.Process:
    """The process that holds the page: the one that has computed most."""
    found = [
        one for one in psutil.process_iter(["cmdline"]) if "--type=renderer" in (one.info["cmdline"] or [])
    ]
    mine = {child.pid for child in psutil.Process().children(recursive=True)}
    return max((one for one in found if one.pid in mine), key=lambda one: sum(one.cpu_times()[:2]))


def heap(page: Any) -> float:
    """MiB of the page's scripts, after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    told = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(told["JSHeapUsedSize"]) / MIB


def test_an_hour_of_200_servers(tmp_path: Path) -> None:
    complaints: list[str] = []
    hour = Hour(tmp_path / "run")
    with hour.told(), dashboard_process(hour.directory) as (url, process), chromium() as browser:
        hour.tell(1)
        page = opened(browser, url, complaints)
        wait(page, "window.windtunnelPage?.store?.length > 0")
        page.evaluate("""() => { window.longest = 0; new PerformanceObserver((list) => {
            for (const one of list.getEntries()) window.longest = Math.max(window.longest, one.duration); }).observe({ type: "longtask" }); }""")
        told: list[str] = []
        figures: dict[int, tuple[float, float, float]] = {}
        begun = time.monotonic()
        while hour.second < HOUR:
            hour.tell(30)
            # As fast as it is taken: a page that is told more than it can take begins anew, which another test is about.
            wait(page, f"windtunnelPage.store.end >= {hour.second}")
            if hour.second in (601, 1801, 3001) or hour.second >= HOUR:
                figures[hour.second] = measured(page, process)
                told.append(
                    f"{hour.second} s, told in {time.monotonic() - begun:.0f} s: {figures[hour.second]}"
                )
        kept = page.evaluate(
            "[windtunnelPage.store.length, windtunnelPage.store.servers().length, document.querySelectorAll('*').length]"
        )
        # Points, servers, elements of the page.
        assert kept[0] < 3400
        assert kept[1] == SERVERS
        assert kept[2] < 6000
        assert (
            page.evaluate("Math.round(windtunnelPage.store.total('fleet', null, 'status_2xx'))")
            == hour.second * RATE
        )
        # Also of what is least and greatest, which older points have and seconds are.
        assert page.evaluate(
            "windtunnelPage.store.values('servers', '1', 'requests', 'high').at(-1) !== null"
        )
        # At its own pace: a second each second, when what came before is done with.
        time.sleep(3)
        page.evaluate("window.longest = 0")
        renderer = renderer_of(page)
        used, since = sum(renderer.cpu_times()[:2]), time.monotonic()
        for _ in range(10):
            hour.tell(1)
            time.sleep(1)
        share = (sum(renderer.cpu_times()[:2]) - used) / (time.monotonic() - since)
        told.append(f"{share:.2f} of a core, longest task {page.evaluate('window.longest')} ms; {kept}")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=str(tmp_path / f"hour-{scheme}.png"), full_page=True)
        # Whoever comes now sees the whole hour.
        late = opened(browser, url, complaints)
        wait(late, f"window.windtunnelPage?.store?.end >= {hour.second}")
        told.append(f"after a second page: {measured(page, process)}")
        assert late.evaluate("windtunnelPage.store.first[0]") == 0
    (tmp_path / "figures.txt").write_text("\n".join(told) + "\n")
    assert complaints == []
    server, scripts, whole = (np.array([one[place] for one in figures.values()]) for place in range(3))
    # Between 30 minutes and an hour nothing grows that is worth a word.
    assert server[-1] < 1.25 * server[1]
    assert server[-1] < 400
    assert scripts[-1] < 1.5 * scripts[1]
    assert scripts[-1] < 200
    assert whole[-1] < 900
    assert share < 0.8


def measured(page: Any, process: "subprocess.Popen[str]") -> tuple[float, float, float]:
    """MiB of the dashboard's process, the page's heap, and the page's process."""
    own = psutil.Process(process.pid).memory_full_info().uss / MIB
    scripts = heap(page)
    return round(own, 1), round(scripts, 1), round(renderer_of(page).memory_full_info().uss / MIB, 1)
