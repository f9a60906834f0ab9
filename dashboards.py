"""What the dashboard shows of a run: reports' pages and frames, for the server of backends/dashboard."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .backends.dashboard.registry_watch import MEMORY
from .backends.dashboard.showing import Document
from .backends.live.telling import Told
from .core.model import SECOND, FleetSpec
from .reports.evidence import Evidence
from .reports.page.documents import begun, recorded, so_far
from .reports.page.frames import Seconds, as_json, by_name, frame
from .reports.page.html import render
from .reports.page.marks import marks
from .reports.page.packing import packed
from .reports.page.pages import live_page, recorded_page
from .reports.run import Run, RunError
from .scenarios.build import compile_plan
from .scenarios.scenario import Scenario

_TRIES = 3


_UNKNOWN = f"""
scenario: fleet
duration: 1h
fleet: {{app: {{cores: 1, workers: 1, memory: {{total: {MEMORY}B, base: 0B, per_request: 0B}}}}}}
endpoints: [{{path: /}}]
traffic: []
"""
"""Of a fleet that is known by its registry alone: nothing, but that shares of memory and cores are whole."""


class RunShow:
    """Implements backends.dashboard.showing.Show for the run in *directory*. Raises RunError if there is none, ScenarioError if its scenario cannot be read."""

    def __init__(self, directory: Path) -> None:
        path = directory / "scenario.yaml"
        if not path.is_file():
            raise RunError(f"{directory}: expected a run's directory with scenario.yaml")
        self._directory = directory
        self._fleet = compile_plan(Scenario.load(path)).fleet
        self._names = [one.name for one in self._fleet.dependencies]

    def page(self, live: bool) -> str:
        """See Show. The page of a run that has ended is its report's."""
        if live:
            return render(live_page(self._fleet), embedded=False)
        return render(recorded_page(Evidence.of(Run.open(self._directory), self._fleet)))

    def document(self, live: bool, margin: int) -> Document:
        """See Show."""
        if not live:
            evidence = Evidence.of(Run.open(self._directory), self._fleet)
            return Document(json.dumps(packed(recorded(evidence))), evidence.seconds)
        for left in range(_TRIES, 0, -1):
            try:
                return _known(self._directory, self._fleet, margin)
            except (OSError, RunError):
                # The parts of a run become files while we read, when it ends.
                if left == 1:
                    raise
        raise AssertionError("one of the tries ends it")

    def frame(self, told: Told, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See Show."""
        measured = by_name(told.fields.get("measured", ()))
        rows = Seconds(told.metrics, told.requests, told.attempts, events, measured)
        return as_json(frame(self._fleet, rows, int(told.fields["t"]) // SECOND - 1, 1))

    def marks(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """See Show."""
        return [dict(one) for one in marks(events, self._names)]


class RegistryShow:
    """Implements backends.dashboard.showing.Show for a fleet that is known by its registry alone; *where*: what it is called."""

    def __init__(self, where: str) -> None:
        self._fleet = compile_plan(Scenario.parse(_UNKNOWN)).fleet
        self._where = where

    def page(self, live: bool) -> str:
        """See Show."""
        page = live_page(self._fleet)
        told = "by its registry: what servers say of themselves; requests are not seen"
        sections = tuple(one for one in page.sections if one.anchor != "verdict")
        return render(
            replace(page, title=f"fleet at {self._where}", verdict=told, sections=sections), embedded=False
        )

    def document(self, live: bool, margin: int) -> Document:
        """See Show. Nothing is kept of it but what the frames have."""
        return Document(json.dumps(packed({**begun(self._fleet), "name": self._where, "end": 0})), 0)

    def frame(self, told: Told, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """See Show. What no request tells is not known, and not nothing."""
        found = as_json(
            frame(
                self._fleet,
                Seconds(told.metrics, told.requests, told.attempts, events),
                int(told.fields["t"]) // SECOND - 1,
                1,
            )
        )
        fleet = {
            name: values
            for name, values in found["fleet"].items()
            if not name.startswith("status_") and name != "errors"
        }
        return {**found, "fleet": fleet, "edges": {}}

    def marks(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """See Show; with the address, by which the fleet knows its servers."""
        told = []
        for event in events:
            where = f": {event['address']}" if "address" in event else ""
            told += [{**one, "text": one["text"] + where} for one in marks([event])]
        return told


def _known(directory: Path, fleet: FleetSpec, margin: int) -> Document:
    run = Run.open(directory)
    evidence = Evidence(run, fleet)
    times = evidence.metrics["time_ns"]
    seconds = max(int(times.max()) // SECOND - margin, 0) if len(times) else 0
    if not seconds:
        return Document(json.dumps(packed(begun(fleet))), 0)
    document = so_far(evidence, seconds)
    shown = document["frame"]
    return Document(json.dumps(packed(document)), shown["first"] + shown["width"] * shown["points"])
