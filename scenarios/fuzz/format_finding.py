"""A finding as a scenario of its own: a small fleet, the bytes that show it, what the proxy's rules make of them, plain requests beside them, and objectives that fail while it is true."""

from collections.abc import Sequence
from typing import Any

import yaml

from ...core.http.intake import OPEN, PASSED, Message
from ..paths import DEFAULT_PATH, PathMatcher, path_of
from ..scenario import Scenario
from .format_wire import connection_of, longest_wait, read_as_said
from .requests import Request
from .wire import WAIT, Wire

FINDING, BYSTANDERS = "finding", "bystanders"
_PATIENCE = 5
_MOST = "0.01%"
"""Of the requests may fail: none, where there are fewer than ten thousand."""


def finding_scenario(
    name: str, text: str, wire: Wire, request: Request | None, came: Sequence[int], told: Sequence[int], bystander: str, scenario: Scenario | None
) -> str:  # fmt: skip
    """The scenario file *name* of a finding, whose fault is said by *text*. *came*: the statuses that came; *told*: those of the app server itself, where it was asked; *bystander*:
    the target of plain requests; *scenario*: has the fleet, else it is a small one."""
    messages = read_as_said(wire)
    expect = [_expected(number, one, came, told) for number, one in enumerate(messages) if one.became != OPEN]
    patience = max(_PATIENCE, longest_wait(messages) + _PATIENCE)
    document: dict[str, Any] = {"scenario": name, "seed": 1, "duration": f"{patience + 3}s"}
    document |= _fleet(messages, expect, bystander, scenario)
    # An ordinary source takes whatever is below 500 for an answer.
    shows = not came or any(status >= 500 for status in came)
    plain = _plain_path(wire, request) if shows else None
    one = {"at": ["1s"], "connections": [connection_of(wire, expect)]}
    source = {"stages": [{"for": "1s", "rate": "1/s"}], "arrivals": "constant", "endpoints": {plain: 1}}
    document["traffic"] = [
        {
            "name": FINDING,
            "client": {"timeout": f"{patience}s"},
            **({"wire": one} if plain is None else source),
        },
        {
            "name": BYSTANDERS,
            "client": {"timeout": f"{_PATIENCE}s"},
            "arrivals": "constant",
            "stages": [{"for": f"{patience + 2}s", "rate": "5/s"}],
            "endpoints": {_path(bystander, document["endpoints"]): 1},
        },
    ]
    if plain is not None and plain not in [endpoint["path"] for endpoint in document["endpoints"]]:
        document["endpoints"].append({"path": plain, "cpu": {"constant": "1ms"}})
    # Of a client that leaves, or never sends a request, only others can say what it has done.
    named = [FINDING] if (wire.end == WAIT and expect) or plain is not None else []
    document["slo"] = [
        {
            "name": f"{who} are answered as the rules say",
            "indicator": "error_rate",
            "below": _MOST,
            "traffic": [who],
        }
        for who in (*named, BYSTANDERS)
    ]
    return _head(text, messages, expect, came) + yaml.safe_dump(
        document, sort_keys=False, allow_unicode=False, width=120
    )


def _head(text: str, messages: Sequence[Message], expect: Sequence[int], came: Sequence[int]) -> str:
    """What was found, as a comment."""
    said = [
        f"{one.method.decode('latin-1') or 'no request'}: {expect[number]}{f' ({one.reason})' if one.reason else ''}"
        for number, one in enumerate(messages)
        if number < len(expect)
    ][:20]
    lines = [
        f"Found by fuzz urls --run: {text}",
        f"Expected by the rules of core/http: {'; '.join(said) or 'no answer'}.",
        f"Came: {', '.join(map(str, came[:20])) or 'no answer'}.",
        "replay rehearses it: where the rules do not explain the fault, it passes. --backend local, or attach --proxy URL, flies it.",
    ]
    return "".join(f"# {line.encode('unicode_escape').decode()}\n" for line in lines)


def _expected(number: int, message: Message, came: Sequence[int], told: Sequence[int]) -> int:
    """The status that is right for message *number*: that of the rules, else the app server's own, else what came if it is no failure."""
    if message.became != PASSED:
        return message.status
    if number < len(told) and told[number] < 500:
        return told[number]
    return came[number] if not told and number < len(came) and came[number] in (200, 404, 405) else 200


def _fleet(
    messages: Sequence[Message], expect: Sequence[int], bystander: str, scenario: Scenario | None
) -> dict[str, Any]:
    if scenario is not None:
        given = scenario.document.model_dump(mode="json", by_alias=True, exclude_unset=True)
        made = {part: given[part] for part in ("fleet", "endpoints") if part in given}
        return {"endpoints": [{"path": "/"}]} | made
    statuses: dict[str, int] = {}
    for number, one in enumerate(messages):
        if one.became == PASSED and number < len(expect):
            path = path_of(one.target)
            statuses.setdefault(path if _is_plain(path) else DEFAULT_PATH, expect[number])
    statuses.setdefault(path_of(bystander) if _is_plain(path_of(bystander)) else "/", 200)
    endpoints = [
        {"path": path, "cpu": {"constant": "1ms"}, **({"status": status} if status != 200 or path == DEFAULT_PATH else {}), **({"weight": 0} if path == DEFAULT_PATH else {})}
        for path, status in statuses.items()
    ]  # fmt: skip
    return {"fleet": {"app": {"initial": 1, "workers": 2}}, "endpoints": endpoints}


def _path(bystander: str, endpoints: Sequence[dict[str, Any]]) -> str:
    """The endpoint that plain requests ask for."""
    paths = [str(endpoint["path"]) for endpoint in endpoints]
    return path_of(bystander) if path_of(bystander) in paths else paths[0]


def _plain_path(wire: Wire, request: Request | None) -> str | None:
    """The path of a request that an ordinary source sends just so; None: only its bytes do."""
    if request is None or wire.end != WAIT or not wire.reads:
        return None
    bare = request.method == "GET" and not request.headers and request.content is None
    return (
        request.target
        if bare and _is_plain(request.target) and request.target == path_of(request.target)
        else None
    )


def _is_plain(path: str) -> bool:
    """Whether an endpoint of that path matches that path alone."""
    plain = (
        path.startswith("/")
        and path.isascii()
        and path.isprintable()
        and len(path) <= 200
        and not set(path) & set('%\\"<>^`{|} ')
    )
    return plain and PathMatcher([path]).number(path) == 0 and "/:" not in path
