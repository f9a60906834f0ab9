"""Alerts, and what a scenario expects of them, in the scenario schema."""

from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ..core import alerts as core
from .schema_base import Count, FieldError, Model, Name, Number, Word
from .schema_metrics import Metric, parse_level
from .units import Duration, parse_duration, parse_rate, show

BOUNDS = "expected either above or below, got {}"


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, got {show(value)}")
    return float(value)


class Bounds(Model):
    """Strictly above or below a number."""

    above: Count | None = Field(None, description="strictly above so many")
    below: Count | None = Field(None, description="strictly below so many")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError(BOUNDS.format("neither" if self.above is None else "both"))
        return self

    def resolve(self, of: Literal["serving", "standby"]) -> core.ServerCount:
        """The engine's condition."""
        above = self.above is not None
        bound = self.above if self.above is not None else self.below
        return core.ServerCount(of, bound or 0, above)


class ProxyMark(Model):
    """A figure of the proxy's own sample beyond a bound."""

    metric: Literal["requests", "unserved", "in_flight", "waiting"] = Field(
        description="requests that arrived and those answered for want of a server (rates), requests under way and connections in the accept queue (whole numbers)"
    )
    above: str | int | None = Field(None, description="strictly above this rate or number")
    below: str | int | None = Field(None, description="strictly below this rate or number")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError(BOUNDS.format("neither" if self.above is None else "both"))
        self.resolve()
        return self

    def resolve(self) -> core.ProxyMetric:
        """The engine's condition."""
        bound = self.above if self.above is not None else self.below
        rate = self.metric in ("requests", "unserved")
        value = parse_rate(bound) if rate else parse_level("in_flight", bound)
        return core.ProxyMetric(self.metric, float(value), self.above is not None)


class BurnRateMark(Model):
    """How many times too fast the error budget of an objective is used up."""

    objective: Name = Field(description="an objective on `error_rate` or `availability`")
    above: Number = Field(ge=0, description="so many times as fast as the budget allows (a plain number)")
    window: Duration = Field(60_000_000_000, gt=0, description="over the last so long")


KINDS = ("metric", "custom", "standby", "serving", "fleet", "orphan", "proxy_sample", "burn_rate")


class When(Model):
    """A condition: exactly one of metric, custom, standby, serving, fleet, orphan, proxy_sample and burn_rate."""

    metric: Metric | None = Field(
        None, description="a metric of the servers, with `server` and `above` or `below`"
    )
    custom: Name | None = Field(
        None, description="likewise a metric of the user's own servers; its bound is a plain number"
    )
    server: Literal["any", "all", "mean"] | None = Field(
        None, description="any server on its own (`any`, if omitted), all of them, or their mean"
    )
    above: str | int | float | None = Field(
        None, description="strictly above this rate, percentage or number"
    )
    below: str | int | float | None = Field(None, description="strictly below it")
    standby: Bounds | None = Field(None, description="usable standby servers")
    serving: Bounds | None = Field(None, description="serving servers")
    fleet: Literal["at_maximum"] | None = Field(
        None, description="as many servers, booting ones counted, as there may be"
    )
    orphan: Literal["found"] | None = Field(
        None, description="a reconciliation found an instance of ours that nobody noted"
    )
    proxy_sample: ProxyMark | None = Field(None, description="the proxy's own sample")
    burn_rate: BurnRateMark | None = Field(None, description="an error budget that is used up too fast")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(KINDS)}, got {' and '.join(given) or 'none'}"
            )
        servers = given[0] in ("metric", "custom")
        for name in ("server", "above", "below"):
            if not servers and getattr(self, name) is not None:
                raise FieldError(
                    f"expected {name} only with metric or custom, got it with {given[0]}", (name,)
                )
        if servers and (self.above is None) == (self.below is None):
            raise ValueError(BOUNDS.format("neither" if self.above is None else "both"))
        if servers:
            name = "above" if self.above is not None else "below"
            try:
                self._servers()
            except ValueError as error:
                raise FieldError(str(error), (name,)) from None
        return self

    def _servers(self) -> core.ServerMetric:
        bound = self.above if self.above is not None else self.below
        value = _number(bound) if self.custom is not None else parse_level(str(self.metric), bound)
        return core.ServerMetric(
            self.custom or str(self.metric), float(value), self.above is not None, self.server or "any"
        )

    def resolve(self, budget: float) -> core.Condition:
        """The engine's condition; *budget*: the share of requests that the objective of `burn_rate` lets fail."""
        if self.burn_rate is not None:
            burn = self.burn_rate
            return core.BurnRate(burn.objective, budget, burn.above, burn.window)
        if self.proxy_sample is not None:
            return self.proxy_sample.resolve()
        if self.standby is not None:
            return self.standby.resolve("standby")
        if self.serving is not None:
            return self.serving.resolve("serving")
        if self.fleet is not None:
            return core.AtMaximum()
        return core.OrphanFound() if self.orphan is not None else self._servers()

    def words(self) -> str:
        """For people: ``requests of any server above 300/s``."""
        if self.metric is not None or self.custom is not None:
            whose = {"any": "any server", "all": "all servers", "mean": "the servers on average"}[
                self.server or "any"
            ]
            return f"{self.metric or self.custom} of {whose} {_bound(self)}"
        for name in ("standby", "serving"):
            bounds: Bounds | None = getattr(self, name)
            if bounds is not None:
                return f"{name} servers {_bound(bounds)}"
        if self.proxy_sample is not None:
            return f"{self.proxy_sample.metric} of the proxy {_bound(self.proxy_sample)}"
        if self.burn_rate is not None:
            return f"error budget of {self.burn_rate.objective} burns more than {self.burn_rate.above:g} times too fast"
        return "fleet at its maximum" if self.fleet is not None else "an orphan was found"


