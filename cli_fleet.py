"""``windtunnel fleet``: what an operator does to a fleet that is there, by its registry. Exit codes: 0 done, 2 bad usage, 3 there was nothing to do or it did not end in time, 4 the registry failed."""

import json
import os
import time
from fractions import Fraction
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from .backends.connection import redis_client
from .backends.deploy.deploy_books import ask
from .backends.deploy.registry_url import registry_url
from .backends.fleet_operations import ROLES, FleetOperations, FleetStatus, ServerStatus, known_address
from .backends.live.clock import LiveClock
from .backends.registry import RedisRegistry
from .backends.registry_text import FINEST
from .cli_shared import PASSED, VIOLATED
from .core.errors import UsageError
from .core.model import SECOND
from .core.rollout.books import ABORT, PROMOTE
from .core.rollout.spec import CANARY
from .core.rollout.spec import ROLES as BRANCH_ROLES
from .terminal import out

RedisUrl = Annotated[
    str,
    typer.Option(
        "--redis-url",
        envvar="WINDTUNNEL_REDIS_URL",
        help="the registry; a password is taken from WINDTUNNEL_REDIS_PASSWORD if the URL has none",
    ),
]
KeyPrefix = Annotated[
    str, typer.Option(help="put before every key, as the scenario's fleet.registry.key_prefix")
]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="http://HOST[:PORT], as status lists it")]
_REDIS = "redis://127.0.0.1:6379/0"


