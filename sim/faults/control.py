"""Faults of the control plane: autoscaler_crash, autoscaler_pause, second_autoscaler, monitor_silent, monitor_stuck."""

from ...core.fault_family import Targets
from ...core.model import FaultSpec
from ..control import ControlPlane, Process
from ..registry_store import AUTOSCALER, Store
from ..scaling import Scaling


class ControlFaults:
    """Implements Family. *scaling*: the fleet's autoscaler, *store*: the registry's."""

    def __init__(self, control: ControlPlane, scaling: Scaling | None, store: Store) -> None:
        self._control = control
        self._troubles = control.troubles
        self._scaling = scaling
        self._store = store
        self._hanging: dict[str, int] = {}
        self._others: dict[str, Scaling] = {}
        self._begun = 0

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        match fault.type:
            case "autoscaler_crash":
                if fault.word("during"):
                    self._first.crash_at_launch(fault.name)
                else:
                    self._first.crash()
            case "autoscaler_pause":
                self._hanging[fault.name] = self._first.pause(fault.word("caught") == "deciding")
            case "second_autoscaler":
                self._control.timeline.env.process(self._second(fault))
            case "monitor_silent":
                self._troubles.silent.update(targets)
            case _:
                self._troubles.stuck.update(targets)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        match fault.type:
            case "autoscaler_crash":
                self._first.restart(fault.name)
            case "autoscaler_pause":
                self._first.resume(self._hanging.pop(fault.name))
            case "second_autoscaler":
                self._others.pop(fault.name).crash()
            case "monitor_silent":
                self._troubles.silent.subtract(targets)
            case _:
                self._troubles.stuck.subtract(targets)

    @property
    def _first(self) -> Scaling:
        assert self._scaling is not None, "a fault of an autoscaler that is not there"
        return self._scaling

    def _second(self, fault: FaultSpec) -> Process:
        spec, name = self._first.spec, f"second {fault.name}"
        apart = f"{fault.name}:" if fault.word("lease") == "none" else ""
        registry = self._store.registry(AUTOSCALER, apart)
        offset = int(fault.number("offset")) or spec.interval // 2
        self._begun += 1
        made = Scaling(spec, self._control, registry, name, self._begun, offset, alerts=not apart)
        self._others[fault.name] = made
        return made.process()
