"""Logs of roles are JSON lines: what libraries say by ``logging`` too."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .role import RoleLink

_LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning"}


class RoleHandler(logging.Handler):
    """Writes each record as a line of the role's own log (RoleLink.log). ``trace_id`` and ``span_id`` of a record go with it."""

    def __init__(self, link: "RoleLink") -> None:
        super().__init__(logging.WARNING)
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        fields = {"logger": record.name}
        for name in ("trace_id", "span_id"):
            if hasattr(record, name):
                fields[name] = str(getattr(record, name))
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = logging.Formatter().formatException(record.exc_info)
        self._link.log(_LEVELS.get(record.levelno, "error"), record.getMessage(), fields)


def log_by(link: "RoleLink") -> None:
    """From now on whatever is logged in this process goes there."""
    root = logging.getLogger()
    root.handlers[:] = [RoleHandler(link)]
