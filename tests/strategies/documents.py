"""Random scenarios: small ones with everything in them, as plain data."""

from typing import Any

from hypothesis import strategies as st

from .deploys import DEPLOY, DEPLOYED
from .faults import FAULT, LINK_FAULT, OF_AUTOSCALER, OF_DEPENDENCY, at_once, waiting
from .fleet import APP, DEPENDENCY, NETWORK, PROFILE, PROXY, REMEDY
from .policies import AUTOSCALER
from .traffic import BODY, CLIENT, SOURCE, WIRE
from .values import distributions, durations, optional, without_none


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A scenario as plain data: at most four seconds and a few hundred requests."""
    sources = draw(st.lists(st.one_of(SOURCE, SOURCE, SOURCE, WIRE), max_size=3))
    dependency = draw(optional(DEPENDENCY))
    autoscaler = draw(
        st.sampled_from([True, True, True, False]).flatmap(lambda there: AUTOSCALER if there else st.none())
    )
    kinds = [FAULT, *([OF_DEPENDENCY] if dependency else []), *([OF_AUTOSCALER] if autoscaler else [])]
    if dependency and dependency["cache"]:
        kinds.append(at_once("cache_flush"))
    waiters: list[dict[str, Any]] = []
    for n, fault in enumerate(draw(st.lists(st.one_of(kinds), max_size=4))):
        waiters.append(
            waiting(fault, f"fault{n}", waiters, draw(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6])))
        )
    endpoints = [
        {"path": "/", "weight": 3, "cpu": draw(distributions()), "response_size": "600B",
         "calls": draw(st.sampled_from([[], ["db"], ["db", "db"]])) if dependency else []},
        {"path": "/io", "cpu": draw(distributions(0, 5)), "io": draw(optional(distributions())),
         "status": draw(st.sampled_from([200, 404, 500]))},
    ]  # fmt: skip
    app = draw(APP)
    if app["memory"]:
        app["on_low_memory"] = draw(optional(REMEDY))
    document = {
        "duration": draw(durations(500, 4000)),
        "profile": draw(PROFILE),
        "fleet": {
            "app": app,
            "proxy": draw(PROXY),
            "network": draw(NETWORK),
            "registry": {
                "refresh_interval": draw(st.sampled_from(["100ms", "1s"])),
                "reregister": draw(st.sampled_from([None, "700ms"])),
            },
            "dependencies": [dependency] if dependency else [],
        },
        "endpoints": endpoints,
        "traffic": [
            {"name": f"source{n}", **source, **({} if "wire" in source else {"body": draw(BODY)})}
            for n, source in enumerate(sources)
        ],
        "autoscaler": autoscaler,
        "faults": waiters,
        "versions": DEPLOYED,
        "deploys": [
            {"name": f"deploy{n}", **deploy} for n, deploy in enumerate(draw(st.lists(DEPLOY, max_size=2)))
        ],
    }
    made: dict[str, Any] = without_none(document)
    return made


@st.composite
def large_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Thousands of requests, tens of servers, hundreds of connections: what fills queues, tables and windows.

    Closed clients think: two hundred that fail at once and never wait would make six million requests."""
    document = draw(documents())
    app, proxy = document["fleet"]["app"], document["fleet"]["proxy"]
    app.update(initial=draw(st.integers(5, 40)), max=60, workers=draw(st.integers(1, 8)))
    app.pop("memory", None)
    app.pop("on_low_memory", None)
    for limit in ("memory", "max_connections", "circuit_breaker"):
        if draw(st.booleans()):
            proxy.pop(limit, None)
    proxy["cpu_per_request"] = draw(st.sampled_from([0, "50us"]))
    rate = draw(st.integers(500, 3000))
    document["duration"] = "3s"
    document["traffic"] = [
        {"name": "crowd", "stages": [{"for": "1s", "rate": f"{rate}/s"}, {"for": "2s", "to": "10/s"}], "client": draw(CLIENT)},
        {"name": "closed", "closed": {"concurrency": draw(st.integers(1, 200)), "think": {"exponential": {"mean": "20ms"}}}, "client": draw(CLIENT)},
        {"name": "monkey", "flood": {"stages": [{"for": "2s", "rate": f"{rate // 2}/s"}], "connections": draw(st.integers(1, 900))}},
    ][: draw(st.integers(1, 3))]  # fmt: skip
    made: dict[str, Any] = without_none(document)
    return made


@st.composite
def busy_documents(draw: st.DrawFn) -> dict[str, Any]:
    """A few servers with much under way, for what happens to them: what :func:`documents` says, with steady traffic."""
    document = draw(documents())
    app, proxy = document["fleet"]["app"], document["fleet"]["proxy"]
    app.update(
        initial=draw(st.integers(2, 4)), canaries=draw(st.integers(0, 2)), workers=draw(st.integers(2, 4))
    )
    for limit in ("memory", "max_connections", "circuit_breaker"):
        proxy.pop(limit, None)
    rate = f"{draw(st.integers(80, 250))}/s"
    steady = {"name": "steady", "stages": [{"for": "4s", "rate": rate}], "client": draw(CLIENT)}
    document.update(duration="4s", traffic=[without_none(steady), *document["traffic"][:1]])
    return document


@st.composite
def hostile_documents(draw: st.DrawFn) -> dict[str, Any]:
    """What :func:`documents` says, with exact bytes among other traffic."""
    document = draw(documents())
    wires = [{"name": f"wire{n}", **draw(WIRE)} for n in range(draw(st.integers(1, 2)))]
    document["traffic"] = [*map(without_none, wires), *document["traffic"][:1]]
    return document


@st.composite
def linked_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Few servers over bad links with something to carry: what :func:`busy_documents` says, where the proxy's limits may stay."""
    document = draw(st.one_of(busy_documents(), documents()))
    for endpoint in document["endpoints"]:
        endpoint["response_size"] = draw(st.sampled_from(["0B", "600B", "40KB"]))
    faults = draw(st.lists(LINK_FAULT, min_size=1, max_size=4))
    document["faults"] = [{"name": f"link{n}", **fault} for n, fault in enumerate(faults)]
    made: dict[str, Any] = without_none(document)
    return made
