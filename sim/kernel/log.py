"""What the control plane will read: control events of the data plane, in order."""

from .layout import World
from .routine import subroutine


@subroutine
def note(w: World, what: int, server: int, value: int, lost: int) -> None:
    """One control event, now."""
    s = w.state[0]
    row = w.log[s["log_rows"]]
    s["log_rows"] += 1
    row["time"] = s["now"]
    row["what"] = what
    row["server"] = server
    row["value"] = value
    row["lost"] = lost
