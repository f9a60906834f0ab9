"""Test hosts: folders of this machine, each with a loopback address of its own, reached by Ansible's local connection."""

import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from windtunnel.backends.connection import registry_at
from windtunnel.backends.deploy.playbooks import Player

from ..redis_fixture import free_port, redis_executable

ROOT = Path(__file__).parents[3]
DEADLINE = 60.0

FLEET: dict[str, Any] = {
    "scenario": "deployed",
    "duration": "10s",
    "fleet": {
        "app": {"initial": 1, "max": 4},
        "proxy": {"upstream_timeout": "5s"},
        "registry": {"refresh_interval": "200ms"},
    },
    "endpoints": [{"path": "/", "cpu": {"constant": "2ms"}, "response_size": "20B"}],
    "traffic": [{"name": "users", "stages": [{"for": "10s", "rate": "10/s"}]}],
    "autoscaler": {"policy": {"threshold": {"requests_high": "350/s", "requests_low": "40/s"}}},
}


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Wait for *condition* to be true; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.05)
    return value


class Hosts:
    """So many app servers and canaries, a proxy, a registry of their own; nothing runs yet."""

    def __init__(self, folder: Path, redis_url: str, apps: int = 2, canaries: int = 0) -> None:
        self.folder = folder
        self.redis_url = redis_url
        self.registry = registry_at(redis_url, "")
        self.port = free_port("127.2.0.1")
        self.proxy_port = free_port()
        self.admin_port = free_port()
        self.inventory = folder / "hosts.yml"
        self.roots: dict[str, Path] = {}
        self.lines: list[str] = []
        self._write(apps, canaries)

    def _write(self, apps: int, canaries: int) -> None:
        groups: dict[str, Any] = {}

        def add(group: str, name: str, **variables: Any) -> None:
            self.roots[name] = self.folder / name
            variables["common_root"] = str(self.roots[name])
            groups.setdefault(group, {"hosts": {}})["hosts"][name] = variables

        for number in range(1, apps + canaries + 1):
            group, name = ("app", f"app{number}") if number <= apps else ("canary", f"canary{number - apps}")
            add(group, name, app_host=f"127.2.0.{number}", app_port=self.port, app_number=number)
        add(
            "proxy",
            "proxy1",
            proxy_host="127.0.0.1",
            proxy_port=self.proxy_port,
            proxy_admin_port=self.admin_port,
        )
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "common_become": False,
            "common_service_manager": "pidfile",
            "common_package": "",
            "common_python": sys.executable,
            "common_environment": {
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            "app_min_ready": 1,
            "app_deadline": 20,
            "app_drain": 10,
        }
        self.inventory.write_text(yaml.safe_dump({"all": {"vars": common, "children": groups}}))

    def add_registry(self, password: str) -> None:
        """A registry, with *password*, and an autoscaler that decides and does nothing, in place of the registry that was given."""
        port = free_port()
        variables: dict[str, dict[str, Any]] = {
            "redis": {
                "redis_bind": ["127.0.0.1"], "redis_port": port, "redis_package": "", "redis_server": redis_executable()
            },
            "autoscaler": {},
        }  # fmt: skip
        inventory = yaml.safe_load(self.inventory.read_text())
        for group, more in variables.items():
            name = f"{group}1"
            self.roots[name] = self.folder / name
            inventory["all"]["children"][group] = {
                "hosts": {name: {"common_root": str(self.roots[name]), **more}}
            }
        self.inventory.write_text(yaml.safe_dump(inventory))
        self.redis_url = f"redis://:{password}@127.0.0.1:{port}/0"
        self.registry = registry_at(self.redis_url, "")

    def address(self, name: str) -> str:
        """``http://IP:PORT`` of an app server."""
        number = int("".join(c for c in name if c.isdigit()))
        apps = sum(1 for host in self.roots if host.startswith("app"))
        return f"http://127.2.0.{number if name.startswith('app') else apps + number}:{self.port}"

    def source(self, name: str, **changes: Any) -> Path:
        """A folder with a version; *changes* are of its one endpoint."""
        folder = self.folder / "sources" / name
        folder.mkdir(parents=True, exist_ok=True)
        document = {**FLEET, "endpoints": [{**FLEET["endpoints"][0], **changes}]}
        (folder / "fleet.yaml").write_text(yaml.safe_dump(document))
        return folder

    def player(self, name: str = "runs") -> Player:
        """Runs playbooks on these hosts."""
        return Player(
            self.folder / name, [self.inventory], self.lines.append,
            {"WINDTUNNEL_REDIS_URL": self.redis_url, "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        )  # fmt: skip

    def pid(self, host: str, service: str = "app") -> int:
        """Process number of a service that runs, or 0."""
        try:
            record = json.loads((self.roots[host] / "run" / f"{service}.json").read_text())
            os.kill(record["pid"], 0)
        except (OSError, ValueError):
            return 0
        return int(record["pid"])

    def versions(self) -> dict[str, str]:
        """What each listed server says that it runs, by address."""
        listed = self.registry.servers()
        addresses = [*listed.serving, *listed.canary, *listed.standby]
        samples = self.registry.read_samples(addresses)
        return {address: samples[address].version if address in samples else "" for address in addresses}

    def end(self) -> None:
        """End every service."""
        for root in self.roots.values():
            for path in (root / "run").glob("*.json"):
                with suppress(OSError, ValueError):
                    os.killpg(json.loads(path.read_text())["pid"], signal.SIGKILL)


@contextmanager
def hosts_of(folder: Path, redis_url: str, apps: int = 2, canaries: int = 0) -> Iterator[Hosts]:
    """Hosts, and their end."""
    hosts = Hosts(folder, redis_url, apps, canaries)
    try:
        yield hosts
    finally:
        hosts.end()


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str) -> int:
    """The status of an answer, 0 for none."""
    try:
        with _opener.open(url, timeout=10) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except OSError:
        return 0
