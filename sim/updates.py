"""What a deploy does to the servers of a rehearsal: take them out of the lists, exchange their processes, put them back, launch and end instances.

Each call is one step, carried out at once, and may be repeated; when to take which is the driver's. Whoever calls has reached the registry
(sim.troubles). What the registry says while a deploy is under way (updating, canary_share) is the driver's too.
"""

from ..core.lifecycle import READY, State
from ..core.order import Kind
from .control import LATER, ROLE_STATES, ControlPlane, Process
from .instances import Instance


class Updates:
    """The servers of *control*, by number."""

    def __init__(self, control: ControlPlane) -> None:
        self.control = control

    def drain(self, number: int) -> None:
        """Take a server out of the lists; it ends what it has in flight. Raises RegistryError."""
        instance = self._instance(number)
        self.control.registry.deregister(instance.address)
        if instance.is_in(*READY):
            instance.become(State.DRAINING)
            self.control.emit("draining", {"server": number})

    def update(self, number: int, version: int, length: int) -> None:
        """End the server's process, if it has one, with all that it has in flight; *length* ns later one of *version* (an index) is up.

        Of an update that is still under way nothing more comes. The lists stay as they are: a server that was not drained is sent requests all the while.
        """
        control, instance = self.control, self._instance(number)
        lost = control.plane.stop(number)
        if not instance.is_in(State.UPDATING):
            instance.become(State.UPDATING)
        instance.up = -1
        instance.life += 1
        instance.version = version
        control.troubles.paused[number] = 0
        name = control.fleet.version(version).name
        control.emit("updating", {"server": number, "version": name, "lost": lost})
        control.timeline.env.process(self._exchange(instance, control.timeline.now() + length))

    def _exchange(self, instance: Instance, time: int) -> Process:
        control, life = self.control, instance.life
        yield control.timeline.until(time, Kind.READY, 4 * LATER + instance.number)
        yield from control.until_writable(instance.number, Kind.READY, 4 * LATER + instance.number)
        if instance.life != life or not instance.is_in(State.UPDATING):
            return
        control.start(instance)
        name = control.fleet.version(instance.version).name
        control.emit("updated", {"server": instance.number, "version": name})

    def register(self, number: int, role: str) -> None:
        """Put a server whose process is up into the list of *role*: updated, drained, or in another one. Raises RegistryError."""
        control, instance = self.control, self._instance(number)
        assert instance.up >= 0, f"instance {number} has no process that could serve"
        control.registry.register(instance.address, role)
        if instance.is_in(ROLE_STATES[role]):
            return
        instance.become(ROLE_STATES[role])
        if instance.ready < 0:
            instance.ready = control.timeline.now()
            control.emit("ready", {"server": number, "role": role})
        else:
            control.emit("registered", {"server": number, "role": role})
        control.joined(instance)

    def answers(self, number: int) -> bool:
        """Whether the server has a process that does not hang."""
        return self._instance(number).up >= 0 and not self.control.troubles.paused.get(number)

    def launch(self, role: str, version: int, joins: bool = True) -> Instance:
        """Launch an instance of *version*, which boots and then registers itself in *role*, or (not *joins*) waits for :meth:`register`. Raises CloudError, RegistryError."""
        instance = self.control.launch(role, version)
        instance.joins = joins
        self.control.boot(instance)
        return instance

    def terminate(self, number: int, reason: str) -> None:
        """End an instance, and take it out of the registry. Raises CloudError, RegistryError."""
        instance = self._instance(number)
        self.control.terminate(number, instance.cloud.provider_id, reason)
        self.control.registry.forget(instance.address)
        self.control.registry.remove_instance(instance.cloud.provider_id)

    def _instance(self, number: int) -> Instance:
        return self.control.instances.by_number[number]
