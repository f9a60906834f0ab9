"""The instances of a flight on EC2.

Theory of operation
-------------------
The first fleet is launched here, the rest by the autoscaler's process, both by the same limited cloud. Each second the provider is asked what is there and the
registry who serves; the autoscaler's events are faster and know the reasons. What they did not tell is an event when it is seen. However the flight
ends, whatever carries its run's tag is ended, and looked for again until nothing is found.
"""

import asyncio
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from ...core.errors import BackendFailure
from ...core.lifecycle import READY, State
from ...core.model import SECOND, FleetSpec
from ...core.ports import CloudError, CloudInstance, RegistryError, Sample, Servers
from ..cloud import GRACE
from ..connection import registry_at
from ..live.addresses import Addresses
from ..live.clock import LiveClock
from ..local.instances import Emit, Instance, Instances, Start
from ..local.observed import second_of
from ..registry import RedisRegistry
from .factory import client_of, cloud_of
from .janitor import Janitor, Leftover
from .limits import LimitedCloud
from .settings import AwsSettings

BOOT_TIMEOUT = 300 * SECOND
"""How long the first fleet may take to register where no autoscaler says it."""

_LOOK_SECONDS = 1.0
_MISSING = 3 * SECOND
_LATE = SECOND // 2
_END_SECONDS = 60.0

T = TypeVar("T")
Seen = tuple[tuple[CloudInstance, ...], Servers, Mapping[str, Sample]]


def janitor_command(settings: AwsSettings) -> str:
    """The command that ends whatever is left of a flight."""
    words = ["windtunnel", "janitor", "--fleet", settings.fleet, "--region", settings.region]
    if settings.endpoint_url:
        words += ["--endpoint-url", settings.endpoint_url]
    return shlex.join([*words, "--yes"])


