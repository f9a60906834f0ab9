"""Custom metrics of a program of the user's: read each second from a path of its own, as JSON or in the text format of Prometheus.

JSON is an object of numbers by name; what else it holds is not looked at. In the text format (https://prometheus.io/docs/instrumenting/exposition_formats/) the
series of one name, whatever their labels, are added up. Only declared names are taken.
"""

import json
import math
import re
import urllib.request
from collections.abc import Collection, Mapping
from typing import Any

from ..live.addresses import url
from ..live.role import RoleLink

PATIENCE = 0.5
"""Seconds for an answer."""

LARGEST = 1 << 20
"""Bytes of an answer that are read."""

_LINE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{.*\})?\s+(\S+)(?:\s+-?\d+)?\s*\Z")


class ProgramMetrics:
    """Reads *names* from *path* of the program at *host* and *port*."""

    def __init__(self, host: str, port: int, path: str, names: Collection[str], link: RoleLink) -> None:
        self._url = url(host, port).rstrip("/") + (path if path.startswith("/") else f"/{path}")
        self._names = frozenset(names)
        self._link = link
        self._complaint = ""
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def read(self) -> Mapping[str, float]:
        """Those that the program tells; what is missing is said once, until it is another thing."""
        try:
            with self._opener.open(self._url, timeout=PATIENCE) as answer:
                found = parse(answer.read(LARGEST).decode(errors="replace"), self._names)
        except (OSError, ValueError) as error:
            self._complain(f"the program does not tell its metrics: {error}")
            return {}
        missing = sorted(self._names - set(found))
        self._complain(f"the program does not tell {', '.join(missing)}" if missing else "")
        return found

    def _complain(self, text: str) -> None:
        if text and text != self._complaint:
            self._link.log("warning", text, {"url": self._url})
        self._complaint = text


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        """A redirect is an error: it could lead anywhere."""


def parse(text: str, names: Collection[str]) -> dict[str, float]:
    """The finite numbers of *names* in *text*. Raises ValueError for JSON that is no object."""
    if text.lstrip()[:1] in ("{", "["):
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError(f"expected an object of numbers by name, got {type(data).__name__}")
        values = {name: data[name] for name in names if name in data}
        plain = {n: v for n, v in values.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        return {name: float(value) for name, value in sorted(plain.items()) if math.isfinite(value)}
    found: dict[str, float] = {}
    for line in text.splitlines():
        match = None if line.startswith("#") else _LINE.match(line)
        if match is not None and match[1] in names:
            try:
                found[match[1]] = found.get(match[1], 0.0) + float(match[2])
            except ValueError:
                continue
    return {name: value for name, value in sorted(found.items()) if math.isfinite(value)}
