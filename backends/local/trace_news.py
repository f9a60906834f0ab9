"""What the roles of a flight say of the traces that they export."""

from collections.abc import Callable

from .process import Line


class TraceNews:
    """Tells by *notice* once that an endpoint does not take them, and at the end how many it took."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self._said = False
        self._told = False
        self._exported = 0
        self._lost = 0

    def heard(self, line: Line) -> None:
        """A status line of a role."""
        match line.get("status"):
            case "not_exported" if not self._said:
                self._said = True
                self._notice(f"traces are not exported: {line['error']}")
            case "traced":
                self._told = True
                self._exported += int(line["spans"])
                self._lost += int(line["lost"])

    def end(self) -> None:
        """All roles have ended. Those that were killed said nothing."""
        if self._told:
            lost = f", {self._lost:,} lost" if self._lost else ""
            self._notice(f"traces: {self._exported:,} spans exported{lost}")
