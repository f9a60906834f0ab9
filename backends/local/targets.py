"""Where the roles of a flight tell their metrics, as Prometheus finds out by itself: https://prometheus.io/docs/prometheus/latest/http_sd/."""

from typing import Any

from ..live.addresses import split
from ..metrics.exposition import PATH
from .process import Line, RoleProcess

_APP = "app-"


class Targets:
    """Hears what roles say; those that run and tell metrics are listed."""

    def __init__(self) -> None:
        self._processes: dict[str, RoleProcess] = {}

    def heard(self, process: RoleProcess, line: Line) -> None:
        """A role said *line*."""
        if line.get("status") == "up" and "metrics" in line:
            self._processes[process.label] = process

    def listed(self) -> list[dict[str, Any]]:
        """Target groups, one a role, with its *role* and *process*, and of an app server the *server*'s number, as labels."""
        found = []
        for label, process in sorted(self._processes.items()):
            if process.returncode is not None:
                continue
            host, port = split(str(process.up["metrics"]).removesuffix(PATH))
            labels = {"role": process.role, "process": label}
            if label.startswith(_APP):
                labels["server"] = label.removeprefix(_APP)
            found.append(
                {"targets": [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"], "labels": labels}
            )
        return found
