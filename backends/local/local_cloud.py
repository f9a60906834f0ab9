"""The local cloud, in which an instance is an app server's process on a loopback address of its own; and the face of a flight's instances as a cloud."""

import asyncio
from collections.abc import Sequence

from ...core.lifecycle import State
from ...core.model import FleetSpec
from ...core.ports import CloudError, CloudInstance
from ..live.addresses import Addresses
from ..live.clock import LiveClock
from .instances import STATES, Emit, Instance, Instances, Start
from .roles import UP_SECONDS


class CloudFace:
    """Implements core.ports.Cloud over *instances*. *reasons*: why whoever calls ``terminate`` next does so, for the log, by what the cloud calls the instance."""

    def __init__(self, instances: Instances) -> None:
        self.reasons: dict[str, str] = {}
        self._instances = instances

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """See core.ports.Cloud."""
        return self._instances.launch(number, role, token).listed()

    def terminate(self, provider_id: str) -> None:
        """See core.ports.Cloud."""
        self._instances.terminate(provider_id, self.reasons.pop(provider_id, "asked for"))

    def stuck(self, provider_id: str) -> bool:
        """Whether nothing comes of it when this instance is to be ended."""
        return self._instances.stuck(provider_id, self.reasons.get(provider_id, "asked for"))

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud."""
        return tuple(one.listed() for one in self._instances.present())


class LocalInstances(Instances):
    """The local cloud."""

    def __init__(
        self, fleet: FleetSpec, clock: LiveClock, addresses: Addresses, start: Start, emit: Emit
    ) -> None:
        super().__init__(fleet, clock, addresses, start, emit)
        self._tokens: dict[str, int] = {}

    async def begin_first(self, roles: Sequence[str]) -> None:
        """See Instances."""
        first = [
            self.launch(number, role, f"first-{number}", first=True) for number, role in enumerate(roles, 1)
        ]
        for instance in first:
            while instance.process is None:
                await asyncio.sleep(0.01)
            await instance.process.wait_up(UP_SECONDS)

    def launch(
        self, number: int, role: str, token: str, first: bool = False, version: int = -1, joins: bool = True,
        at: int = -1,
    ) -> Instance:  # fmt: skip
        """Begin an instance; the same *token* gives the same one. *first*: part of the first fleet, which need not boot. *version*: an index, -1: what its role gets now.
        *joins*: whether it registers itself. *at*: the time (ns) from which its boot counts, -1: now. Raises CloudError.
        """
        if token in self._tokens:
            return self.by_number[self._tokens[token]]
        if role not in STATES:
            raise CloudError(
                "InvalidParameterValue", f"expected a role among {', '.join(STATES)}, got {role!r}"
            )
        if number in self.by_number:
            raise CloudError(
                "IdempotentParameterMismatch", f"instance {number} was launched with another token"
            )
        try:
            address = self._addresses.address(number)
        except ValueError as error:
            raise CloudError("InvalidParameterValue", str(error)) from None
        now = self._clock.now()
        instance = Instance(number, role, address, now, first, f"local-{number}", joins=joins)
        instance.boots_from = at
        instance.version = self.releases[role] if version < 0 else version
        self.by_number[number] = instance
        self._tokens[token] = number
        self._emit(now, "launched", {"server": number, "role": role, **self._build(instance)})
        self._spawn(self._live(instance))
        return instance

    def terminate(self, provider_id: str, reason: str) -> None:
        """See Instances."""
        instance = self.at(provider_id)
        if instance is None or instance.state == State.GONE:
            return
        now = self._clock.now()
        self._emit(now, "terminated", self._gone(instance, now, reason))
