"""Random traffic: sources of every kind, exact bytes among them."""

from hypothesis import strategies as st

from .values import distributions, durations, optional

CLIENT = st.fixed_dictionaries(
    {
        "timeout": optional(durations(30, 2500)),
        "connections": st.one_of(
            st.just("per_request"), st.builds(lambda n: {"pool": n}, st.integers(1, 20))
        ),
        "retries": optional(
            st.builds(
                lambda n, backoff: {"attempts": n, "backoff": backoff, "jitter": "50%"},
                st.integers(0, 3),
                st.sampled_from([0, "20ms"]),
            )
        ),
    }
)

RATE = st.integers(0, 250).map(lambda value: f"{value}/s" if value else 0)
STAGES = st.lists(
    st.one_of(
        st.builds(lambda length, rate: {"for": length, "rate": rate}, durations(200, 2000), RATE),
        st.builds(lambda length, rate: {"for": length, "to": rate}, durations(200, 2000), RATE),
        st.builds(
            lambda length: {
                "for": length,
                "rate": {"uniform": {"min": "10/s", "max": "200/s"}, "every": "300ms"},
            },
            durations(200, 2000),
        ),
    ),
    min_size=1,
    max_size=3,
)

SOURCE = st.one_of(
    st.builds(
        lambda stages, client, arrivals: {"stages": stages, "client": client, "arrivals": arrivals},
        STAGES, CLIENT, st.sampled_from(["poisson", "constant"]),
    ),
    st.builds(
        lambda at, client: {
            "diurnal": {"mean": "60/s", "peak": "110/s", "at": at, "period": "900ms"}, "client": client, "headers": "mixed",
        },
        durations(0, 900), CLIENT,
    ),
    st.builds(
        lambda every, length, client: {
            "bursts": {"rate": "20/s", "to": "200/s", "every": every, "for": length}, "client": client,
        },
        distributions(100, 900), distributions(100, 500), CLIENT,
    ),
    st.builds(
        lambda n, think, client, maximum: {
            "closed": {"concurrency": n, "think": think, "maximum": maximum}, "client": client,
        },
        st.integers(1, 5), distributions(20, 200), CLIENT, optional(st.integers(1, 100)),
    ),
    st.builds(
        lambda stages, n: {"flood": {"stages": stages, "connections": n}}, STAGES, st.integers(1, 80)
    ),
)  # fmt: skip

_GET = "GET /io HTTP/1.1\r\nHost: {authority}\r\n"
_POST = "POST / HTTP/1.1\r\nHost: {authority}\r\n"
BYTES = st.sampled_from(
    [
        _GET + "\r\n", _GET[:17], "\r\n", _POST + "Content-Length: 9\r\n\r\nslow", " body", "\r\n\r\n", "GET / HTTP/1.1\n\n",
        _GET + "Connection: close\r\n\r\n", _POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n", "",
    ]
)  # fmt: skip
CONNECTION = st.fixed_dictionaries(
    {
        "steps": st.lists(
            st.fixed_dictionaries(
                {"text": BYTES, "repeat": st.sampled_from([1, 1, 3, 20]), "pause": st.sampled_from([0, "10ms", "700ms"])}
            ),
            min_size=1, max_size=4,
        ),
        "end": st.sampled_from(["wait", "wait", "close", "half-close", "reset"]),
        "reads": st.sampled_from([True, True, False]),
        "expect": optional(st.lists(st.sampled_from([200, 400, 404]), min_size=1, max_size=3)),
    }
)  # fmt: skip
WIRE = st.builds(
    lambda when, connections, timeout, arrivals: {
        "wire": {**when, "connections": connections}, "client": {"timeout": timeout}, "arrivals": arrivals,
    },
    st.one_of(
        st.lists(durations(0, 3000), min_size=1, max_size=5).map(lambda at: {"at": at}), STAGES.map(lambda stages: {"stages": stages})
    ),
    st.lists(CONNECTION, min_size=1, max_size=4), optional(durations(5, 2500)), st.sampled_from(["poisson", "constant"]),
)  # fmt: skip
"""Exact bytes: whole, broken, slow, left in the middle, never read."""


BODY = st.sampled_from(
    [None, None, "3MiB", {"uniform": {"min": 0, "max": "8MiB"}}, {"lognormal": {"mean": "1MiB", "cv": 2}}]
)