def register(app: typer.Typer) -> None:
    """Add the commands to *app*, under ``fleet``."""
    group = typer.Typer(
        help="Look at a fleet that is there, and operate it by its registry.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog="Example: windtunnel fleet status --redis-url redis://10.0.0.5:6379/0")(status)
    group.command(epilog="Example: windtunnel fleet drain http://10.0.0.7:8000")(drain)
    group.command(epilog="Example: windtunnel fleet restore http://10.0.0.7:8000 --role serving")(restore)
    group.command(epilog="Example: windtunnel fleet clear http://10.0.0.7:8000")(clear)
    canary = typer.Typer(
        help="How many requests the canaries get, and what becomes of them.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    canary.command("on", epilog="Example: windtunnel fleet canary on --share 10%")(canary_on)
    canary.command("off", epilog="Example: windtunnel fleet canary off")(canary_off)
    canary.command(epilog="Example: windtunnel fleet canary promote")(promote)
    canary.command(epilog="Example: windtunnel fleet canary rollback")(rollback)
    group.add_typer(canary, name="canary")
    app.add_typer(group, name="fleet")


def client_of(redis_url: str) -> Any:
    """A client of the registry at *redis_url*, with the password of the environment. Raises UsageError."""
    try:
        return redis_client(registry_url(redis_url, os.environ))
    except ValueError as error:
        raise UsageError(f"--redis-url: {error}") from None


def _fleet(redis_url: str, key_prefix: str) -> FleetOperations:
    return FleetOperations(RedisRegistry(client_of(redis_url), key_prefix))


def _known(address: str) -> str:
    try:
        return known_address(address)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _ended(done: bool, text: str) -> None:
    out.print(text, markup=False)
    raise typer.Exit(PASSED if done else VIOLATED)


def status(
    redis_url: RedisUrl = _REDIS,
    key_prefix: KeyPrefix = "",
    json_: Annotated[bool, typer.Option("--json", help="print it as JSON")] = False,
) -> None:
    """Every server with its role, its version, and what it said last of itself; the canaries' share. Exit code 3 if no server serves."""
    found = _fleet(redis_url, key_prefix).status()
    now = LiveClock.begin().now()
    rows = [_row(server, now) for server in found.servers]
    if json_:
        share = None if found.share is None else f"{found.share[0]}/{found.share[1]}"
        print(json.dumps({"servers": rows, "canary_share": share}, indent=2))
    else:
        _show(found, rows)
    raise typer.Exit(PASSED if any(server.role == "serving" for server in found.servers) else VIOLATED)


def _row(server: ServerStatus, now: int) -> dict[str, object]:
    row: dict[str, object] = {"address": server.address, "role": server.role}
    sample = server.sample
    if sample is not None:
        row |= {"version": sample.version, "requests": sample.requests, "in_flight": sample.in_flight}
        row |= {"cpu": round(sample.cpu, 3), "memory": round(sample.memory, 3)}
        row["age"] = None if sample.time is None else round((now - sample.time) / SECOND, 1)
    return row


def _show(found: FleetStatus, rows: list[dict[str, object]]) -> None:
    columns = ("address", "role", "version", "requests", "in_flight", "cpu", "memory", "age")
    table = Table(box=None, padding=(0, 2, 0, 0))
    cells = [["-" if row.get(name) in (None, "") else str(row[name]) for name in columns] for row in rows]
    for place, name in enumerate(columns):
        # In the log of a build, too, addresses and commits are whole.
        table.add_column(name, min_width=max((len(line[place]) for line in cells), default=0))
    for line in cells:
        table.add_row(*map(escape, line))
    out.print(table)
    share = found.share
    said = "as the scenario says" if share is None else f"{100 * share[0] / share[1]:g}% of the requests"
    out.print(f"canaries get {said}", markup=False)


def drain(
    address: Address,
    redis_url: RedisUrl = _REDIS,
    key_prefix: KeyPrefix = "",
    timeout: Annotated[float, typer.Option(help="seconds to wait for the requests in flight")] = 30.0,
) -> None:
    """Take a server out of rotation and wait until it has ended its requests; it stays out, and is neither terminated nor registered again, until restore, clear or a deploy."""
    fleet, address = _fleet(redis_url, key_prefix), _known(address)
    if not fleet.leave(address):
        _ended(True, f"{address}: is out of rotation already")
    begun = time.monotonic()
    ended = fleet.drained(address, timeout)
    took = time.monotonic() - begun
    _ended(
        ended,
        f"{address}: drained in {took:.1f} s"
        if ended
        else f"{address}: out of rotation, but not idle within {timeout:g} s",
    )


def restore(
    address: Address,
    redis_url: RedisUrl = _REDIS,
    key_prefix: KeyPrefix = "",
    role: Annotated[str, typer.Option(help="serving, canary or standby; omitted: the one it had")] = "",
) -> None:
    """Put a server back in rotation."""
    fleet, address = _fleet(redis_url, key_prefix), _known(address)
    role = role or fleet.role_of(address)
    if role not in ROLES:
        raise UsageError(f"{address}: expected --role {', '.join(ROLES)}, as nobody knows which it had")
    changed = fleet.restore(address, role)
    _ended(True, f"{address}: {'in rotation' if changed else 'is in rotation already'} ({role})")


def clear(address: Address, redis_url: RedisUrl = _REDIS, key_prefix: KeyPrefix = "") -> None:
    """Delete what the registry holds of a server: its places in the lists and its figures. One that lives registers again."""
    fleet, address = _fleet(redis_url, key_prefix), _known(address)
    changed = fleet.clear(address)
    _ended(changed, f"{address}: {'cleared' if changed else 'nothing is known of it'}")


def canary_on(
    redis_url: RedisUrl = _REDIS,
    key_prefix: KeyPrefix = "",
    share: Annotated[str, typer.Option(help="of the requests, such as 10% or 1/4, the classic one")] = "1/4",
) -> None:
    """The canaries get a share of the requests."""
    wanted = share_of("--share", share)
    _fleet(redis_url, key_prefix).canary_on(*wanted)
    _ended(True, f"canaries get {100 * wanted[0] / wanted[1]:g}% of the requests")


def share_of(option: str, text: str) -> tuple[int, int]:
    """A share such as 10% or 1/4, as numerator and denominator. Raises UsageError."""
    try:
        found = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{option} {text}: expected a share such as 10% or 1/4") from None
    if not 0 < found <= 1 or found.denominator > FINEST:
        raise UsageError(f"{option} {text}: expected more than 0 and at most 100%, in parts of a million")
    return found.numerator, found.denominator


def canary_off(redis_url: RedisUrl = _REDIS, key_prefix: KeyPrefix = "") -> None:
    """The canaries get no requests any more, and stay where they are."""
    _fleet(redis_url, key_prefix).canary_off()
    _ended(True, "canaries get no requests")


def promote(redis_url: RedisUrl = _REDIS, key_prefix: KeyPrefix = "") -> None:
    """The canary's deploy that is under way goes on to all servers now. Without one the canary servers become serving servers, with the version that they run."""
    if ask(client_of(redis_url), key_prefix, BRANCH_ROLES[CANARY], PROMOTE):
        _ended(True, "asked the deploy under way to promote")
    moved = _fleet(redis_url, key_prefix).promote()
    _ended(bool(moved), f"serving now: {' '.join(moved)}" if moved else "there is no canary")


def rollback(redis_url: RedisUrl = _REDIS, key_prefix: KeyPrefix = "") -> None:
    """The canary's deploy that is under way is taken back. Without one the canaries get no requests any more, at once, and leave rotation until restore or the next deploy."""
    if ask(client_of(redis_url), key_prefix, BRANCH_ROLES[CANARY], ABORT):
        _ended(True, "asked the deploy under way to abort")
    moved = _fleet(redis_url, key_prefix).roll_back()
    _ended(bool(moved), f"out of rotation: {' '.join(moved)}" if moved else "there is no canary")
