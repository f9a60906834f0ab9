"""Tracing in this process, into a collector, as a role has it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.otel_environment import Environment
from windtunnel.backends.live.role import RoleLink
from windtunnel.backends.live.settings import Settings
from windtunnel.backends.live.tracing import Tracing
from windtunnel.core.trace.spans import PROXY

from ..app.running import NOBODY, fleet_of


@dataclass
class Heard(RoleLink):
    """A role's link whose lines are kept."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    logged: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__("proxy", LiveClock.begin())

    def status(self, name: str, fields: Any = None) -> None:
        self.lines.append({"status": name, **(fields or {})})

    def log(self, level: str, message: str, fields: Any = None) -> None:
        line = {"t": self.clock.now(), "level": level, "message": message, **(fields or {})}
        self.logged.append(line)
        self._log_to(line)


@contextmanager
def tracing_into(
    url: str, monkeypatch: pytest.MonkeyPatch, **variables: str
) -> Iterator[tuple[Tracing, Heard]]:
    """The tracing of a role while it lives; what it had not sent is sent when it ends."""
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        **variables,
    }.items():
        monkeypatch.setenv(name, value)
    link = Heard()
    settings = Settings(origin=link.clock.origin, fleet=fleet_of(), redis_url=NOBODY, fingerprint="f")
    tracing = Tracing(PROXY, settings, link, Environment.read())
    try:
        yield tracing, link
    finally:
        tracing.end()
