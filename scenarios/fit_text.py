"""The draft of a scenario as commented YAML: every fit with its error, every guess marked as one."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath

from .fit_durations import ENOUGH, Samples
from .fit_metrics import Metrics
from .fit_paths import ENDPOINTS_LIMIT, LEAST_SHARE
from .fit_rates import STAGE_REQUESTS, Stages, dispersion, stages_of
from .log_lines import BadLines, Column
from .paths import DEFAULT_PATH
from .units import DURATION_UNITS, format_duration, format_rate, format_size

GUESSED_SERVICE = "{exponential: {mean: 20ms}}"
GUESSED_MEAN = 20e6
GUESSED_WORKERS = 4
GUESSED_LOAD = 0.5
WEIGHTS = 10_000
_WINDOWS = (1, 60)
_NOTABLE = 4
_NAME_LENGTH = 200


@dataclass
class Answers:
    """What an endpoint was asked and answered: requests, those with a size and their bytes, durations."""

    path: str
    durations: Samples
    count: int = 0
    sized: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What a log says; *seconds* holds the requests of each second."""

    name: str
    bad: BadLines
    seconds: Column
    answers: list[Answers]


def draft_text(facts: LogFacts, metrics_name: str, metrics: Metrics | None) -> str:
    """The scenario file."""
    stages = stages_of(facts.seconds)
    length = len(facts.seconds) * DURATION_UNITS["s"]
    service = _pooled(facts.answers)
    lines = [
        *_head(facts, metrics_name),
        f"scenario: {json.dumps(_name(facts.name))}",
        f"duration: {format_duration(length)}",
        *_fleet(stages, service, metrics_name, metrics),
        *_endpoints(facts, service),
        *_traffic(facts, stages),
    ]
    return "\n".join(lines) + "\n"


def _name(file: str) -> str:
    stem = PurePath(file).name.split(".")[0][:_NAME_LENGTH]
    return stem if stem.isprintable() and stem.strip() else "draft"


def _head(facts: LogFacts, metrics_name: str) -> Iterator[str]:
    total = sum(answers.count for answers in facts.answers)
    sources = f"{json.dumps(facts.name)}" + (f" and {json.dumps(metrics_name)}" if metrics_name else "")
    yield f"# Drafted by `windtunnel fit` from {sources}: {total:,} requests in {len(facts.seconds):,} s."
    yield "# GUESS marks what the files do not say: put in what you know."
    if facts.bad.total:
        yield f"# {facts.bad}."


def _pooled(answers: list[Answers]) -> tuple[str, float, list[str]]:
    """Service time of all requests as a scenario has it, its mean (ns), and what is to be said of it."""
    whole = Samples()
    for one in answers:
        whole.merge(one.durations)
    whole = whole.settled()
    if whole.count >= ENOUGH:
        text, mean, comment = _service(whole)
        return text, mean, [
            "# Service times: the log's durations, which include waiting for a worker and, in most logs, for a slow client: an upper bound.",
            f"# All requests: {comment}",
        ]  # fmt: skip
    got = "no durations above 0" if not whole.count else f"only {whole.count} durations"
    return (
        GUESSED_SERVICE,
        GUESSED_MEAN,
        [f"# GUESS: the log has {got}; service times are set to {GUESSED_SERVICE}."],
    )


def _service(samples: Samples) -> tuple[str, float, str]:
    fits = samples.fits()
    best = fits[0]
    error = samples.cv / math.sqrt(samples.count)
    others = ", ".join(f"{fit.name} +{fit.aic - best.aic:,.0f}" for fit in fits[1:])
    comment = (
        f"{best.name} (least AIC{'; ' + others if others else ''}); Kolmogorov-Smirnov distance "
        f"{best.distance:.3f}; the samples' mean is known to {_percent(error)} (n = {samples.count:,})."
    )
    return best.text, best.mean, comment


def _fleet(
    stages: Stages, service: tuple[str, float, list[str]], name: str, metrics: Metrics | None
) -> Iterator[str]:
    busiest = max(stages.rates)
    needed = busiest * service[1] / 1e9 / GUESSED_WORKERS / GUESSED_LOAD
    initial = min(max(1, math.ceil(needed)), 1_000_000)
    yield "fleet:"
    yield (
        f"  # GUESS: {GUESSED_WORKERS} workers a server, and servers for {_percent(GUESSED_LOAD)} load "
        f"at the busiest stage ({busiest:.4g}/s)."
    )
    yield f"  app: {{initial: {initial}, workers: {GUESSED_WORKERS}{''.join(_app(metrics))}}}"
    if metrics is None:
        yield "  # No metrics were given: memory and boot times are not modelled."
        return
    yield f"  # From {json.dumps(name)}: {_memory_comment(metrics)}"
    yield f"  # Boot times: {_boot_comment(metrics)}"


def _memory(metrics: Metrics) -> tuple[int, int] | None:
    line = metrics.memory.line()
    if line is None or line.base < 0 or line.slope < 0:
        return None
    return round(line.base), round(line.slope)


