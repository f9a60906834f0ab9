"""Names, order and little-endian types of a run's columns: the run format (docs/run-format.md).

Times are nanoseconds since the scenario's start; -1: never reached.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

REQUESTS: Final = (
    ("request", "<i8"),
    ("source", "<i4"),
    ("index", "<i8"),
    ("endpoint", "<i4"),
    ("time_ns", "<i8"),
    ("latency_ns", "<i8"),
    ("outcome", "<i1"),
    ("status", "<i2"),
    ("attempts", "<i2"),
    ("server", "<i4"),
)

ATTEMPTS: Final = (
    ("request", "<i8"),
    ("attempt", "<i2"),
    ("start_ns", "<i8"),
    ("proxy_ns", "<i8"),
    ("routed_ns", "<i8"),
    ("arrived_ns", "<i8"),
    ("started_ns", "<i8"),
    ("cpu_done_ns", "<i8"),
    ("served_ns", "<i8"),
    ("answered_ns", "<i8"),
    ("end_ns", "<i8"),
    ("outcome", "<i1"),
    ("status", "<i2"),
    ("server", "<i4"),
    ("tries", "<i2"),
    ("connection", "<i8"),
)

METRICS: Final = (
    ("time_ns", "<i8"),
    ("server", "<i4"),
    ("state", "<i1"),
    ("requests", "<i8"),
    ("in_flight", "<i8"),
    ("queued", "<i8"),
    ("memory", "<i8"),
    ("cpu_ns", "<i8"),
    ("connections", "<i8"),
    ("descriptors", "<i8"),
)
"""One row a second and server (0: the proxy). cpu_ns is CPU time used in that second."""

REQUEST_ROW: Final = np.dtype(list(REQUESTS))
ATTEMPT_ROW: Final = np.dtype(list(ATTEMPTS))
METRIC_ROW: Final = np.dtype(list(METRICS))

Rows = npt.NDArray[Any]


def opaque(rows: Rows) -> Rows:
    """The same rows as bytes without fields, which numpy copies whole instead of field by field."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize)))
