"""From a scenario's alerts and expectations to the engine's, and what may be wrong with them."""

from collections.abc import Iterator

from ..core.alerts import AlertSpec, ExpectSpec
from .problems import Path, nearest
from .schema import Document, Slo, parse_bound
from .schema_alerts import Expectation

Found = tuple[Path, str]


def alert_specs(document: Document) -> tuple[AlertSpec, ...]:
    """The alerts of a valid *document*."""
    budgets = {slo.name: budget(slo) for slo in document.slo}
    return tuple(
        AlertSpec(
            name=alert.name,
            when=alert.when.resolve(budgets[alert.when.burn_rate.objective] if alert.when.burn_rate else 0.0),
            text=alert.when.words(),
            hold=alert.for_,
            clear_after=alert.clear_after,
            notify=tuple(notice.resolve() for notice in alert.notify),
        )
        for alert in document.alerts
    )


def expect_specs(document: Document) -> tuple[ExpectSpec, ...]:
    """The expectations of a valid *document*."""
    return tuple(_expect_spec(document, expectation) for expectation in document.expect)


def _expect_spec(document: Document, expectation: Expectation) -> ExpectSpec:
    moment = expectation.moment()
    if moment is None:
        moment = next(fault.at or 0 for fault in document.faults if fault.name == expectation.of)
    within = document.duration - moment if expectation.within is None else expectation.within
    words = f"alert {expectation.alert} {'fires' if expectation.fires else 'does not fire'}"
    if expectation.within is not None:
        words += f" within {expectation.model_dump(mode='json')['within']}"
    if expectation.of != "0s":
        words += f" of {expectation.of}" if expectation.within is not None else f" after {expectation.of}"
    return ExpectSpec(expectation.alert, expectation.fires, moment, within, words)


def budget(slo: Slo) -> float:
    """The share of requests that *slo* lets fail; 0 if it is about something else, or lets none."""
    if slo.indicator == "error_rate" and slo.below is not None:
        return parse_bound(slo.indicator, slo.below)
    if slo.indicator == "availability" and slo.above is not None:
        return 1.0 - parse_bound(slo.indicator, slo.above)
    return 0.0


def check(document: Document) -> Iterator[Found]:
    """What alerts and expectations say of the rest of the scenario, and is not so."""
    if document.alerts and document.autoscaler is None:
        yield (
            ("alerts",),
            "expected an autoscaler for alerts: they are judged on what its turns see, and the scenario has none",
        )
    objectives = {slo.name: slo for slo in document.slo}
    for index, alert in enumerate(document.alerts):
        where: Path = ("alerts", index, "when")
        if alert.when.fleet is not None and document.fleet.app.max is None:
            yield (*where, "fleet"), "expected fleet.app.max for an alert at the maximum: the fleet has none"
        burn = alert.when.burn_rate
        if burn is None:
            continue
        slo = objectives.get(burn.objective)
        if slo is None:
            hint = nearest(burn.objective, objectives) or f"; known are {', '.join(objectives) or 'none'}"
            yield (*where, "burn_rate", "objective"), f"no objective {burn.objective!r}{hint}"
        elif budget(slo) <= 0:
            yield (
                (*where, "burn_rate", "objective"),
                f"expected an objective with an error budget (error_rate below, or availability above, a share that lets some fail), got {burn.objective!r}",
            )
    yield from _expectations(document)


def _expectations(document: Document) -> Iterator[Found]:
    alerts = [alert.name for alert in document.alerts]
    faults = {fault.name: fault for fault in document.faults}
    for index, expectation in enumerate(document.expect):
        if expectation.alert not in alerts:
            hint = nearest(expectation.alert, alerts) or f"; known are {', '.join(alerts) or 'none'}"
            yield ("expect", index, "alert"), f"no alert {expectation.alert!r}{hint}"
        moment = expectation.moment()
        if moment is None:
            fault = faults.get(expectation.of)
            if fault is None:
                hint = nearest(expectation.of, faults) or f"; known faults are {', '.join(faults) or 'none'}"
                yield ("expect", index, "of"), f"expected a time or a fault, got {expectation.of!r}{hint}"
            elif fault.every is not None:
                yield (
                    ("expect", index, "of"),
                    f"expected a fault at a given time, got {expectation.of!r}, which comes at random",
                )
            elif fault.at is None or fault.while_ is not None:
                yield (
                    ("expect", index, "of"),
                    f"expected a fault at a given time, got {expectation.of!r}, which waits for something",
                )
            else:
                moment = fault.at or 0
        if moment is not None and moment >= document.duration:
            yield ("expect", index, "of"), "expected a time before the end of the run"
