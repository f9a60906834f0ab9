"""The kernel as a data plane: see sim.plane for the face, sim.dataplane for the reference."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ...core import table
from ...core.load_index import build_index
from ...core.order import major_of
from ...core.ports import Sink
from ...core.remedy import given_back
from ...core.routing import needs_index
from ...core.toxics import with_link
from ...scenarios.plan import BLOCK, Block, Plan
from ..plane import Emit, ProxySample, ServerSample
from . import command as do
from . import layout
from .begin import WINDOW, disturb_app, first_world, health_key, start_app, with_apps, with_room
from .compiled import Kernel
from .window import hand_over, nearly_full

CAPACITY = 1024
PATIENCE = 64
"""The kernel may ask for room so many times without handling a single event."""
NAMES = {
    layout.EJECTED: "ejected",
    layout.UNEJECTED: "unejected",
    layout.BREAKER_OPENED: "breaker_opened",
    layout.BREAKER_CLOSED: "breaker_closed",
    layout.HEALTHY: "healthy",
    layout.UNHEALTHY: "unhealthy",
}


class KernelPlane:
    """Implements sim.plane.Plane."""

    def __init__(
        self, plan: Plan, sink: Sink, emit: Emit, set_now: Callable[[int], None], block: int = BLOCK, window: int = WINDOW,
    ) -> None:  # fmt: skip
        self.fleet = plan.fleet
        self.sink = sink
        self.emit = emit
        self.set_now = set_now
        self.lost: Callable[[int], None] = lambda number: None
        self.proxy_down: Callable[[], None] = lambda: None
        self._kernel = Kernel(first_world(plan, CAPACITY, window))
        self._state = self._kernel.world.state[0]
        self._blocks: Iterator[Block] = plan.blocks(block)
        self._settled: tuple[Mapping[int, int], object, int] = ({}, None, 0)
        self._pressed: dict[int, int] = {}

    # What the control plane does to it.

    def begin(self) -> None:
        """See sim.plane.Plane."""
        self._next_block()
        for number, spec in enumerate(self.fleet.sources):
            for client in range(max(spec.concurrency, 0)):
                if spec.start < spec.end:
                    self._make_room()
                    self._kernel(do.TURN, number, spec.start, client)
        if self.fleet.proxy.health is not None:
            self._kernel(do.SCHEDULE, self.fleet.proxy.health.interval, health_key(), 0)

    def advance(self, time: int, key: int) -> bool:
        """See sim.plane.Plane."""
        major = major_of(key)
        before, in_vain = -1, 0
        while True:
            why = self._kernel(do.ADVANCE, time, major)
            if why == layout.ROOM:
                in_vain = in_vain + 1 if self._state["handled"] == before else 0
                assert in_vain < PATIENCE, f"the kernel finds no room: {self._state}"
                before = int(self._state["handled"])
                self._make_room()
            elif why == layout.BLOCK:
                self._next_block()
            elif why == layout.REACHED:
                self._state["now"] = time
                self._tell()
                return True
            else:
                self._tell()
                return False

    def boot(self, number: int, version: int) -> None:
        """See sim.plane.Plane."""
        self._kernel.world = with_apps(self._kernel.world, number)
        start_app(self._kernel.world, number, self.fleet, version)
        # What else holds memory is among what was lost, but nothing gives it back (free).
        self._kernel.world.apps[number]["leaked"] = self._pressed.get(number, 0)

    def stop(self, number: int) -> int:
        """See sim.plane.Plane."""
        if number >= len(self._kernel.world.apps) or self._kernel.world.apps[number]["alive"] == 0:
            return 0
        self._make_room()
        return self._kernel(do.STOP, number)

    def refresh(self, listed: Mapping[int, int], share: tuple[int, int]) -> None:
        """See sim.plane.Plane."""
        if self.down:
            return
        world, state = self._kernel.world, self._state
        state["share_numerator"], state["share_denominator"] = share
        if self._settled[1] is world.servers and self._settled == (
            listed,
            world.servers,
            state["table_rows"],
        ):
            return
        before = world.servers[: state["table_rows"]]
        servers = table.update(before, listed, self.fleet.app.weight, int(state["now"]))
        if servers is before:
            # Nothing but this and the proxy's end changes who is in the table.
            self._settled = (listed, world.servers, int(state["table_rows"]))
            return
        count = len(servers)
        world = with_apps(world, int(servers["id"].max(initial=0)))
        world.apps["slot"] = -1
        world.apps["slot"][servers["id"]] = np.arange(count)
        state["table_rows"] = count
        state["budget"] = 0
        load = build_index(servers) if needs_index(self.fleet.proxy.routing) else world.load
        self._kernel.world = world._replace(servers=servers if count else table.empty_table(1), load=load)

    def kill_proxy(self, cause: str) -> None:
        """See sim.plane.Plane."""
        if self.down:
            return
        self._make_room()
        self._kernel(do.CRASH, layout.KILLED)
        self._state["signal"] = layout.REACHED
        self._tell(cause)

    def restart_proxy(self) -> None:
        """See sim.plane.Plane."""
        self._state["down"] = 0
        self.emit(int(self._state["now"]), "proxy_up", {})

    def pause(self, number: int) -> None:
        """See sim.plane.Plane."""
        if self._alive(number):
            self._kernel(do.PAUSE, number)

    def resume(self, number: int) -> None:
        """See sim.plane.Plane."""
        if self._alive(number):
            self._make_room()
            self._kernel(do.RESUME, number)

    def _alive(self, number: int) -> bool:
        return bool(self._kernel.world.apps[number]["alive"])

    def disturb_server(self, number: int, factor: float, share: float, status: int) -> None:
        """See sim.plane.Plane."""
        app = self._kernel.world.apps[number]
        app["fault_slow"], app["fault_share"], app["fault_status"] = factor, share, status
        disturb_app(app, self.fleet.version(int(app["version"])))

    def leak(self, number: int, size: int) -> None:
        """See sim.plane.Plane."""
        if self._alive(number):
            self._make_room()
            self._kernel(do.LEAK, number, size)
            self._state["signal"] = layout.REACHED
            self._tell()

    def press(self, number: int, size: int) -> None:
        """See sim.plane.Plane."""
        before, self._pressed[number] = self._pressed.get(number, 0), size
        self.leak(number, size - before)

    def free(self, number: int, share: float) -> int:
        """See sim.plane.Plane."""
        app = self._kernel.world.apps[number]
        lost = int(app["leak"] * app["served"] + app["leaked"]) - self._pressed.get(number, 0)
        freed = given_back(lost, share)
        app["leaked"] -= freed
        return freed

    def disturb_link(self, number: int, toxic: Sequence[Mapping[str, float]]) -> None:
        """See sim.plane.Plane."""
        self._make_room()
        toxics = with_link(self._kernel.world.toxics, number, toxic)
        self._kernel.world = self._kernel.world._replace(toxics=toxics)
        self._state["toxics"] = int(toxics["active"].any())
        self._kernel(do.DISTURBED, number)

    def limit_descriptors(self, limit: int) -> None:
        """See sim.plane.Plane."""
        self._kernel.world.config[0]["max_connections"] = limit

    def disturb_proxy(self, factor: float) -> None:
        """See sim.plane.Plane."""
        self._kernel.world.config[0]["cpu_factor"] = factor

    def disturb_dependency(self, number: int, factor: float, down: bool) -> None:
        """See sim.plane.Plane."""
        dependency = self._kernel.world.dependencies[number]
        dependency["slow"], dependency["down"] = factor, down
        if down:
            self._make_room()
            self._kernel(do.FAIL_WAITING, number)

    def flush_cache(self, number: int) -> None:
        """See sim.plane.Plane."""
        world = self._kernel.world
        dependency = world.dependencies[number]
        first = dependency["filled_from"]
        world.filled[first : first + dependency["keys"]] = 0

    @property
    def down(self) -> bool:
        """See sim.plane.Plane."""
        return bool(self._state["down"])

    def sample(self) -> tuple[ProxySample, Sequence[ServerSample]]:
        """See sim.plane.Plane."""
        count = self._kernel(do.SAMPLE)
        state, spec = self._state, self.fleet
        connections = int(state["connections"])
        own = ProxySample(
            int(state["requests"]),
            int(state["unserved"]),
            int(state["active"]),
            int(state["queue_length"]),
            spec.proxy.memory.base + spec.proxy.memory.each * connections,
            connections,
            int(state["descriptors"]),
            self._kernel.world.tallies.tolist() if spec.needs_tallies else (),
        )
        state["requests"] = state["unserved"] = 0
        rows = [ServerSample(*row) for row in self._kernel.world.samples[:count].tolist()]
        if self.sink.due():
            self._hand_over()
        return own, rows

    @property
    def idle(self) -> bool:
        """See sim.plane.Plane."""
        state = self._state
        return bool(
            state["unfinished"] == 0
            and state["block_more"] == 0
            and state["block_next"] == state["block_rows"]
        )

    def end(self) -> None:
        """See sim.plane.Plane."""
        self._hand_over()
        self._kernel(do.END)
        self._hand_over()
        # The planes of a process are in cycles, and few objects: the collector would let their arrays pile up.
        self._kernel.close()

    # Between calls.

    def _make_room(self) -> None:
        self._tell()
        if nearly_full(self._kernel.world):
            self._hand_over()
        self._kernel.world = with_room(self._kernel.world)

    def _hand_over(self) -> None:
        self._kernel.world = hand_over(self._kernel.world, self.sink)

    def _next_block(self) -> None:
        columns = next(self._blocks, None)
        state = self._state
        state["block_next"] = 0
        if columns is None:
            state["block_more"] = state["block_rows"] = 0
            return
        state["block_rows"] = len(columns["time_ns"])
        names = {"time": "time_ns", "cpu": "cpu_ns", "io": "io_ns"}
        block = {
            f"block_{name}": np.ascontiguousarray(columns[names.get(name, name)], dtype=np.int64)
            for name in ("time", "source", "index", "endpoint", "cpu", "io")
        }
        self._kernel.world = self._kernel.world._replace(**block)

    def _tell(self, cause: str = "memory") -> None:
        """The control plane hears what happened, in order."""
        rows, self._state["log_rows"] = int(self._state["log_rows"]), 0
        if not rows:
            return
        for time, what, server, value, lost in self._kernel.world.log[:rows].tolist():
            if what in NAMES:
                fields = {"server": server, "until": value} if what == layout.EJECTED else {"server": server}
                self.emit(time, NAMES[what], fields)
                continue
            self.set_now(time)
            if what == layout.OUT_OF_MEMORY:
                self.emit(time, "out_of_memory", {"server": server, "memory": value, "lost": lost})
                self.lost(server)
            else:
                self.emit(time, "proxy_down", {"cause": cause, "connections": value})
                self.proxy_down()