class Ec2Instances(Instances):
    """Instances on EC2. *settings* are asked for with the registry's address; *notice* is told what one must know.

    *over* says why there can be none any more. Bridged, a process of this machine stands for each instance that runs, with the life that it has in a local flight; when it ends by itself its instance runs on,
    as after a program's crash.
    """

    def __init__(
        self, fleet: FleetSpec, clock: LiveClock, addresses: Addresses, start: Start, emit: Emit,
        settings: Callable[[str], AwsSettings], bridged: bool, notice: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(fleet, clock, addresses, start, emit)
        self.elsewhere = not bridged
        self._settings = settings
        self._notice = notice
        self._cloud: LimitedCloud
        self._janitor: Janitor
        self._registry: RedisRegistry
        self._calls: set[asyncio.Future[Any]] = set()
        self._backed: set[int] = set()
        self._listed: dict[int, int] = {}
        self._watching: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._said = ""
        self.over = ""

    # The flight.

    async def begin(self, redis_url: str) -> None:
        """See Instances. Instances of an earlier run would be taken for ours: they are refused."""
        settings = self._settings(redis_url)
        made = client_of(settings)
        self._cloud = cloud_of(settings, self._clock.now, notice=self._notice, made=made)
        self._janitor = Janitor(made[0], settings.fleet, made[1])
        self._registry = registry_at(redis_url, self._fleet.key_prefix)
        command = janitor_command(settings)
        if left := await self._call(self._janitor.find):
            names = ", ".join(one.provider_id for one in left[:3])
            raise BackendFailure(
                f"expected no instances of fleet {settings.fleet}, found {len(left)} ({names}), such as of run {left[0].run}; end them by: {command}"
            )
        self._notice(f"run {settings.run}; if it is lost, end what it left by: {command}")
        self.aws = settings
        self._watching = asyncio.create_task(self._watch())

    async def begin_first(self, roles: Sequence[str]) -> None:
        """See Instances."""
        for number, role in enumerate(roles, 1):
            instance = Instance(number, role, "", self._clock.now(), first=True)
            self.by_number[number] = instance
            made = await self._call(partial(self._cloud.launch, number, role, f"first-{number}"))
            instance.launched = made.launched
            self._emit(made.launched, "launched", {"server": number, "role": role})
            self._adopt(made)
        self._wake.set()
        scaler = self._fleet.autoscaler
        timeout = BOOT_TIMEOUT if scaler is None else scaler.boot_timeout
        deadline = self._clock.now() + timeout
        for instance in [self.by_number[number] for number in range(1, len(roles) + 1)]:
            while instance.state not in READY:
                await self._check_boot(instance, deadline, timeout)
                await asyncio.sleep(0.02)

    async def _check_boot(self, instance: Instance, deadline: int, timeout: int) -> None:
        self.check()
        where = (
            f"instance {instance.number} ({instance.provider_id}, {instance.address or 'without an address'})"
        )
        if instance.state == State.GONE:
            raise BackendFailure(f"{where} ended before it registered")
        if instance.state == State.FAILED and instance.process is not None:
            raise BackendFailure(await instance.process.obituary())
        if self._clock.now() > deadline:
            raise BackendFailure(f"{where}: expected it in the registry within {timeout / SECOND:g} s")

    def launch(self, number: int, role: str, token: str) -> Instance:
        """See Instances. The control API launches nothing here."""
        raise CloudError("UnsupportedOperation", "this fleet is on EC2: its autoscaler launches there itself")

    def terminate(self, provider_id: str, reason: str) -> None:
        """See Instances. Nor does it end anything."""
        raise CloudError("UnsupportedOperation", "this fleet is on EC2: terminate its instances there")

    def check(self) -> None:
        """See Instances. The time may be used up, or our own watch have failed."""
        if self.over:
            raise BackendFailure(self.over)
        if self._watching is not None and self._watching.done():
            self._watching.result()

    # What is heard and seen.

    def follow(self, time: int, event: str, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """See Instances."""
        if event == "launched":
            self._wake.set()
            number = fields["server"]
            return None if number in self.by_number else self._begin(number, fields["role"], time)
        if event == "terminated":
            instance = self.by_number.get(fields["server"])
            if instance is None or instance.state == State.GONE:
                return None
            return self._gone(instance, time, fields["reason"])
        return super().follow(time, event, fields)

    def _begin(self, number: int, role: str, time: int) -> Mapping[str, Any]:
        """An instance was launched at *time* (ns): the fields of that event."""
        self.by_number[number] = Instance(number, role, "", time)
        return {"server": number, "role": role}

    async def _watch(self) -> None:
        while True:
            try:
                seen = await self._call(self._look)
            except (CloudError, RegistryError) as error:
                if self._said != str(error):
                    self._said = str(error)
                    self._notice(f"looking after the instances: {self._said}")
            else:
                self._see(*seen)
            try:
                await asyncio.wait_for(self._wake.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue
            self._wake.clear()

    def _look(self) -> Seen:
        """In a thread: what the provider lists, and what the registry says of it."""
        listed = self._cloud.list()
        if self._cloud.enforce():
            self.over = "the instance time that --max-hours allows is used up; every instance was ended"
        if not self.elsewhere:
            return listed, Servers(), {}
        return (
            listed,
            self._registry.servers(),
            self._registry.read_samples([one.address for one in listed if one.address]),
        )

    def _see(self, listed: Sequence[CloudInstance], servers: Servers, samples: Mapping[str, Sample]) -> None:
        now = self._clock.now()
        serving = {*servers.serving, *servers.canary, *servers.standby}
        for one in listed:
            instance = self._adopt(one)
            if instance.address in samples:
                instance.second = {**second_of(samples[instance.address], self._fleet.app), "queued": 0}
            if instance.address in serving and instance.state in (State.PENDING, State.BOOTING):
                self._ready(instance, now)
        for instance in self.present():
            last = self._listed.get(instance.number, instance.launched + GRACE)
            if now - last > _MISSING:
                self._emit(now, "terminated", self._gone(instance, now, "ended elsewhere"))

    def _adopt(self, one: CloudInstance) -> Instance:
        """What the provider says of an instance."""
        now = self._clock.now()
        if one.number not in self.by_number:
            # The autoscaler may have died before it told.
            begun = max(one.launched, now - _LATE)
            self._emit(begun, "launched", self._begin(one.number, one.role, begun))
        instance = self.by_number[one.number]
        instance.provider_id, instance.address = one.provider_id, one.address
        self._listed[one.number] = now
        if self.elsewhere:
            if one.address:
                self.numbers[one.address] = one.number
            if one.state == "running":
                self._booting(instance, now)
        elif one.state == "running" and one.number not in self._backed and instance.state == State.PENDING:
            self._backed.add(one.number)
            self._spawn(self._live(instance))
        return instance

    # The end.

    async def end(self) -> None:
        """End every instance of this run at the provider, and every process here. Raises BackendFailure for what may be left."""
        self._closing = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        # One that is under way may launch.
        await asyncio.gather(*self._calls, return_exceptions=True)
        try:
            if self.aws is not None:
                await self._call(self._end_all)
        finally:
            await super().end()

    def _end_all(self) -> None:
        """In a thread: until a look finds nothing; one look more than it takes, for a launch that was just under way."""
        assert self.aws is not None
        deadline = time.monotonic() + _END_SECONDS
        known = {one.provider_id for one in self.present() if one.provider_id}
        ended: set[str] = set()
        while True:
            refused = ""
            try:
                left = self._mine()
                ended.update(self._janitor.end(left))
                for name in known - ended:
                    self._cloud.terminate(name)
                    ended.add(name)
                if not left and not known - ended:
                    break
            except CloudError as error:
                refused = str(error)
            if time.monotonic() >= deadline:
                why = f": {refused}" if refused else ""
                raise BackendFailure(
                    f"instances may be left on EC2{why}; end them by: {janitor_command(self.aws)}"
                )
            time.sleep(1.0)
        count = f"{len(ended)} instance{'' if len(ended) == 1 else 's'}"
        self._notice(f"ended {count} of run {self.aws.run}: {' '.join(sorted(ended)) or 'none was left'}")

    def _mine(self) -> list[Leftover]:
        assert self.aws is not None
        return [one for one in self._janitor.find() if one.run == self.aws.run]

    async def _call(self, function: Callable[[], T]) -> T:
        """*function* in a thread. Cancelled, it goes on, and is waited for in the end."""
        call: asyncio.Future[T] = asyncio.get_running_loop().run_in_executor(None, function)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)
