"""A network namespace of this machine for the proxy and for each app server, with links of their own."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack

from ....core.model import FaultSpec
from ..guardian import Guardian
from . import clearing, shaping
from .checks import check_carried
from .naming import Names, batch, run
from .places import Places

_OURS, _ADMIN, _CLIENTS, _PROXY = "255.1", "255.2", "255.3", "255.4"
"""The ends of addresses: this machine and the proxy on the bridge, clients and proxy on their link. No server has such a number."""

Lines = Iterable[str]


class Namespaces(Places):
    """Implements Places. *pid*: of the conductor. *network*: the first two numbers of its addresses, which this machine uses for nothing else."""

    carried = shaping.CARRIED

    def __init__(self, pid: int, network: str) -> None:
        self.network = network
        self.host, self.proxy_admin, self._clients, self.proxy = (
            f"{network}.{end}" for end in (_OURS, _ADMIN, _CLIENTS, _PROXY)
        )
        self.allowed = (self.proxy,)
        self._names = Names(pid)
        self._servers: set[int] = set()
        # One thread: what is told of links is carried out in order, and never while one is being made.
        self._work = ThreadPoolExecutor(1)
        self._done: list[Future[None]] = []

    def command(self, role: str, label: str) -> tuple[str, ...]:
        """See Places."""
        if role == "proxy":
            return ("ip", "netns", "exec", self._names.proxy)
        if role == "app":
            return ("ip", "netns", "exec", self._names.server(int(label.rpartition("-")[2])))
        return ()

    async def begin(self, cleanup: AsyncExitStack, guardian: Guardian) -> None:
        """See Places. What other conductors have lost is removed."""
        guardian.watch_network(self._names.pid)
        cleanup.push_async_callback(self._end, guardian)
        await self._do(self._begin)

    def _begin(self) -> None:
        clearing.clear_lost()
        names = self._names
        run("ip", "netns", "add", names.proxy)
        batch("ip", [
            f"link add {names.bridge} type bridge", f"address add {self.host}/16 dev {names.bridge}", f"link set {names.bridge} up",
            *_behind_bridge(names.bridge, names.proxy),
            f"link add {names.clients} type veth peer name clients netns {names.proxy}", f"link set {names.clients} up",
            f"address add {self._clients}/32 dev {names.clients}",
            f"route add {self.proxy}/32 dev {names.clients} src {self._clients}",
        ])  # fmt: skip
        batch("ip", [
            *_up(f"{self.proxy_admin}/16"), "link set clients up", f"address add {self.proxy}/32 dev clients",
            f"route add {self._clients}/32 dev clients src {self.proxy}",
        ], names.proxy)  # fmt: skip
        for device, inside in (
            (names.clients, ""), (names.proxy, ""), ("clients", names.proxy), ("eth0", names.proxy),
        ):  # fmt: skip
            batch("tc", [_CLSACT.format(device)], inside)

    async def add_server(self, number: int) -> None:
        """See Places."""
        if number not in self._servers:
            self._servers.add(number)
            await self._do(lambda: self._add_server(number))

    def _add_server(self, number: int) -> None:
        names, name, address = self._names, self._names.server(number), self._address(number)
        run("ip", "netns", "add", name)
        batch("ip", [
            *_behind_bridge(names.bridge, name),
            f"link add server{number} netns {names.proxy} type veth peer name service netns {name}",
        ])  # fmt: skip
        batch("ip", [
            f"link set server{number} up", f"route add {address}/32 dev server{number} src {self.proxy}",
        ], names.proxy)  # fmt: skip
        batch("ip", [
            *_up(f"{address}/16"), "link set service up", f"route add {self.proxy}/32 dev service src {address}",
        ], name)  # fmt: skip
        batch("tc", [_CLSACT.format(name)])
        batch("tc", [_CLSACT.format(f"server{number}")], names.proxy)
        batch("tc", [_CLSACT.format("service"), _CLSACT.format("eth0")], name)

    def _address(self, number: int) -> str:
        return f"{self.network}.{number >> 8}.{number & 255}"

    def disturb(self, link: int, wrong: Sequence[shaping.Wrong]) -> None:
        """See Places."""
        names = self._names
        near, far = (names.clients, ""), ("clients", names.proxy)
        if link:
            near, far = (f"server{link}", names.proxy), ("service", names.server(link))

        def tell() -> None:
            for (leaves, here), (arrives, there), fields in (
                (near, far, wrong[0]), (far, near, wrong[1]),
            ):  # fmt: skip
                batch("tc", [shaping.leaving(leaves, fields)], here)
                batch("tc", shaping.arriving(arrives, fields), there)

        self._soon(tell)

    def cut(self, who: int | str, ports: Sequence[int]) -> None:
        """See Places."""
        name = self._names.proxy if who == "proxy" else self._names.server(int(who))

        def tell() -> None:
            batch("tc", shaping.without_ports("eth0", [*ports], source=True), name)
            batch("tc", shaping.without_ports(name, [*ports], source=False))

        self._soon(tell)

    def check_faults(self, faults: Sequence[FaultSpec]) -> None:
        """See Places."""
        check_carried(faults)

    def check(self) -> None:
        """See Places."""
        for work in [one for one in self._done if one.done()]:
            self._done.remove(work)
            work.result()

    def _soon(self, work: Callable[[], None]) -> None:
        self._done.append(self._work.submit(work))

    async def _do(self, work: Callable[[], None]) -> None:
        await asyncio.wrap_future(self._work.submit(work))

    async def _end(self, guardian: Guardian) -> None:
        await self._do(lambda: clearing.clear([self._names.pid]))
        guardian.cleared()
        self._work.shutdown()


_CLSACT = "qdisc add dev {} clsact"


def _behind_bridge(bridge: str, name: str) -> list[str]:
    """A way from this machine to the namespace *name*: the device here has that name, the one there is ``eth0``."""
    return [
        f"link add {name} type veth peer name eth0 netns {name}",
        f"link set {name} master {bridge}",
        f"link set {name} up",
    ]


def _up(address: str) -> list[str]:
    """In a namespace: loopback, and *address* behind the bridge."""
    return ["link set lo up", f"address add {address} dev eth0", "link set eth0 up"]
