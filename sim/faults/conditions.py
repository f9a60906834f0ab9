"""Whether a condition of a fault's ``while`` (core.faults.CONDITIONS) holds: how the fleet is, not what anybody has seen of it."""

from collections.abc import Callable

from ...core.lifecycle import State
from ...core.model import AutoscalerSpec, TriggeredFault
from ..control import ControlPlane

COMING = (State.PENDING, State.BOOTING, State.SERVING)


class Conditions:
    """Looks at *control* and, by *in_force*, at other faults."""

    def __init__(self, control: ControlPlane, in_force: Callable[[str], bool]) -> None:
        self._control = control
        self._in_force = in_force

    def holds(self, fault: TriggeredFault) -> bool:
        """Whether the condition of *fault* holds now."""
        instances = self._control.instances
        match fault.condition:
            case "at_maximum":
                return 0 <= self._spec.maximum <= self._size()
            case "at_minimum":
                return self._size() <= self._spec.minimum
            case "booting":
                return bool(instances.in_state(State.PENDING, State.BOOTING))
            case "draining":
                return bool(instances.in_state(State.DRAINING))
            case "deploying":
                return self._control.deploying()
            case "proxy_down":
                return self._control.plane.down
            case condition:
                assert condition == "fault", f"no condition {condition!r}"
                return self._in_force(fault.of)

    @property
    def _spec(self) -> AutoscalerSpec:
        spec = self._control.fleet.autoscaler
        assert spec is not None, "a condition about the limits of an autoscaler that is not there"
        return spec

    def _size(self) -> int:
        coming = self._control.instances.in_state(*COMING)
        return sum(one.cloud.role == "serving" or one.is_in(State.SERVING) for one in coming)