def _app(metrics: Metrics | None) -> Iterator[str]:
    memory = _memory(metrics) if metrics else None
    if memory:
        yield f", memory: {{base: {format_size(memory[0])}, per_request: {format_size(memory[1])}}}"
    if metrics and metrics.boots.count:
        yield f", boot_time: {_boot(metrics.boots)[0]}"


def _memory_comment(metrics: Metrics) -> str:
    line = metrics.memory.line()
    if line is None:
        return "memory is not modelled: it needs memory_bytes at different numbers of requests in flight."
    fitted = f"memory = {line.base:,.0f} B + {line.slope:,.0f} B per request in flight, R^2 = {line.determined:.3f} (n = {line.count:,})"
    if _memory(metrics) is None:
        return f"memory is not modelled: least squares say {fitted}, which is less than nothing."
    return f"{fitted}; its limit is not known: none."


def _boot(boots: Samples) -> tuple[str, str]:
    if boots.count >= ENOUGH:
        text, _, comment = _service(boots)
        return text, comment
    mean = format_duration(round(float(f"{boots.mean:.4g}")))
    spread = f"coefficient of variation {boots.cv:.2f}"
    return f"{{constant: {mean}}}", f"the mean of {boots.count}, {spread}: too few for a distribution."


def _boot_comment(metrics: Metrics) -> str:
    return _boot(metrics.boots)[1] if metrics.boots.count else "not in the file, not modelled."


def _endpoints(facts: LogFacts, service: tuple[str, float, list[str]]) -> Iterator[str]:
    total = sum(answers.count for answers in facts.answers)
    yield f"# Endpoints: paths with {_percent(LEAST_SHARE)} of the requests and more, {ENDPOINTS_LIMIT} at most; the others are `{DEFAULT_PATH}`."
    yield "# Numbers, UUIDs and hexadecimal names in a path are :id, which matches any one segment."
    yield from service[2]
    yield "endpoints:"
    for answers in facts.answers:
        share = answers.count / total
        yield (
            f"  # {answers.count:,} of {total:,} requests: {_percent(share)}, "
            f"standard error {_percent(math.sqrt(share * (1 - share) / total))} of all."
        )
        own, text = answers.durations.settled(), service[0]
        if own.count >= ENOUGH:
            text, _, comment = _service(own)
            yield f"  # {comment}"
        parts = [
            f"path: {json.dumps(answers.path)}",
            f"weight: {max(1, round(share * WEIGHTS))}",
            f"cpu: {text}",
        ]
        if answers.sized:
            parts.append(f"response_size: {format_size(round(answers.bytes / answers.sized))}")
        if answers.path == DEFAULT_PATH:
            parts.append("status: 200")
        yield f"  - {{{', '.join(parts)}}}"


def _traffic(facts: LogFacts, stages: Stages) -> Iterator[str]:
    total = int(facts.seconds.sum())
    each = total / len(stages.rates)
    yield "traffic:"
    yield "  - name: users"
    if len(stages.rates) > 1:
        yield (
            f"    # Stages of {format_duration(stages.width * DURATION_UNITS['s'])}, the shortest that hold {STAGE_REQUESTS} requests on "
            f"average; a rate is known to {_percent(1 / math.sqrt(each))} (standard error of a Poisson count of {each:,.0f})."
        )
    else:
        yield (
            f"    # One stage: {total:,} requests are too few, or too short a time, for more; "
            f"its rate is known to {_percent(1 / math.sqrt(each))}."
        )
    for window in _WINDOWS:
        yield f"    # {_burstiness(facts, stages, window)}"
    yield "    # To replay the recorded requests themselves, put this in place of the stages:"
    yield f"    #   access_log: {json.dumps(facts.name)}"
    yield "    stages:"
    same = groupby(zip(stages.rates, stages.lengths(), strict=True), key=lambda stage: stage[0])
    for rate, run in same:
        length = sum(seconds for _, seconds in run) * DURATION_UNITS["s"]
        yield f"      - {{for: {format_duration(length)}, rate: {format_rate(rate)}}}"


def _burstiness(facts: LogFacts, stages: Stages, window: int) -> str:
    what = f"Index of dispersion of counts in {window} s (Poisson: 1)"
    found = dispersion(facts.seconds, stages, window)
    if found is None:
        return f"{what}: the log is too short."
    if found.within is None:
        return f"{what}: {found.whole:.2f}; around the stages' rates: not told, stages are about as short."
    remark = ""
    if abs(found.within - 1) > _NOTABLE * found.noise:
        remark = (
            ": burstier than these stages"
            if found.within > 1
            else ": more even than these stages, see arrivals"
        )
    return f"{what}: {found.whole:.2f}; around the stages' rates {found.within:.2f} (+/- {found.noise:.2g}){remark}."


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.995 else f"{100 * share:.0f}%"
