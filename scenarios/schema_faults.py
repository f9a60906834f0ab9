"""The faults' part of the scenario schema. What each type takes stands in core.faults."""

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..core.faults import CONDITIONS, FAULTS, SERVERS, Attribute, FaultType
from .schema_base import FieldError, Model, Name, Positive
from .units import Duration, Share, parse_duration, parse_offset, parse_rate, parse_share, parse_size, show

Type = Literal[
    "kill", "pause", "slow", "memory_leak", "error", "latency", "loss", "partition",
    "bandwidth", "slicer", "timeout", "reset", "slow_close", "limit_data", "registry_down",
    "registry_slow", "registry_flush", "boot_failure", "slow_boot", "capacity_error", "api_throttling",
    "autoscaler_crash", "monitor_silent", "monitor_stuck", "proxy_restart", "dependency_down",
    "dependency_slow", "cache_flush",
    "second_autoscaler", "autoscaler_pause", "crash_loop", "zombie", "spot_interruption", "cpu_hog",
    "memory_pressure", "disk_full", "descriptor_limit", "clock_skew", "clock_jump", "registry_restart",
    "stale_registry", "stuck_launch", "stuck_termination", "stale_listing",
]  # fmt: skip
Role = Literal["app", "canary", "standby", "proxy", "autoscaler", "registry", "cloud", "dependency"]
assert set(Type.__args__) == set(FAULTS)  # type: ignore[attr-defined]


class Target(Model):
    """Whom a fault hits."""

    role: Role | None = Field(None, description="role; omitted: the first that the type can hit")
    count: Positive | Literal["all"] | None = Field(
        None,
        description="servers: so many, drawn at random, or `all`, those that come later too; omitted: 1",
    )
    address: Name | None = Field(
        None, description="this server, such as http://10.0.0.1 or 10.0.0.1:8080, instead of role and count"
    )
    name: Name | None = Field(None, description="role dependency: which one; omitted: the first")

    @field_validator("address")
    @classmethod
    def _of_a_server(cls, value: str | None) -> str | None:
        return None if value is None else parse_address(value)


class Fault(Model):
    """A fault: once (`at`), at random again and again (`every`), while something holds (`while`), or after another one (`after`).

    docs/faults.md has a section for each type.
    """

    name: Name = Field(description="name, unique")
    type: Type = Field(description="what happens: see docs/faults.md")
    at: Duration | None = Field(None, description="when; with `every` or `while`: not before")
    every: Duration | None = Field(
        None, gt=0, description="at random, from the seed, with this mean time between two beginnings"
    )
    while_: str | None = Field(
        None,
        alias="while",
        description="again and again, whenever this holds, and over when it holds no more, looked at each second: at_maximum, at_minimum, booting, draining, deploying, proxy_down, or `fault NAME` (that one is in force)",
    )
    after: Name | None = Field(None, description="each time the fault of this name is over")
    delay: Duration | None = Field(None, description="with `after`: so much later")
    for_: Duration | None = Field(
        None,
        alias="for",
        gt=0,
        description="how long, with `while` at most; omitted: to the end; not with types that strike at once",
    )
    target: Target = Field(default_factory=Target, description="whom")
    stream: Literal["upstream", "downstream"] | None = Field(
        None,
        description="links: only messages towards the server (`upstream`) or towards the client; omitted: both",
    )
    toxicity: Share | None = Field(
        None, description="share of what is hit, where the type has one; omitted: 100%"
    )
    attributes: dict[str, Any] = Field({}, description="settings of the type")

    @field_validator("while_")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            condition_of(value)
        return value

    @field_validator("attributes")
    @classmethod
    def _of_the_type(cls, value: dict[str, Any], info: Any) -> dict[str, Any]:
        type_ = info.data.get("type")
        # What a type needs and an omitted or empty mapping lacks is told when the rest is known to fit.
        if type_ is not None and value:
            parse_attributes(type_, value)
        return value

    @model_validator(mode="after")
    def _fits_the_type(self) -> Self:
        fault = FAULTS[self.type]
        self._check_when()
        if self.every is not None and (self.for_ or 0) >= self.every:
            raise FieldError("expected every above for: one is over before the next begins", at=("every",))
        if self.every is not None and self.for_ is None and fault.lasts:
            message = "expected for beside every: what never ends cannot begin again"
            raise FieldError(message, at=("every",), without=(("for",),))
        if self.for_ is not None and not fault.lasts:
            raise FieldError(f"expected no for: {self.type} strikes at once", at=("for",))
        if self.toxicity is not None and not fault.toxicity:
            raise FieldError(f"expected no toxicity with type {self.type}", at=("toxicity",))
        if self.stream is not None and not fault.stream:
            raise FieldError(f"expected no stream with type {self.type}", at=("stream",))
        if self.stream is not None and self.type == "partition" and self._from_registry():
            raise FieldError("expected no stream with a partition from the registry", at=("stream",))
        _check_target(self.type, fault, self.target)
        if not self.attributes:
            try:
                parse_attributes(self.type, {})
            except ValueError as error:
                raise FieldError(str(error), at=("type",), without=(("attributes",),)) from None
        return self

    def _check_when(self) -> None:
        given = [
            name
            for name, value in (("every", self.every), ("while", self.while_), ("after", self.after))
            if value is not None
        ]
        if self.at is None and not given:
            fields = (("at",), ("every",), ("while",), ("after",))
            raise FieldError("expected at, every, while or after, got none", without=fields)
        if len(given) > 1:
            raise FieldError(
                f"expected one of every, while and after, got {' and '.join(given)}", at=(given[1],)
            )
        if self.after is not None and self.at is not None:
            raise FieldError("expected no at beside after: it begins when the other is over", at=("at",))
        if self.delay and self.after is None:
            raise FieldError("expected after beside delay", at=("delay",), without=(("after",),))

    @property
    def condition(self) -> tuple[str, str]:
        """What it waits for (core.faults.CONDITIONS) and the fault that this is about; both empty if nothing."""
        return ("", "") if self.while_ is None else condition_of(self.while_)

    @property
    def repeats(self) -> bool:
        """Whether it has occurrences with numbers."""
        return self.every is not None or self.while_ is not None

    def _from_registry(self) -> bool:
        return "registry" in (self.attributes.get("from"), {"autoscaler": "registry"}.get(self.role))

    @property
    def role(self) -> str:
        """Whom it hits."""
        return self.target.role or FAULTS[self.type].roles[0]


