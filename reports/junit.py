"""Verdicts as JUnit XML, which build servers read: a test case per objective."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .storage import write_whole, writing
from .wording import measured

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""


@dataclass(frozen=True, slots=True)
class Case:
    """An objective; *failure* says what was measured and what was expected, empty if it holds."""

    name: str
    failure: str = ""
    details: str = ""


def cases_of_run(summary: Mapping[str, Any]) -> list[Case]:
    """The objectives of one run, from its summary."""
    cases = []
    for slo in summary["slo"]:
        value = measured(slo["unit"], slo["value"])
        failure = "" if slo["held"] else f"expected {slo['objective']}, measured {value}"
        cases.append(
            Case(slo["name"], failure, f"bound {measured(slo['unit'], slo['bound'])}, measured {value}")
        )
    return cases


def junit(suite: str, cases: Sequence[Case], properties: Mapping[str, str]) -> str:
    """The document of one test suite."""
    failures = sum(bool(case.failure) for case in cases)
    numbers = {"tests": str(len(cases)), "failures": str(failures), "errors": "0"}
    root = ET.Element("testsuites", numbers)
    element = ET.SubElement(root, "testsuite", {"name": _clean(suite), **numbers})
    facts = ET.SubElement(element, "properties")
    for name, value in properties.items():
        ET.SubElement(facts, "property", {"name": name, "value": _clean(value)})
    for case in cases:
        made = ET.SubElement(element, "testcase", {"classname": _clean(suite), "name": _clean(case.name)})
        if case.failure:
            failed = ET.SubElement(made, "failure", {"type": "objective", "message": _clean(case.failure)})
            failed.text = _clean(case.details)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def write_junit(path: Path, suite: str, cases: Sequence[Case], properties: Mapping[str, str]) -> None:
    """Write the document to *path*; folders are made."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, junit(suite, cases, properties))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
