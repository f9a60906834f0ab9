"""``windtunnel deploy apply``: one version of one branch onto the hosts of an inventory, by a rollout, or by the playbook alone."""

import hashlib
import json
import os
import shlex
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...core.errors import BackendFailure, UsageError
from ...core.rollout import DeploySpec, State
from ..connection import redis_client
from ..live.clock import LiveClock
from ..registry import RedisRegistry
from .deploy_books import DeployBooks
from .inventory import registry_inventory
from .playbooks import FOLDER, GROUPS, Played, Player, need_ansible
from .rollout_driver import Busy, RolloutDriver, Tell
from .source_archive import make_archive
from .watching import Host, Watch

URL = "WINDTUNNEL_REDIS_URL"
_INVENTORY_SECONDS = 120
_DONE = {State.PROMOTED: True}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be deployed where. *limit*: names of hosts, empty: all; *work*: where artefacts go; *direct*: the playbook alone, without a rollout."""

    branch: str
    version: str
    source: str
    inventories: tuple[Path, ...]
    redis_url: str
    key_prefix: str
    work: Path
    limit: tuple[str, ...] = ()
    check: bool = False
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """How it ended."""

    good: bool
    state: str
    reason: str


class Application:
    """One call of the command."""

    def __init__(self, asked: Asked, spec: DeploySpec, tell: Tell) -> None:
        self._asked = asked
        self._spec = spec
        self._tell = tell
        self._stop = threading.Event()
        self._client = redis_client(asked.redis_url)
        self._registry = RedisRegistry(self._client, asked.key_prefix)

    def run(self) -> Applied:
        """Do it. Raises UsageError, BackendFailure, RegistryError."""
        need_ansible()
        asked = self._asked
        with tempfile.TemporaryDirectory(prefix="windtunnel-deploy-") as folder:
            self._archive = make_archive(asked.source, asked.version, Path(folder))
            inventories = [*asked.inventories, *self._from_registry(Path(folder))]
            if not inventories:
                raise UsageError("expected --inventory, or --redis-url of a registry with servers")
            self._player = Player(
                asked.work, inventories, self._tell, self._environment(), cancelled=self._stop.is_set
            )
            hosts = self._hosts(inventories)
            if asked.check:
                return self._checked(self._play(asked.version, [host.name for host in hosts], check=True))
            if asked.direct or asked.branch in ("redis", "build"):
                return self._checked(self._play(asked.version, [host.name for host in hosts], rotation=True))
            return self._roll_out(hosts)

    def _environment(self) -> dict[str, str]:
        return {URL: self._asked.redis_url, **{n: os.environ[n] for n in ("PYTHONPATH",) if n in os.environ}}

    def _from_registry(self, folder: Path) -> list[Path]:
        """An inventory file of what the registry lists, if no other was given."""
        if self._asked.inventories:
            return []
        found = registry_inventory(self._registry)
        variables = found.pop("_meta")["hostvars"]
        found.pop("all")
        groups = {
            group: {"hosts": {name: variables[name] for name in found[group]["hosts"]}} for group in found
        }
        path = folder / "registry.yml"
        path.write_text(yaml.safe_dump({"all": {"children": groups}}))
        return [path] if groups else []

    def _hosts(self, inventories: Sequence[Path]) -> list[Host]:
        """The hosts of the deploy; of a rollout with canaries, those of the baseline too. Raises UsageError, BackendFailure."""
        asked = self._asked
        found = _read_inventories(inventories, self._player.environment(asked.work))
        groups = list(GROUPS[asked.branch])
        if "app" in self._spec.claims and "app" not in groups and not asked.check and not asked.direct:
            groups.append("app")
        hosts = []
        for group in groups:
            for name in found.get(group, {}).get("hosts", ()):
                if not asked.limit or name in asked.limit:
                    hosts.append(_host(name, group, found["_meta"]["hostvars"].get(name, {})))
        missing = set(asked.limit) - {host.name for host in hosts}
        if missing:
            raise UsageError(f"--limit {', '.join(sorted(missing))}: expected hosts of {', '.join(groups)}")
        if not any(
            host.name in found.get(group, {}).get("hosts", ())
            for host in hosts
            for group in GROUPS[asked.branch]
        ):
            raise UsageError(
                f"expected hosts in the group {' or '.join(GROUPS[asked.branch])} of the inventory, found none"
            )
        return hosts

    def _play(
        self, version: str, names: Sequence[str], check: bool = False, rotation: bool = False
    ) -> Played:
        """The branch's playbook on some hosts. Without *rotation* it leaves the registry to us, and takes all of them at once."""
        variables: dict[str, Any] = {"common_version": version, "common_key_prefix": self._asked.key_prefix}
        if version == self._asked.version:
            digest = hashlib.sha256(self._archive.read_bytes()).hexdigest()
            variables.update({"common_archive": str(self._archive), "common_digest": digest})
        if not rotation:
            variables.update({"app_rotation": False, "app_min_ready": 0, "app_serial": "100%"})
        by_us = not rotation and not check and self._asked.branch in ("master", "canary")
        playbook = "servers.yml" if by_us else self._asked.branch
        return self._player.play(playbook, variables, ",".join(names), check)

    @staticmethod
    def _checked(played: Played) -> Applied:
        if played.succeeded:
            changed = (
                f"changed: {', '.join(sorted(played.changed))}" if played.changed else "nothing to change"
            )
            return Applied(True, "done", changed)
        return Applied(False, "failed", played.sentence())

    def _roll_out(self, hosts: Sequence[Host]) -> Applied:
        clock = LiveClock.begin()
        spec = self._spec
        roles = [spec.role, *sorted(spec.claims - {spec.role})]
        owner = f"{socket.gethostname()}-{os.getpid()}-{clock.now()}"
        driver = RolloutDriver(
            spec, hosts, self._registry, DeployBooks(self._client, self._asked.key_prefix, roles, owner),
            Watch(hosts, self._registry, clock.now), self._play, self._tell, clock.now, self._stop.set,
        )  # fmt: skip
        try:
            state, reason = driver.run()
        except Busy as error:
            raise BackendFailure(str(error)) from None
        return Applied(_DONE.get(state, False), str(state), reason)


def _host(name: str, group: str, variables: Mapping[str, Any]) -> Host:
    """A host as the roles see it (roles/app/defaults)."""
    if group not in ("app", "canary"):
        return Host(name, "", group)
    place = variables.get("app_host") or variables.get("ansible_host") or name
    port = int(variables.get("app_port", 8000))
    address = variables.get("app_address") or f"http://{place}" + ("" if port == 80 else f":{port}")
    if "{" in str(address):
        raise UsageError(
            f"{name}: expected app_address, app_host and app_port as they are, without templates; got {address!r}"
        )
    home = "canary" if group == "canary" else str(variables.get("app_role", "serving"))
    return Host(name, str(address), home, str(variables.get("app_health_path", "/health")))


def _read_inventories(inventories: Sequence[Path], environment: Mapping[str, str]) -> dict[str, Any]:
    """As Ansible reads them. Raises BackendFailure."""
    words = ["ansible-inventory", "--list", *(f"--inventory={path.resolve()}" for path in inventories)]
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=_INVENTORY_SECONDS,
            cwd=FOLDER,
            env={**os.environ, **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendFailure(f"{shlex.join(words)}: {error}") from None
    if done.returncode:
        raise BackendFailure(f"{shlex.join(words)}: {done.stderr.strip()[-1000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
