"""Runs of the playbooks beside this module, by ansible-runner: progress, what failed where, and files of what happened."""

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.errors import UsageError

FOLDER = Path(__file__).parent / "ansible"
"""Playbooks and roles."""
PLAYBOOKS = {
    "master": "master.yml",
    "canary": "canary.yml",
    "proxy": "proxy.yml",
    "redis": "redis.yml",
    "build": "build.yml",
}
"""The playbook of each branch."""
GROUPS = {
    "master": ("app",),
    "canary": ("canary",),
    "proxy": ("proxy",),
    "redis": ("redis", "autoscaler"),
    "build": ("build",),
}
"""The hosts of each branch."""

CONNECT_SECONDS = 15
"""For a host that cannot be reached; one that is cut off in the middle is given up as late."""
_SSH = f"-C -o ControlMaster=auto -o ControlPersist=60s -o ConnectTimeout={CONNECT_SECONDS} -o ServerAliveInterval=5 -o ServerAliveCountMax=3"

Tell = Callable[[str], None]


@dataclass(slots=True)
class Played:
    """How a run ended. *failed* and *unreachable*: hosts, with what they said; *changed*: hosts on which something was (or would be) changed."""

    status: str = "failed"
    failed: dict[str, str] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)

    @property
    def succeeded(self) -> bool:
        """Whether every host is as it should be."""
        return self.status == "successful" and not self.failed and not self.unreachable

    def sentence(self) -> str:
        """What failed."""
        parts = [f"{host}: {text}" for host, text in sorted(self.failed.items())]
        parts += [f"{host} is unreachable: {text}" for host, text in sorted(self.unreachable.items())]
        return "; ".join(parts) or f"ansible ended as {self.status}"


def available() -> bool:
    """Whether ansible-core and ansible-runner are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("ansible", "ansible_runner"))


def need_ansible() -> None:
    """Raises UsageError without them."""
    if not available():
        raise UsageError("deploys need ansible-core and ansible-runner: pip install 'windtunnel[deploy]'")


class Player:
    """Runs playbooks with what they have in common. *folder*: where the artefacts go; *tell* gets a line for each thing that happened.

    *environment* is handed to Ansible and nowhere written down: passwords go there.
    """

    def __init__(
        self,
        folder: Path,
        inventories: Sequence[Path],
        tell: Tell = lambda text: None,
        environment: Mapping[str, str] | None = None,
        timeout: float = 1800.0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._folder = folder
        self._inventories = [str(path.resolve()) for path in inventories]
        self._tell = tell
        self._environment = dict(environment or {})
        self._timeout = timeout
        self._cancelled = cancelled
        self._runs = 0

    def play(
        self, playbook: str, variables: Mapping[str, Any], limit: str = "", check: bool = False
    ) -> Played:
        """Run *playbook* with extra *variables*, on the hosts of *limit* (all of them), or only say what would change (*check*). Raises UsageError without Ansible."""
        need_ansible()
        import ansible_runner

        self._runs += 1
        place = self._folder / f"{self._runs:03d}-{playbook}"
        place.mkdir(parents=True)
        written = place / "variables.json"
        written.write_text(json.dumps(dict(variables), indent=2))
        words = [f"--extra-vars=@{written.resolve()}", *(f"--inventory={path}" for path in self._inventories)]
        words += [f"--limit={limit}"] if limit else []
        words += ["--check", "--diff"] if check else []
        played = Played()
        ended = ansible_runner.interface.run(
            private_data_dir=str(place), playbook=str(FOLDER / PLAYBOOKS.get(playbook, playbook)),
            cmdline=" ".join(words), envvars=self.environment(place), quiet=True,
            suppress_env_files=True, settings={"job_timeout": int(self._timeout), "idle_timeout": int(self._timeout)},
            event_handler=lambda event: self._event(event, played), cancel_callback=self._cancelled,
            status_handler=lambda status, runner_config: _forget_environment(place),
        )  # fmt: skip
        _forget_environment(place)
        played.status = str(ended.status)
        return played

    def environment(self, place: Path) -> dict[str, str]:
        """Ansible from the same installation, which writes nothing elsewhere."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return {
            "PATH": path,
            "ANSIBLE_HOME": str(place / "home"),
            "ANSIBLE_LOCAL_TEMP": str(place / "tmp"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_TIMEOUT": str(CONNECT_SECONDS),
            "ANSIBLE_SSH_ARGS": _SSH,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            "ANSIBLE_DEPRECATION_WARNINGS": "0",
            **self._environment,
        }

    def _event(self, event: Mapping[str, Any], played: Played) -> bool:
        """Each thing that happens, as ansible-runner tells it."""
        data = event.get("event_data", {})
        host, task = str(data.get("host", "")), str(data.get("task", ""))
        result = data.get("res", {})
        match event.get("event"):
            case "runner_on_ok":
                changed = bool(result.get("changed"))
                played.done.add(host)
                if changed:
                    played.changed.add(host)
                self._tell(f"{host}: {task}: {'changed' if changed else 'ok'}")
            case "runner_on_failed":
                text = _words(result)
                if data.get("ignore_errors"):
                    return True
                played.failed[host] = f"{task}: {text}"
                self._tell(f"{host}: {task}: failed: {text}")
            case "runner_on_unreachable":
                played.unreachable[host] = _words(result)
                self._tell(f"{host}: {task}: unreachable: {_words(result)}")
        return True


def _forget_environment(place: Path) -> None:
    """ansible-runner writes down the environment of the command that it runs, which holds passwords."""
    for path in place.glob("artifacts/*/command"):
        written = json.loads(path.read_text() or "{}")
        if written.pop("env", None) is not None:
            path.write_text(json.dumps(written))


def _words(result: Mapping[str, Any]) -> str:
    """What went wrong, in one line."""
    for name in ("msg", "stderr", "stdout"):
        text = " ".join(str(result.get(name) or "").split())
        if text and text != "non-zero return code":
            return text[:1000]
    return "no reason was given"
