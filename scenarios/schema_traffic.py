"""The scenario file's schema: sources of traffic and how their clients behave."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from .schema_base import Distribution, Model, Name, Number, Positive, SizeDistribution
from .schema_stage import Stage
from .schema_wire import WireTraffic
from .units import DURATION_UNITS, Duration, Rate, Share, format_rate, show

DAY = DURATION_UNITS["d"]


class Connections(Model):
    """`per_request`, or a pool of kept connections."""

    pool: Positive | None = Field(
        None, description="kept connections shared by the source's clients; when all are busy requests wait"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _word(cls, value: Any, handler: ModelWrapValidatorHandler["Connections"]) -> "Connections":
        if value == "per_request":
            return handler({})
        if isinstance(value, (dict, Connections)) and value != {}:
            return handler(value)
        raise ValueError(f"expected per_request or {{pool: n}}, got {show(value)}")

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        return "per_request" if self.pool is None else handler(self)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        return {"anyOf": [{"const": "per_request"}, handler(core_schema)]}


PER_REQUEST = Connections.model_validate("per_request")


class ClientRetries(Model):
    """What a client does after a failure."""

    attempts: int = Field(0, ge=0, le=1000, description="retries after the first attempt")
    backoff: Duration = Field(0, description="wait before the first retry; doubles with each further one")
    jitter: Share = Field(0.0, description="spread of the wait around that, both ways")


class Client(Model):
    """How the clients of a source behave."""

    timeout: Duration | None = Field(None, gt=0, description="patience per attempt; omitted: endless")
    connections: Connections = Field(PER_REQUEST, description="`per_request`, or `{pool: n}`")
    retries: ClientRetries = Field(default_factory=ClientRetries, description="retries")


class Closed(Model):
    """A fixed number of clients, each of which waits for its answer, thinks, and sends again."""

    concurrency: Positive = Field(description="clients")
    think: Distribution | None = Field(
        None, description="time between an answer and the next request; omitted: none"
    )
    for_: Duration | None = Field(None, alias="for", gt=0, description="for so long; omitted: to the end")
    maximum: Positive | None = Field(None, description="requests in all; omitted: unlimited")


class Flood(Model):
    """The chaos monkey: requests at a rate, over connections whose answers are never read."""

    stages: list[Stage] = Field(min_length=1, description="arrival rate over time")
    connections: Positive = Field(description="connections held; requests go over them in turn")
    reads_response: bool = Field(False, description="true: the answers are read after all")
    headers: Literal["plain", "mixed"] = Field(
        "plain", description="`mixed`: header sets drawn at random (of consequence in flight only)"
    )


class Diurnal(Model):
    """A daily rhythm: the rate is a cosine around its mean, up to the end of the scenario."""

    mean: Rate = Field(description="mean arrival rate")
    peak: Rate = Field(description="greatest rate, at most twice the mean; the least is 2 x mean - peak")
    at: Duration = Field(description="when the rate is greatest, from the scenario's start")
    period: Duration = Field(DAY, ge=1_000_000, description="after which it repeats")

    @model_validator(mode="after")
    def _around_the_mean(self) -> Self:
        if not self.mean <= self.peak <= 2 * self.mean:
            raise ValueError(
                f"expected peak from mean to 2 x mean ({format_rate(self.mean)} to {format_rate(2 * self.mean)}), "
                f"got {format_rate(self.peak)}"
            )
        return self


class Bursts(Model):
    """Bursts at drawn moments: two rates in turn, up to the end of the scenario (with exponential times a two-state MMPP)."""

    rate: Rate = Field(description="arrival rate between bursts")
    to: Rate = Field(description="arrival rate in a burst")
    every: Distribution = Field(
        description="from the start, and from the end of each burst, to the next; at least 1ms"
    )
    for_: Distribution = Field(alias="for", description="length of a burst; at least 1ms")


KINDS = ("stages", "diurnal", "bursts", "closed", "flood", "rate_csv", "access_log", "loadtest", "wire")
"""What a source may be; exactly one of them is given."""

OPTIONS = {
    "order": ("loadtest",),
    "scale": ("rate_csv", "access_log"),
    "speed": ("access_log",),
    "headers": ("stages", "diurnal", "bursts", "rate_csv", "access_log"),
}
"""Settings that only some kinds of source have."""


class Traffic(Model):
    """A source of requests: exactly one of stages, diurnal, bursts, closed, flood, rate_csv, access_log, loadtest, wire."""

    name: Name = Field(description="name, unique")
    start: Duration = Field(0, description="when it begins")
    stages: list[Stage] | None = Field(None, min_length=1, description="open: arrival rate over time")
    diurnal: Diurnal | None = Field(None, description="open: a daily rhythm")
    bursts: Bursts | None = Field(None, description="open: bursts at drawn moments")
    closed: Closed | None = Field(None, description="closed: clients that wait for their answers")
    flood: Flood | None = Field(None, description="a chaos monkey")
    rate_csv: Name | None = Field(
        None, description="open: a file of `second,requests` lines, plain or .gz, relative to the scenario"
    )
    access_log: Name | None = Field(
        None,
        description="open: recorded requests; a file in Common or Combined log format or JSON lines, plain or gzipped",
    )
    loadtest: Name | None = Field(
        None, description="a JSON array in the npm `loadtest` package's option format"
    )
    wire: WireTraffic | None = Field(None, description="exact bytes on connections of their own")
    order: Literal["sequence", "parallel"] = Field(
        "sequence", description="loadtest: entries one after another, or all at once"
    )
    scale: Annotated[Number, Field(gt=0, le=1_000_000)] = Field(
        1.0, description="rate_csv, access_log: factor on the number of requests (a plain number)"
    )
    speed: Annotated[Number, Field(gt=0, le=1_000_000)] | None = Field(
        None, description="access_log: time passes so many times as fast (a plain number); omitted: 1"
    )
    arrivals: Literal["poisson", "constant"] = Field("poisson", description="open: Poisson, or evenly spaced")
    endpoints: dict[str, Positive] | None = Field(
        None, min_length=1, description="path: weight, instead of the endpoints' own weights"
    )
    client: Client = Field(default_factory=Client, description="client behaviour")
    headers: Literal["plain", "mixed"] | None = Field(
        None,
        description="open, but floods, which have their own: `mixed`: header sets drawn at random (of consequence in flight only); omitted: plain",
    )

    body: SizeDistribution | None = Field(
        None,
        description="size of the requests' bodies, drawn for each, which makes them POSTs: held in the app server's memory while the request is in flight there; omitted: none, but for `loadtest` entries with a `body` of their own",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(KINDS)}, got {' and '.join(given) or 'none'}"
            )
        for option, kinds in OPTIONS.items():
            changed = getattr(self, option) != type(self).model_fields[option].default
            if changed and given[0] not in kinds:
                beside = " or ".join(kinds)
                raise ValueError(f"expected {option} only beside {beside}, got it beside {given[0]}")
        for option in ("arrivals", "endpoints") if self.access_log else ():
            if getattr(self, option) != type(self).model_fields[option].default:
                raise ValueError(f"expected no {option} beside access_log: the log says when and what")
        if self.wire:
            self._bytes_alone()
        if self.flood and not self.flood.reads_response and self.client != Client():
            raise ValueError(
                "expected no client settings for a flood that reads no answers: it never gives up and never retries"
            )
        return self

    def _bytes_alone(self) -> None:
        for option in ("endpoints", "body"):
            if getattr(self, option) is not None:
                raise ValueError(f"expected no {option} beside wire: the bytes say it")
        if self.client.model_copy(update={"timeout": None}) != Client():
            raise ValueError(
                "expected no client setting beside wire but timeout: each connection is one of its own, and nothing is tried again"
            )
