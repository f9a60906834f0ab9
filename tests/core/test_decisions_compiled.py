"""Every data-plane decision compiles in nopython mode and answers exactly as its plain self."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import windtunnel.core
from windtunnel.core import admission, demand, host, load_index, rates, table, tallies, toxics
from windtunnel.core.decision import decisions, enable_compilation
from windtunnel.core.retries import REPLAY_LIMIT

for _module in pkgutil.iter_modules(windtunnel.core.__path__):
    importlib.import_module(f"windtunnel.core.{_module.name}")

NAMES = sorted(decisions())
TRIALS = 300


def servers(random: np.random.Generator, count: int) -> table.Table:
    """A plausible table: ids ascending, everything else anyhow."""
    made = table.empty_table(count)
    made["id"] = np.cumsum(random.integers(1, 3, count))
    for field, most in (
        ("role", 2), ("listed", 2), ("healthy", 2), ("available", 2), ("in_flight", 5), ("weight", 4),
        ("passed", 3), ("failed", 3), ("errors", 6), ("ejections", 3), ("breaker", 2),
    ):  # fmt: skip
        made[field] = random.integers(0, most, count)
    made["current_weight"] = random.integers(-5, 6, count)
    for field in ("since", "ewma_at", "ejected_end"):
        made[field] = random.integers(0, 10**10, count)
    made["ejected_until"] = random.integers(0, 2, count) * random.integers(0, 2 * 10**10, count)
    made["ewma"] = random.random(count) * 1e8
    return made


def connections(random: np.random.Generator) -> admission.Connections:
    """An idle list after some pushes and removals."""
    made = admission.empty_connections(12)
    for row in random.permutation(np.arange(1, 12))[:8].tolist():
        admission.idle_push(made, row)
    for row in random.integers(1, 12, 3).tolist():
        admission.idle_remove(made, row)
    return made


def staircase(random: np.random.Generator) -> rates.Profile:
    """A rate profile of a few segments, level and sloping ones, some at rate 0."""
    ends = np.cumsum(random.integers(1, 9, 5)) * 10**9
    levels = random.integers(0, 4, (4, 2)) * 10.0
    sections = zip(ends[:-1].tolist(), ends[1:].tolist(), *levels.T.tolist(), strict=True)
    return rates.profile_of(list(sections))


def bad_links(random: np.random.Generator, links: int) -> toxics.Toxics:
    """Links with anything wrong with them, or nothing."""
    made = toxics.healthy(links)
    rows = 2 * links
    made["active"] = random.integers(0, 4, rows) > 0
    made["latency"] = random.integers(0, 2, rows) * 10**8
    made["jitter"] = random.integers(0, 10**7, rows)
    made["until"] = random.choice([0, 0, 4 * 10**10, toxics.FOREVER], rows)
    for name in toxics.TOXIC.names or ():
        if name.endswith("_stream"):
            made[name] = random.integers(0, 2**32, rows)
        if name.endswith(("_share", "loss")):
            made[name] = random.choice([0.0, 0.5, 1.0], rows)
    made["rate"] = random.choice([0.0, 1e3, 1e9], rows)
    made["slice_size"] = random.integers(1, 5000, rows)
    for name in ("free", "slice_delay", "hold_after", "hold_since", "reset_after", "reset_since", "linger"):
        made[name] = random.integers(0, 3 * 10**10, rows)
    made["limit"] = random.integers(1, 10**4, rows)
    made["limit_since"] = random.integers(0, 3, rows)
    return made


def argument(name: str, random: np.random.Generator, count: int) -> Any:
    """A value for a parameter, by its name: one word means one thing throughout core."""
    integers = {
        "bits": 2**63, "stream": 2**32, "affinity": 2**32, "request": 2**40, "index": 2**40, "attempt": 2**12,
        "purpose": 2**12, "n": 1000, "algorithm": 7, "role": 2, "last": count * 2 + 2, "last_other": count * 2 + 2, "exclude": count * 2 + 2,
        "kind": 5, "tries": 9, "slot": max(count, 1), "server": count * 2 + 2, "row": 12,
        "sequence": 100, "numerator": 5, "outcome": 15, "now": 3 * 10**10, "latency": 10**9,
        "jitter": 10**6, "slow_start": 2 * 10**10, "opened": 2, "consecutive": 6, "max_percent": 101,
        "major": 2**40, "source": 2**11, "entity": 2**32, "filled_until": 3 * 10**10, "age": 10**10, "base_ejection": 10**10, "overload": 2, "exhaustion": 3,
        "idle": 3, "healthy_threshold": 4, "unhealthy_threshold": 4,
    }  # fmt: skip
    if name in ("servers",):
        return servers(random, count)
    if name == "counters":
        return tallies.no_counters()
    if name == "denominator":
        return int(random.integers(5, 9))
    if name == "connections":
        return connections(random)
    if name == "indices":
        return random.integers(0, 2**36, count)
    if name == "toxics":
        return bad_links(random, 4)
    if name == "profile":
        return staircase(random)
    if name == "positions":
        return np.sort(random.random(count) * rates.expected_requests(staircase(random)) * 0.5)
    if name == "out":
        return np.zeros(count, np.int64)
    if name == "mix":
        return demand.mix_of([(endpoint, int(random.integers(1, 9))) for endpoint in range(3)])
    if name == "count":
        return count
    if name in ("cap", "queue", "backlog", "limit", "total", "buffer"):
        return int(random.integers(-1, 8))
    if name in ("share", "factor"):
        return float(random.choice([0.5, 1.0, 3.0]))
    if name in ("a", "b", "p", "budget"):
        return float(random.uniform(0.01, 0.99)) if name == "p" else float(random.uniform(0.5, 9.0))
    if name in ("passed", "failed", "descriptor_free", "memory_free"):
        return bool(random.integers(0, 2))
    if name == "slow_start":
        return int(random.integers(0, 2)) * 10**10
    return int(random.integers(0, integers.get(name, 50)))


def special(qualified: str, name: str, random: np.random.Generator, count: int) -> Any:
    """Parameters whose meaning depends on the decision."""
    if name == "jitter" and qualified.endswith("backoff"):
        return float(random.random())
    if name in ("slow_start",) and qualified.endswith("slow_start_share"):
        return int(random.integers(1, 10**10))
    if name == "base_ejection":
        return int(random.integers(1, 10**10))
    if name == "latency" and qualified.endswith("link_delay"):
        return int(random.integers(10**6, 10**8))
    if qualified.split(".")[-1] in ("direction", "first_wait", "disturbance"):
        if name in ("kind", "purpose"):
            return int(random.choice([9, 10, 11, 12, 13, 14, 15, 16, 33, 34]))
        if name == "place":
            return int(random.integers(0, 6))
    if name == "line":
        return int(random.integers(0, 9))
    if name in ("size", "carried"):
        return int(random.integers(0, 10**4))
    if name == "since":
        return int(random.integers(0, 3))
    if name == "opened" and qualified.endswith("closing_time"):
        return int(random.integers(0, 10**10))
    if name == "place" and ".closing." in qualified:
        return int(random.integers(0, 6))
    if name == "server" and qualified.endswith("check_time"):
        return int(random.integers(0, 6))
    if name == "body":
        return int(random.integers(0, 2 * REPLAY_LIMIT))
    if name == "retry":
        return int(random.integers(1, 20))
    if name == "avoid":
        return int(random.integers(-1, count))
    if name == "first":
        return int(random.integers(0, count))
    return argument(name, random, count)


def machine(random: np.random.Generator, count: int) -> tuple[host.Host, host.Bursts]:
    """A host with so many bursts under way, some of them done."""
    made, bursts = host.idle_host(int(random.integers(1, 5))), host.empty_bursts(16)
    for ref in range(count):
        host.join(made, bursts, int(random.integers(1, 10**9)), int(random.integers(0, 4)), 0, ref)
    host.bring_up(made, int(random.integers(0, 10**9)))
    made["due"], made["alarm"] = random.integers(-1, 10**9), random.integers(0, 3)
    return made, bursts


def on_a_host(arguments: dict[str, Any], random: np.random.Generator, count: int) -> None:
    """The arguments of a decision about a host, which fit it."""
    made, bursts = machine(random, count)
    few = {"major": 4, "alarm": 3, "place": count, "source": count, "target": count, "finish": 2 * 10**9}
    arguments.update({name: int(random.integers(0, most)) for name, most in few.items() if name in arguments})
    if "now" in arguments:
        arguments["now"] = int(made["since"][0] + random.integers(0, 10**9))
    arguments.update({name: rows for name, rows in (("host", made), ("bursts", bursts)) if name in arguments})


def fitting(name: str, arguments: dict[str, Any], random: np.random.Generator) -> None:
    """Make the load index fit the table, and the arguments of a search in it fit the index."""
    if "load" not in arguments:
        return
    listed = arguments.get("servers", servers(random, 6))
    kept = bool(random.integers(0, 4)) or name.endswith(("first_least", "first_from"))
    load = arguments["load"] = load_index.build_index(listed) if kept else load_index.no_index()
    if "slot" in arguments:
        listed["in_flight"][arguments["slot"]] = random.integers(0, 5)
    if name.endswith(("first_least", "first_from")):
        arguments["start"] = int(random.integers(0, 9))
    if name.endswith("first_from"):
        base = 1 + int(random.integers(0, 2)) * 2 * int(load[0])
        arguments.update(base=base, leaves=int(load[0]), value=int(load[base + 1]))


@pytest.fixture(scope="module", autouse=True)
def _compilable() -> None:
    enable_compilation()


@pytest.mark.parametrize("name", NAMES)
def test_compiled_equals_plain(name: str) -> None:
    plain: Callable[..., Any] = decisions()[name]
    compiled = numba.njit(plain)
    parameters = list(inspect.signature(plain).parameters)
    random = np.random.default_rng(NAMES.index(name))
    seen = set()
    for _ in range(TRIALS):
        count = int(random.integers(1, 9))
        named = {parameter: special(name, parameter, random, count) for parameter in parameters}
        fitting(name, named, random)
        if name.startswith("windtunnel.core.host."):
            on_a_host(named, random, count)
        arguments = list(named.values())
        copies = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]
        expected, found = plain(*arguments), compiled(*copies)
        assert found == expected, f"{name}{tuple(arguments)}"
        assert isinstance(found, type(expected)) or expected is None or float(found) == float(expected)
        for left, right in zip(arguments, copies, strict=True):
            if isinstance(left, np.ndarray):
                assert left.tobytes() == right.tobytes(), f"{name} changed its state differently"
        seen.add(repr(expected))
    assert compiled.nopython_signatures
    assert len(seen) > 1 or expected is None, f"{name} always answered {seen}: its inputs are too tame"


def test_every_decision_in_the_sources_is_covered() -> None:
    declared = set()
    for path in sorted(Path(windtunnel.core.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            marked = isinstance(node, ast.FunctionDef) and any(
                isinstance(mark, ast.Name) and mark.id == "decision" for mark in node.decorator_list
            )
            if marked and isinstance(node, ast.FunctionDef):
                declared.add(f"windtunnel.core.{path.stem}.{node.name}")
    assert declared == set(NAMES)
