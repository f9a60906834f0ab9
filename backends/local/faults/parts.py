"""What faults of a flight act upon."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ....core.model import FleetSpec
from ....core.troubles import TroubledCloud, Troubles
from ..guardian import Guardian
from ..instances import Instances
from ..network.places import Places
from ..redis_server import RedisServer
from ..replica import Replicas
from ..roles import Lasting
from .standing import Standing


@dataclass(frozen=True, slots=True)
class Parts:
    """*start*: the scenario's zero (ns, live clock). *standing*: commands to roles. *troubles*, *cloud*: what the conductor itself looks at. *strike_proxy* takes a cause and how
    long it stays away (ns; -1: for good); *proxy* and *scaler* come back by ``recall``. *flush* empties the registry, in a thread. *guardian*: undoes what outlives the conductor.
    *redis*: the registry's server if it is ours, *replicas*: what follows it. *places*: where links are. *reasons*: why an instance is about to be ended, for the log, by what the cloud calls it. *second* makes another autoscaler: by
    what its events say, what is before the keys of its lease, and how much later its turns come (ns). *deploying*: whether a deploy is under way.
    """

    fleet: FleetSpec
    start: int
    instances: Instances
    standing: Standing
    troubles: Troubles
    cloud: TroubledCloud
    proxy: Lasting
    strike_proxy: Callable[[str, int], None]
    scaler: Lasting | None
    flush: Callable[[], None]
    guardian: Guardian
    emit: Callable[[str, Mapping[str, Any]], None]
    redis: RedisServer | None
    replicas: Replicas
    places: Places
    reasons: dict[str, str]
    second: Callable[[str, str, int], Lasting]
    deploying: Callable[[], bool]
