"""What each role is told when it starts: by the conductor as JSON on its first line of input, or by the command line.

Every role gets the whole compiled fleet: what it draws and decides follows from it, as in the rehearsal.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...core.model import FleetSpec
from ..aws.settings import AwsSettings
from .addresses import LOOPBACK, NETWORK, OWN_ADDRESSES


class Settings(BaseModel):
    """Common to all roles. *origin*: see LiveClock. *redis_url*: where the registry is. *traced*: the role passes traces on, and names them in its log, also where the environment
    names no endpoint to export them to. *fingerprint*: the scenario's hash, from which ids of traces follow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: int
    fleet: FleetSpec
    redis_url: str
    traced: bool = False
    fingerprint: str = ""


class ProxySettings(Settings):
    """The proxy listens on host and port, its control API on *admin_port* (0: a free one; -1: none) of *admin_host*.

    *instance_port*, *own_addresses*, *instance_network*: see Addresses; by them the proxy knows our instances' numbers, or by *numbers*, by address. Other servers get numbers of its own above 2**16.
    *handover*: a Unix socket by which it takes the listening socket of a proxy that runs already, and gives its own to the one that comes after it; empty: none.
    """

    host: str = "127.0.0.1"
    port: int = 0
    admin_port: int = -1
    admin_host: str = LOOPBACK
    instance_port: int = 0
    own_addresses: bool = OWN_ADDRESSES
    instance_network: str = NETWORK
    numbers: dict[str, int] = {}
    handover: str = ""


class AppSettings(Settings):
    """App server *number* in *role* listens on host and port, registers itself when *ready_at* (ns, live clock) has come, and serves.

    *version*: which of the fleet's it is. *demand*: ``burn`` CPU on exactly ``cores`` executors, or ``sleep`` for it. *command*: a program of the user's to run instead, with
    ``{port}`` and ``{host}`` filled in, in *directory* (empty: the role's own); it is monitored from outside. *proxy_admin*: where requests are counted for it.
    *release*: what it says that it runs; empty: the version's name. *joins*: whether it registers itself; else it waits for whoever launched it to do so.
    """

    number: int
    role: str
    host: str
    port: int
    ready_at: int = 0
    demand: str = "sleep"
    command: tuple[str, ...] = ()
    directory: str = ""
    proxy_admin: str = ""
    dependencies: dict[str, str] = {}
    version: int = 0
    release: str = ""
    joins: bool = True


class DependencySettings(Settings):
    """All dependencies of the fleet, each on its own port of *host*, told in the ``up`` status."""

    host: str = "127.0.0.1"
    demand: str = "sleep"


class AutoscalerSettings(Settings):
    """*start*: the scenario's zero on the live clock, from which ticks are counted. *cloud_url*: the control API of the local cloud. *aws*: for the cloud ``aws``.

    *dry_run*: decide and say so, but launch, drain and terminate nothing. *allowed*: hosts besides loopback that news of alerts may go to. One beside the fleet's own
    is named by *by* in its events, and its turns come *offset* ns later; *apart*: see RedisRegistry.
    """

    start: int
    cloud: str = "local"
    cloud_url: str = ""
    aws: AwsSettings | None = None
    dry_run: bool = False
    allowed: tuple[str, ...] = ()
    by: str = ""
    offset: int = 0
    apart: str = ""


class LoadSettings(Settings):
    """Fires share *part* of *parts* of the plan of *scenario* at host and port, and writes rows to the file descriptor *rows*."""

    scenario: Path
    host: str
    port: int
    rows: int
    part: int = 0
    parts: int = 1
    allowed: tuple[str, ...] = ()
