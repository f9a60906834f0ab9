"""What OpenTelemetry's standard environment variables ask for (OpenTelemetry, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter").

Endpoint, headers, timeout, compression, certificates, ``OTEL_BSP_*`` and ``OTEL_RESOURCE_ATTRIBUTES`` are the SDK's own affair; here is what it does not decide for us: whether there is
anything to export, by which protocol, and which traces are kept.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...core.errors import UsageError
from ...core.trace.probability import NEVER, keeps, threshold_of

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
LOGS_ENDPOINT = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
_PROTOCOL = "http/protobuf"
_BASED = "parentbased_"


@dataclass(frozen=True, slots=True)
class Sampler:
    """Which traces are kept: those whose parent's is, if it is *parent_based*, and of those without a parent what reaches *threshold* (``core.trace.probability``)."""

    parent_based: bool = True
    threshold: int = 0

    def keeps(self, low: int) -> bool:
        """Whether a trace that begins here is kept, by the lower half of its id."""
        return keeps(self.threshold, low)

    @property
    def off(self) -> bool:
        """Whether no trace that begins here is ever kept."""
        return self.threshold == NEVER


@dataclass(frozen=True, slots=True)
class Environment:
    """Whether spans and logs are *exported*, and by which sampler."""

    traces: bool = False
    logs: bool = False
    sampler: Sampler = Sampler()

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Environment":
        """What *environment* asks for. Raises UsageError for what is not understood, or not spoken here."""

        def said(name: str) -> str:
            return environment.get(name, "").strip()

        sampler = _sampler(said("OTEL_TRACES_SAMPLER"), said("OTEL_TRACES_SAMPLER_ARG"))
        if said("OTEL_SDK_DISABLED").lower() == "true":
            return cls(sampler=sampler)
        traces = bool(said(ENDPOINT) or said(TRACES_ENDPOINT)) and _exporter("OTEL_TRACES_EXPORTER", said)
        logs = bool(said(ENDPOINT) or said(LOGS_ENDPOINT)) and _exporter("OTEL_LOGS_EXPORTER", said)
        for name in _PROTOCOLS:
            if (traces or logs) and said(name) not in ("", _PROTOCOL):
                raise UsageError(
                    f"{name}: expected {_PROTOCOL}, which collectors take at port 4318, got {said(name)!r}"
                )
        return cls(traces, logs, sampler)


def _exporter(name: str, said: Callable[[str], str]) -> bool:
    """Whether the exporter *name* asks for is OTLP's: it is unless told otherwise."""
    wanted = {word.strip() for word in said(name).split(",")} - {""}
    if wanted - {"otlp", "none"}:
        raise UsageError(f"{name}: expected otlp or none, got {said(name)!r}")
    return "none" not in wanted


def _sampler(name: str, argument: str) -> Sampler:
    based, kind = name.startswith(_BASED), name.removeprefix(_BASED)
    match kind:
        case "":
            return Sampler()
        case "always_on":
            return Sampler(based, 0)
        case "always_off":
            return Sampler(based, NEVER)
        case "traceidratio":
            return Sampler(based, _threshold(argument))
    raise UsageError(
        f"OTEL_TRACES_SAMPLER: expected always_on, always_off or traceidratio, perhaps with {_BASED} before it, got {name!r}"
    )


def _threshold(text: str) -> int:
    try:
        share = float(text or "1")
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"OTEL_TRACES_SAMPLER_ARG: expected a share from 0 to 1, got {text!r}")
    return threshold_of(share) if share > 0 else NEVER
