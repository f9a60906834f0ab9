"""An Ansible module: a program in the background by a file with its process number, for hosts without systemd.

It starts a program in a session of its own, knows it again by its number and the time at which it started, restarts it when its command, its
environment or the version that it runs is another one, and ends it by SIGTERM, after a grace by SIGKILL with all that it started.
What it is not: a supervisor. Nobody starts the program again when it dies, or when the machine does; the next run of the playbook does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: windtunnel_process
short_description: A program in the background by a file with its process number
description: For hosts without systemd. Check mode is supported.
options:
  name: {description: Names the files in the run directory., type: str, required: true}
  run: {description: Directory for NAME.json and NAME.log., type: path, required: true}
  argv: {description: Program and arguments., type: list, elements: str, default: []}
  release: {description: Path whose target tells versions apart., type: path}
  environment_files: {description: Files with NAME=VALUE lines., type: list, elements: path, default: []}
  environment: {description: More of it., type: dict, default: {}}
  state:
    description: handed_over starts the new one before the old one is told to end.
    type: str
    choices: [started, restarted, handed_over, stopped]
    default: started
  up: {description: Text in the log that says that it serves; empty means not to wait., type: str, default: ""}
  timeout: {description: Seconds for that., type: int, default: 60}
  grace: {description: Seconds to end by itself., type: int, default: 15}
"""

_BEAT = 0.05
_STAYS = {"JENKINS_NODE_COOKIE": "dontKillMe"}
"""By this a build server, whose steps' processes end with the step, knows what is meant to stay; it matters where the playbook deploys to its own machine."""


def _started_at(pid: int) -> int | None:
    """When process *pid* started (clock ticks since boot), or None if it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


class Program:
    """One program."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        self.path = os.path.join(asked["run"], asked["name"] + ".json")
        self.log = os.path.join(asked["run"], asked["name"] + ".log")

    def environment(self) -> dict[str, str]:
        """Of the program: a plain one, the files, and what was given."""
        found = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        found.update(_STAYS)
        for path in self.asked["environment_files"]:
            try:
                with open(path) as file:
                    lines = file.read().splitlines()
            except FileNotFoundError:
                continue
            for line in lines:
                name, equals, value = line.partition("=")
                if equals and not line.startswith("#"):
                    found[name.strip()] = value.strip().strip('"')
        found.update({name: str(value) for name, value in self.asked["environment"].items()})
        return found

    def digest(self) -> str:
        """Of all that it is started with."""
        release = os.path.realpath(self.asked["release"]) if self.asked["release"] else ""
        known = [self.asked["argv"], sorted(self.environment().items()), release]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def record(self) -> dict[str, Any] | None:
        """What was started last, if it still runs."""
        try:
            with open(self.path) as file:
                found = json.load(file)
        except (OSError, ValueError):
            return None
        same: bool = _started_at(found["pid"]) == found["started"]
        return dict(found) if same else None

    def start(self) -> None:
        """Start it; raises RuntimeError with its last words if it does not come up."""
        with open(self.log, "ab") as log:
            begin = log.tell()
            process = subprocess.Popen(
                self.asked["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True,
                start_new_session=True, env=self.environment(), cwd=self.asked["run"],
            )  # fmt: skip
        record = {"pid": process.pid, "started": _started_at(process.pid), "digest": self.digest()}
        with open(self.path + ".part", "w") as file:
            json.dump(record, file)
        os.replace(self.path + ".part", self.path)
        deadline = time.monotonic() + self.asked["timeout"]
        wanted = self.asked["up"].encode()
        while wanted:
            said = self._said(begin)
            if wanted in said:
                break
            if process.poll() is not None or time.monotonic() > deadline:
                how = "ended" if process.poll() is not None else "is not up"
                self.end(record)
                words = said.decode("utf-8", "replace")[-2000:]
                raise RuntimeError(f"{self.asked['name']} {how}: {words}")
            time.sleep(_BEAT)

    def _said(self, begin: int) -> bytes:
        with open(self.log, "rb") as file:
            file.seek(begin)
            return file.read(1 << 20)

    def end(self, record: dict[str, Any]) -> None:
        """End what *record* names, with all that it started."""
        deadline = time.monotonic() + self.asked["grace"]
        self._kill(record, signal.SIGTERM)
        while _started_at(record["pid"]) == record["started"] and time.monotonic() < deadline:
            self._reap(record["pid"])
            time.sleep(_BEAT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(record["pid"], signal.SIGKILL)

    @staticmethod
    def _kill(record: dict[str, Any], number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(record["pid"], number)

    @staticmethod
    def _reap(pid: int) -> None:
        """Only a child of this very process can be waited for."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

    def obey(self, running: dict[str, Any] | None, state: str) -> None:
        """Make it so."""
        if state == "stopped":
            if running:
                self.end(running)
            os.unlink(self.path)
        elif state == "handed_over" and running:
            self.start()
            self.end(running)
        else:
            if running:
                self.end(running)
            self.start()


def main() -> None:
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "run": {"type": "path", "required": True},
            "argv": {"type": "list", "elements": "str", "default": []},
            "release": {"type": "path"},
            "environment_files": {"type": "list", "elements": "path", "default": []},
            "environment": {"type": "dict", "default": {}},
            "state": {
                "type": "str",
                "choices": ["started", "restarted", "handed_over", "stopped"],
                "default": "started",
            },
            "up": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 60},
            "grace": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    program = Program(module.params)
    state = module.params["state"]
    running = program.record()
    same = running is not None and running["digest"] == program.digest()
    changed = {"stopped": bool(running), "restarted": True}.get(state, not same)
    if changed and not module.check_mode:
        try:
            program.obey(running, state)
        except (OSError, RuntimeError) as error:
            module.fail_json(msg=str(error))
    there = program.record()
    module.exit_json(changed=changed, running=bool(there), pid=there["pid"] if there else 0)


if __name__ == "__main__":
    main()
