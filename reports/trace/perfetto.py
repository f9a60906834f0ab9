"""Chrome's Trace Event Format as ui.perfetto.dev opens it (JSON object format), written as it comes.

A process for each role and each server. Requests are nestable async events (``b``, ``e``), since they overlap; what workers do, and what phases a server's life
has, are complete events (``X``) that nest within their thread. Counters (``C``) are the metrics of each second, faults are instants (``i``) and what lasts
is an async event. Times are microseconds since the scenario's zero, to the nanosecond.
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from ..stations import CPU, WAITS
from ..tables import numbers
from .otlp import Origin
from .spans import APP, CLIENTS, Service, Span, Trace, Value
from .workers import lanes

FLEET = Service("fleet")
_ORDER = ("chaos", "deploys", "autoscaler", "cloud", "registry", "fleet", "client", "proxy", APP)
"""Kinds of processes, from top to bottom."""
_LIFE, _WORKER = 1, 2
"""Threads of a server: its phases, and its workers from there on."""
_WORK = 6
"""Numbers kept of each piece of work until all are known: server, start, end of the CPU time, end, request, whether it failed."""


class PerfettoWriter:
    """Writes traces, then workers and counters, to *file*."""

    def __init__(self, file: TextIO, origin: Origin) -> None:
        self._file = file
        self._origin = origin
        self._pids: dict[tuple[str, str], int] = {}
        self._names: dict[str, str] = {}
        self._work = array("q")
        self.events = 0

    def begin(self) -> None:
        """Before anything else."""
        self._file.write('{"displayTimeUnit":"ms","traceEvents":[\n')

    def end(self) -> None:
        """After all else: facts of the run."""
        origin = self._origin
        facts = {
            "scenario": origin.scenario, "scenario_hash": origin.fingerprint, "seed": origin.seed, "world": origin.world,
            "version": origin.version, "zero_unix_ns": str(origin.zero),
        }  # fmt: skip
        self._file.write(f'\n],"otherData":{_json(facts)}}}\n')

    def _event(self, phase: str, name: str, pid: int, tid: int, fields: str) -> None:
        separator = ",\n" if self.events else ""
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = _json(name)
        self._file.write(f'{separator}{{"ph":"{phase}","name":{known},"pid":{pid},"tid":{tid}{fields}}}')
        self.events += 1

    def _pid(self, service: Service) -> int:
        place = (service.name, service.instance)
        if place not in self._pids:
            pid = self._pids[place] = len(self._pids) + 1
            name = " ".join(part for part in place if part)
            shown = f"server {service.instance}" if service.name == APP and service.instance else name
            order = _ORDER.index(service.name) * 100_000
            if service.name == APP and service.instance:
                order += int(service.instance)
            self._event("M", "process_name", pid, 0, f',"args":{_json({"name": shown})}')
            self._event("M", "process_sort_index", pid, 0, f',"args":{_json({"sort_index": order})}')
        return self._pids[place]

    def _thread(self, pid: int, tid: int, name: str) -> None:
        self._event("M", "thread_name", pid, tid, f',"args":{_json({"name": name})}')
        self._event("M", "thread_sort_index", pid, tid, f',"args":{_json({"sort_index": tid})}')

    # Traces.

    def request(self, trace: Trace) -> None:
        """A request: its spans as async events of one id, and what its workers did, for later."""
        root = trace.root
        pid = self._pid(Service(CLIENTS.name, root.service.instance))
        self._tree(trace.spans, pid, "request")
        number = root.attributes["windtunnel.request"]
        works: dict[str, list[int]] = {}
        for span in trace.spans:
            if span.station in (CPU, WAITS) and span.service.name == APP:
                work = works.setdefault(
                    span.parent, [int(span.service.instance), span.start, span.start, span.end]
                )
                work[3] = span.end
                if span.station == CPU:
                    work[2] = span.end
        for work in works.values():
            self._work.extend((*work, int(number), int(bool(root.error))))  # type: ignore[arg-type]

    def control(self, trace: Trace) -> None:
        """An instance's life as phases of its process; anything else as an async event, or an instant if it took no time."""
        root = trace.root
        pid = self._pid(root.service)
        if root.service.name == APP and len(trace.spans) > 1:
            self._thread(pid, _LIFE, "life")
            for span in trace.spans[1:]:
                self._complete(span.name, pid, _LIFE, span.start, span.end, {})
            for note in root.notes:
                self._instant(note.name, pid, note.time, note.attributes, "p")
            return
        if root.duration or len(trace.spans) > 1:
            self._tree(trace.spans, pid, "control")
        if not root.duration or root.service.name == "chaos":
            scope = "g" if root.service.name == "chaos" else "p"
            self._instant(root.name, pid, root.start, root.attributes, scope)

    def _tree(self, spans: Sequence[Span], pid: int, category: str) -> None:
        children: dict[str, list[Span]] = {}
        for span in spans[1:]:
            children.setdefault(span.parent, []).append(span)
        identity = f',"cat":"{category}","id":"0x{spans[0].trace[16:]}"'
        for phase, span in _walk(spans[0], children):
            args = ""
            if phase == "b" and (span.error or span.parent in ("", spans[0].id)):
                said = {**span.attributes, **({"failed": span.error} if span.error else {})}
                if not span.parent:
                    said["trace"] = span.trace
                args = f',"args":{_json(said)}'
            time = span.start if phase == "b" else span.end
            self._event(phase, span.name, pid, 0, f'{identity},"ts":{_us(time)}{args}')

    def _complete(
        self, name: str, pid: int, tid: int, start: int, end: int, args: Mapping[str, Value]
    ) -> None:
        said = f',"args":{_json(args)}' if args else ""
        self._event("X", name, pid, tid, f',"cat":"server","ts":{_us(start)},"dur":{_us(end - start)}{said}')

    def _instant(self, name: str, pid: int, time: int, args: Mapping[str, Value], scope: str) -> None:
        self._event(
            "i", name, pid, 0, f',"cat":"control","ts":{_us(time)},"s":"{scope}","args":{_json(dict(args))}'
        )

    # What can be told when all traces are known.

    def workers(self) -> None:
        """What the workers of each server did. Which of them took a request is not recorded: the first free one is shown."""
        rows = np.frombuffer(self._work, dtype=np.int64).reshape(-1, _WORK)
        rows = rows[np.lexsort((rows[:, 4], rows[:, 1], rows[:, 0]))]
        for server in np.unique(rows[:, 0]).tolist():
            mine = rows[rows[:, 0] == server]
            lane = lanes(mine[:, 1], mine[:, 3])
            pid = self._pid(Service(APP, str(server)))
            for number in range(int(lane.max()) + 1):
                self._thread(pid, _WORKER + number, f"worker {number + 1}")
            for (_, start, cpu, end, request, failed), thread in zip(
                mine.tolist(), (lane + _WORKER).tolist(), strict=True
            ):
                args: dict[str, Value] = {"windtunnel.request": request, "failed": bool(failed)}
                self._complete("request", pid, thread, start, end, args)
                if cpu > start:
                    self._complete("cpu", pid, thread, start, cpu, {})
                if end > cpu:
                    self._complete("io and calls", pid, thread, cpu, end, {})

    def counters(self, metrics: Any, proxy: Service) -> None:
        """Requests in flight and waiting of each server and the proxy (number 0), and how many servers are in which state; written when they change."""
        time, server = numbers(metrics, "time_ns"), numbers(metrics, "server")
        flying, queued = numbers(metrics, "in_flight"), numbers(metrics, "queued")
        for one in np.unique(server).tolist():
            mine = np.flatnonzero(server == one)
            pid = self._pid(proxy if one == 0 else Service(APP, str(one)))
            series = {"in flight": flying[mine], "queued": queued[mine]}
            self._counter(pid, "requests", time[mine], series)
            if mine[-1] != len(time) - 1 and time[mine[-1]] < time[-1]:
                self._count(pid, "requests", int(time[mine[-1]]) + 1, {"in flight": 0, "queued": 0})
        states = metrics.column("state").to_pylist()
        moments, place = np.unique(time, return_inverse=True)
        present = sorted({state for state, one in zip(states, server.tolist(), strict=True) if one})
        shown = np.array(states, dtype=object)
        series = {
            state: np.bincount(place[(shown == state) & (server > 0)], minlength=len(moments))
            for state in present
        }
        self._counter(self._pid(FLEET), "servers", moments, series)

    def _counter(self, pid: int, name: str, time: Any, series: Mapping[str, Any]) -> None:
        if not len(time) or not series:
            return
        values = np.stack(list(series.values()))
        changed = np.ones(len(time), dtype=bool)
        changed[1:] = (values[:, 1:] != values[:, :-1]).any(axis=0)
        for place in np.flatnonzero(changed).tolist():
            said = {key: int(column[place]) for key, column in series.items()}
            self._count(pid, name, int(time[place]), said)

    def _count(self, pid: int, name: str, time: int, values: Mapping[str, int]) -> None:
        self._event("C", name, pid, 0, f',"ts":{_us(time)},"args":{_json(dict(values))}')


def _walk(span: Span, children: Mapping[str, list[Span]]) -> Iterator[tuple[str, Span]]:
    """Begin and end of a span and of all below it, in order of time."""
    yield "b", span
    for child in sorted(children.get(span.id, ()), key=lambda one: (one.start, one.end)):
        yield from _walk(child, children)
    yield "e", span


def _us(ns: int) -> str:
    return f"{ns // 1000}.{ns % 1000:03d}"


_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def write_perfetto(
    file: TextIO, origin: Origin, requests: Iterable[Trace], control: Iterable[Trace], metrics: Any, proxy: Service
) -> int:  # fmt: skip
    """Write a whole file; the number of its events."""
    writer = PerfettoWriter(file, origin)
    writer.begin()
    for trace in control:
        writer.control(trace)
    for trace in requests:
        writer.request(trace)
    writer.workers()
    if len(metrics):
        writer.counters(metrics, proxy)
    writer.end()
    return writer.events