def condition_of(text: str) -> tuple[str, str]:
    """The condition, and the fault that it is about, if any. Raises ValueError."""
    word, _, name = text.partition(" ")
    if word == "fault" and name.strip():
        return word, name.strip()
    if text not in CONDITIONS or text == "fault":
        known = ", ".join(one for one in CONDITIONS if one != "fault")
        raise ValueError(f"expected one of {known}, or `fault NAME`, got {show(text)}")
    return text, ""


def _check_target(name: str, fault: FaultType, target: Target) -> None:
    role = target.role or fault.roles[0]
    if role not in fault.roles:
        raise FieldError(
            f"expected a target role among {', '.join(fault.roles)} for type {name}, got {role!r}",
            at=("target", "role"),
        )
    if target.count is not None and role not in SERVERS and target.count != 1:
        raise FieldError(f"expected no target count: there is one {role}", at=("target", "count"))
    if target.address is not None and role not in SERVERS:
        message = f"expected no target address for role {role}: it is no server"
        raise FieldError(message, at=("target", "address"))
    if target.address is not None and target.count is not None:
        raise FieldError("expected either a target address or a count, got both", at=("target", "count"))
    if target.name is not None and role != "dependency":
        message = f"expected a target name only for a dependency, got one for role {role}"
        raise FieldError(message, at=("target", "name"))


def parse_address(value: str) -> str:
    """``IP[:PORT]`` or ``http://IP[:PORT]``, IPv6 in brackets, as servers are registered: ``http://10.0.0.1``, port 80 omitted."""
    wrong = ValueError(
        f"expected the address of a server such as http://10.0.0.1 or 10.0.0.1:8080, got {show(value)}"
    )
    found = _ADDRESS.fullmatch(value)
    if found is None:
        raise wrong
    host, port = found["v6"] or found["v4"], int(found["port"] or 80)
    try:
        address = ip_address(host)
    except ValueError:
        raise wrong from None
    if not 1 <= port <= 65535:
        raise wrong
    spelled = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{spelled}" + (f":{port}" if port != 80 else "")


_ADDRESS = re.compile(
    r"(?:http://)?(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?/?"
)


def _rate(value: Any) -> float:
    rate = parse_rate(value)
    if rate <= 0:
        raise ValueError(f"expected a rate above 0, got {show(value)}")
    return rate


def _factor(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1_000_000:
        raise ValueError(f"expected a number above 0 and at most 1000000, got {show(value)}")
    return float(value)


def _count(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise ValueError(f"expected a whole number from 1 to 1000000, got {show(value)}")
    return float(value)


def _bytes(value: Any) -> float:
    size = parse_size(value)
    if size <= 0:
        raise ValueError(f"expected a size above 0, got {show(value)}")
    return float(size)


def _status(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not 500 <= value <= 599:
        raise ValueError(f"expected a status from 500 to 599, got {show(value)}")
    return float(value)


def _share(value: Any) -> float:
    share = parse_share(value)
    if not 0 < share < 1:
        raise ValueError(f"expected a percentage above 0% and below 100%, got {show(value)}")
    return share


def _offset(value: Any) -> float:
    by = parse_offset(value)
    if by == 0:
        raise ValueError("expected a duration other than 0, with or without a minus sign")
    return by


_PARSERS: dict[str, Callable[[Any], float]] = {
    "duration": parse_duration,
    "offset": _offset,
    "share": _share,
    "size": parse_size,
    "bytes": _bytes,
    "rate": _rate,
    "factor": _factor,
    "count": _count,
    "status": _status,
}


def _parse(attribute: Attribute, value: Any) -> float | str:
    if attribute.unit == "word":
        if value not in attribute.words:
            raise ValueError(f"expected one of {', '.join(attribute.words)}, got {show(value)}")
        return str(value)
    return float(_PARSERS[attribute.unit](value))


def parse_attributes(name: str, given: dict[str, Any]) -> dict[str, float | str]:
    """The settings of type *name* in ns, bytes, per second, shares. Raises ValueError."""
    known = dict(FAULTS[name].attributes)
    for unknown in sorted(set(given) - set(known), key=str):
        names = ", ".join(known)
        if not known:
            raise FieldError(f"expected no attributes for type {name}, got {unknown}", at=(unknown,))
        raise FieldError(f"expected no attribute {unknown!r} for type {name}: it has {names}", at=(unknown,))
    values: dict[str, float | str] = {}
    for key, attribute in known.items():
        if key in given:
            try:
                values[key] = _parse(attribute, given[key])
            except ValueError as error:
                raise FieldError(str(error), at=(key,)) from None
        elif attribute.default is None:
            raise FieldError(f"expected the attribute {key} for type {name}, got none", without=((key,),))
        else:
            values[key] = attribute.default
    if values.get("jitter", 0.0) > values.get("latency", 0.0):  # type: ignore[operator]
        raise FieldError("expected jitter not above latency", at=("jitter",))
    return values