def _bound(part: "When | Bounds | ProxyMark") -> str:
    return f"above {part.above}" if part.above is not None else f"below {part.below}"


class EmailLogin(Model):
    """A login with a password that is kept elsewhere: exactly one of password_env and password_file."""

    user: Name = Field(description="user")
    password_env: Name | None = Field(
        None, description="environment variable that holds the password in flight"
    )
    password_file: Word | None = Field(
        None,
        description="file whose only line is the password; relative to the directory that windtunnel is started in",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.password_env is None) == (self.password_file is None):
            given = "neither" if self.password_env is None else "both"
            raise FieldError(
                f"expected either password_env or password_file, got {given}",
                without=(("password_env",), ("password_file",)),
            )
        return self


class EmailNotice(Model):
    """A mail."""

    to: Name = Field(description="address")
    host: Name = Field("127.0.0.1", description="mail server")
    port: int = Field(25, ge=1, le=65_535, description="its port")
    from_: Name = Field("windtunnel@localhost", alias="from", description="sender")
    security: Literal["none", "starttls", "tls"] = Field(
        "none",
        description="`tls` from the start (mostly port 465), `starttls` (587) or nothing in between, never a fallback to `none`",
    )
    login: EmailLogin | None = Field(
        None, description="with `security` only; omitted: the server takes the mail without"
    )
    ca_file: Word | None = Field(
        None,
        description="certificates to trust (PEM), relative to the directory that windtunnel is started in; omitted: the system's",
    )

    @model_validator(mode="after")
    def _secure(self) -> Self:
        for name in ("login", "ca_file"):
            if getattr(self, name) is not None and self.security == "none":
                raise FieldError(
                    f"expected security starttls or tls with {name}, got none", (name,), (("security",),)
                )
        return self

    def resolve(self) -> core.Email:
        """The engine's."""
        login = self.login
        return core.Email(
            self.to, self.host, self.port, self.from_, self.security,
            user=login.user if login else "",
            password_env=(login.password_env or "") if login else "",
            password_file=(login.password_file or "") if login else "",
            ca_file=self.ca_file or "",
        )  # fmt: skip


class CommandNotice(Model):
    """A program, given JSON as its input."""

    words: list[Word] = Field(
        min_length=1, max_length=1000, description="program and arguments; no shell reads them"
    )
    timeout: Duration = Field(10_000_000_000, gt=0, description="it is ended after this")


class Notice(Model):
    """Who is told, in flight only: exactly one of email, webhook and command."""

    email: EmailNotice | None = Field(None, description="a mail")
    webhook: str | None = Field(None, description="URL that JSON is posted to (http or https)")
    command: CommandNotice | None = Field(None, description="a program")

    @field_validator("webhook")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not value.isprintable() or " " in value:
            raise ValueError(f"expected a URL such as http://127.0.0.1:8080/alerts, got {show(value)}")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in ("email", "webhook", "command") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of email, webhook, command, got {' and '.join(given) or 'none'}"
            )
        return self

    def resolve(self) -> core.Receiver:
        """The engine's."""
        if self.email is not None:
            return self.email.resolve()
        if self.command is not None:
            return core.Command(tuple(self.command.words), self.command.timeout)
        return core.Webhook(str(self.webhook))


class Alert(Model):
    """An alert: when it fires, when it is over, who is told."""

    name: Name = Field(description="name, unique")
    when: When = Field(description="the condition")
    for_: Duration = Field(
        0, alias="for", description="fires when the condition has held for so long without a break"
    )
    clear_after: Duration = Field(
        0, description="over when the condition has not held for so long without a break"
    )
    notify: list[Notice] = Field([], max_length=10, description="who is told, in flight only")

    @model_validator(mode="after")
    def _lasting(self) -> Self:
        if self.when.orphan is not None and self.for_ > 0:
            raise FieldError("expected no `for` with orphan: it is found at a moment", ("for",))
        return self


class Expectation(Model):
    """What is expected of an alert; one that is not met makes the exit code 3."""

    alert: Name = Field(description="name of an alert")
    fires: bool = Field(True, description="whether it is to begin to fire")
    within: Duration | None = Field(None, description="within this time; omitted: by the end")
    of: Name = Field("0s", description="of this time since the start, or of the beginning of this fault")

    def moment(self) -> int | None:
        """The time that `of` names (ns), None if it is a fault's name."""
        try:
            return parse_duration(self.of)
        except ValueError:
            return None
