"""The corpus: a directory with a JSON file per finding, each with the bytes sent and received, which can be fired again, and the scenario that shows it."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...scenarios.fuzz.format_finding import finding_scenario
from ...scenarios.fuzz.requests import Request
from ...scenarios.fuzz.wire import ENDS, Step, Wire
from ...scenarios.scenario import Scenario
from .exchange import Exchange
from .judge import Verdict

VERSION = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, with the simplest bytes that show it. *seed* and *number* name the case that it was met in, *times*: so often it was met in one run;
    *shrunk*: these are simpler bytes than those of the case."""

    verdict: Verdict
    wire: Wire
    request: Request | None
    seen: Exchange
    direct: Exchange | None
    seed: int
    number: int
    times: int = 1
    shrunk: bool = False

    @property
    def name(self) -> str:
        """Of its file: what is wrong, and a digest of the bytes that show it, whoever they are for."""
        word = re.sub(r"[^a-z0-9]+", "-", self.verdict.kind.lower()).strip("-")[:60]
        return f"{word}-{hashlib.blake2b(self.wire.data, digest_size=4).hexdigest()}"


def save(directory: Path, finding: Finding, bystander: str = "/", scenario: Scenario | None = None) -> Path:
    """Write *finding*, and beside it the scenario that shows it (see ``finding_scenario``); the finding's file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{finding.name}.json"
    path.write_text(json.dumps(_data(finding), indent=2) + "\n", encoding="utf-8")
    told = () if finding.direct is None else finding.direct.statuses
    text = finding_scenario(
        finding.name, finding.verdict.text, finding.wire, finding.request, finding.seen.statuses, told, bystander, scenario
    )  # fmt: skip
    path.with_suffix(".yaml").write_text(text, encoding="ascii", newline="\n")
    return path


def load(directory: Path) -> list[tuple[str, Wire, Request | None, str]]:
    """The findings in *directory* by file name: bytes, request, and the kind of what was wrong. Raises UsageError."""
    files = sorted(directory.glob("*.json"))
    if not files:
        raise UsageError(f"{directory}: expected a directory with findings (*.json), there are none")
    return [_read(file) for file in files]


def _data(finding: Finding) -> dict[str, Any]:
    wire, request = finding.wire, finding.request
    asked: dict[str, Any] | None = None
    if request is not None:
        asked = {"class": request.kind, "method": request.method, "target": request.target}
    return {
        "version": VERSION,
        "kind": finding.verdict.kind,
        "finding": finding.verdict.text,
        "class": wire.kind,
        "seed": finding.seed,
        "number": finding.number,
        "times": finding.times,
        "shrunk": finding.shrunk,
        "request": asked,
        "wire": {
            "steps": [{"base64": _encoded(step.data), "pause": step.pause} for step in wire.steps],
            "methods": list(wire.methods), "answers": wire.answers, "complete": wire.complete, "end": wire.end, "reads": wire.reads,
        },
        "proxy": _exchange(finding.seen),
        "app_server": None if finding.direct is None else _exchange(finding.direct),
    }  # fmt: skip


def _exchange(seen: Exchange) -> dict[str, Any]:
    return {
        "ended": seen.how,
        "statuses": list(seen.statuses),
        "seconds": round(seen.seconds, 3),
        "sent": {"text": _shown(seen.sent), "base64": _encoded(seen.sent)},
        "received": {"text": _shown(seen.received), "base64": _encoded(seen.received)},
    }


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _shown(data: bytes) -> str:
    """*data* for a reader's eyes."""
    return data[:4096].decode("latin-1").encode("unicode_escape").decode()


def _read(file: Path) -> tuple[str, Wire, Request | None, str]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']!r:.20}, this is {VERSION}")
        return (
            file.name,
            _wire(str(data["class"]), data["wire"]),
            _request(data["request"]),
            str(data["kind"]),
        )
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{file}: expected a finding as fuzz urls --run keeps it, got {error!r:.120}"
        ) from None


def _wire(kind: str, data: Mapping[str, Any]) -> Wire:
    steps = tuple(
        Step(base64.b64decode(step["base64"], validate=True), min(float(step["pause"]), 10.0))
        for step in data["steps"]
    )
    if data["end"] not in ENDS:
        raise ValueError(f"end {data['end']!r:.20}")
    return Wire(
        kind,
        steps,
        tuple(map(str, data["methods"])),
        int(data["answers"]),
        bool(data["complete"]),
        data["end"],
        bool(data["reads"]),
    )


def _request(data: Mapping[str, Any] | None) -> Request | None:
    """As much of the request as rules look at: the bytes are the wire's."""
    return None if data is None else Request(str(data["class"]), str(data["method"]), str(data["target"]))
