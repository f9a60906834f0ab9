"""Generated tests as scripts: for k6 (JavaScript, an open scenario per entry, one after another) and for Locust (Python, a user class per entry)."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from .cases import Entry
from .requests import Request

DEFAULT_SECONDS = 10
"""An entry that says neither how many requests nor how long takes so long, as in the npm package."""


def k6_script(entries: Sequence[Entry], base: str) -> str:
    """A script for ``k6 run``: entries with a rate arrive at that rate, the others are sent by clients that wait for their answers."""
    requests, scenarios, begin = [], {}, 0
    for number, entry in enumerate(entries):
        requests.append(_k6_request(entry.request))
        scenarios[f"test{number}"], length = _k6_scenario(entry, number, begin)
        begin += length
    return _K6.format(
        base=json.dumps(base),
        requests=",\n".join(f"  {json.dumps(one)}" for one in requests),
        scenarios=",\n".join(f"    {name}: {json.dumps(one)}" for name, one in scenarios.items()),
    )


_K6 = """import http from 'k6/http';
import encoding from 'k6/encoding';

const base = __ENV.BASE || {base};

const requests = [
{requests}
];

export const options = {{
  discardResponseBodies: true,
  scenarios: {{
{scenarios}
  }},
}};

export default function () {{
  const number = Number(__ENV.NUMBER);
  const request = requests[number];
  const content = request.content === null ? null : encoding.b64decode(request.content);
  http.request(request.method, base + request.target, content, {{
    headers: request.headers,
    redirects: 0,
    timeout: __ENV.TIMEOUT,
    tags: {{ name: `test${{number}}` }},
  }});
}}
"""


def _k6_request(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "target": request.target,
        "headers": joined(request),
        "content": None if request.content is None else _base64(request.data),
    }


def _k6_scenario(entry: Entry, number: int, begin: int) -> tuple[dict[str, Any], int]:
    """The scenario, and how long (s) the entry takes."""
    timeout = "60s" if entry.timeout is None else f"{entry.timeout}ms"
    common = {"startTime": f"{begin}s", "env": {"NUMBER": str(number), "TIMEOUT": timeout}}
    length = seconds_of(entry)
    if entry.rate is not None:
        rate = {"executor": "constant-arrival-rate", "rate": entry.rate, "timeUnit": "1s", "duration": f"{length}s",
                "preAllocatedVUs": entry.concurrency, "maxVUs": max(entry.concurrency, entry.rate)}  # fmt: skip
        return {**rate, **common}, length
    if entry.requests is not None:
        closed = {
            "executor": "shared-iterations",
            "vus": min(entry.concurrency, entry.requests),
            "iterations": entry.requests,
            "maxDuration": f"{length}s",
        }
        return {**closed, **common}, length
    return {"executor": "constant-vus", "vus": entry.concurrency, "duration": f"{length}s", **common}, length


def seconds_of(entry: Entry) -> int:
    """How long (s) an entry takes: by its number and rate, by its time, whichever is shorter."""
    times = [] if entry.seconds is None else [entry.seconds]
    if entry.requests is not None and entry.rate is not None:
        times.append(max(1, -(-entry.requests // entry.rate)))
    if not times and entry.requests is not None:
        return 600
    return min(times, default=DEFAULT_SECONDS)


def locust_file(entries: Sequence[Entry], base: str) -> str:
    """A locustfile: a user class per entry, all at once; each class ends after its number of requests, or its time."""
    tests = [
        {
            "method": entry.request.method, "target": entry.request.target, "headers": joined(entry.request),
            "content": None if entry.request.content is None else _base64(entry.request.data),
            "requests": entry.requests, "rate": entry.rate, "concurrency": entry.concurrency,
            "seconds": entry.seconds if entry.seconds or entry.requests else DEFAULT_SECONDS,
            "timeout": None if entry.timeout is None else entry.timeout / 1000,
        }
        for entry in entries
    ]  # fmt: skip
    classes = "\n\n".join(_CLASS.format(number=number) for number in range(len(entries)))
    shown = ",\n".join(f"    {test!r}" for test in tests)
    return _LOCUST.format(base=base, tests=shown, classes=classes)


_LOCUST = '''"""Generated load tests; run with: locust -f FILE --headless --users N (at least the sum of the concurrencies)."""

import base64
import time

from locust import FastHttpUser, constant, constant_throughput, task
from locust.exception import StopUser

TESTS = [
{tests},
]


class Test(FastHttpUser):
    abstract = True
    host = {base!r}
    number = 0
    sent = 0

    def on_start(self):
        self.began = time.monotonic()

    @task
    def send(self):
        test = TESTS[self.number]
        over = test["seconds"] is not None and time.monotonic() - self.began >= test["seconds"]
        if over or (test["requests"] is not None and type(self).sent >= test["requests"]):
            raise StopUser()
        type(self).sent += 1
        content = None if test["content"] is None else base64.b64decode(test["content"])
        self.client.request(
            test["method"], test["target"], data=content, headers=test["headers"], name=f"test{{self.number}}", allow_redirects=False
        )


def pace(test):
    return constant(0) if test["rate"] is None else constant_throughput(test["rate"] / test["concurrency"])


{classes}
'''

_CLASS = """class Test{number}(Test):
    number = {number}
    fixed_count = TESTS[{number}]["concurrency"]
    wait_time = pace(TESTS[{number}])
    network_timeout = connection_timeout = TESTS[{number}]["timeout"] or 60.0
"""


def joined(request: Request) -> dict[str, str]:
    """Headers for a tool that knows one value for a name: one that comes again has its values in a list (RFC 9110, section 5.3; cookies: RFC 6265)."""
    made: dict[str, str] = {}
    for name, value in request.headers:
        between = "; " if name == "cookie" else ", "
        made[name] = f"{made[name]}{between}{value}" if name in made else value
    if request.content is not None and request.content_type is not None:
        made["content-type"] = request.content_type
    return made


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
