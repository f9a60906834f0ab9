"""Speed of reading an access log, against pandas' reader on the same file in the same run.

The peer splits the lines into columns and parses the times, as its users do with Combined logs; matching endpoints, sorting and counting unreadable lines are ours alone.
"""

import gzip
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
from windtunnel.scenarios import access_log
from windtunnel.scenarios.fit import draft
from windtunnel.tests.scenarios.test_access_log import COMBINED, T0, line

LINES = 400_000
AGENT = COMBINED[:-1] + ' AppleWebKit/537.36 (KHTML, like something) Browser/32.0.1700.77 Safari/537.36"'


def rate(work: Callable[[], object]) -> float:
    """Lines per second, the median of three."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return LINES / statistics.median(taken)


def read(path: Path) -> None:
    access_log._read.cache_clear()
    access_log.read_access_log(path, ("/", "/users/:id"))


def with_pandas(path: Path) -> None:
    table = pandas.read_csv(path, sep=" ", header=None, usecols=[3, 5, 6, 7], escapechar="\\")
    pandas.to_datetime(table[3], format="[%d/%b/%Y:%H:%M:%S")


@pytest.mark.benchmark
def test_reading_a_log(tmp_path: Path) -> None:
    combined, packed, objects = (tmp_path / name for name in ("combined.log", "packed.log", "objects.log"))
    combined.write_text(
        "".join(f"{line(n // 100, f'/users/{n % 5000}?q=1', tail=AGENT)}\n" for n in range(LINES))
    )
    packed.write_bytes(gzip.compress(combined.read_bytes(), 1))
    with objects.open("w") as stream:
        for n in range(LINES):
            record = {
                "ts": T0.timestamp() + n / 100, "method": "GET", "uri": f"/users/{n % 5000}?q=1", "status": 200,
                "request_time": 0.012, "bytes_sent": 512, "user_agent": AGENT[:80],
            }  # fmt: skip
            stream.write(json.dumps(record) + "\n")
    peer = rate(lambda: with_pandas(combined))
    ours = {path.stem: rate(lambda path=path: read(path)) for path in (combined, packed, objects)}  # type: ignore[misc]
    fitted = rate(lambda: draft(combined))
    print(f"\npandas {peer:,.0f} lines/s; fit {fitted:,.0f}; " + ", ".join(
        f"{name} {speed:,.0f}: {speed / peer:.1f} times" for name, speed in ours.items()
    ))  # fmt: skip
    assert ours["combined"] > peer / 4
