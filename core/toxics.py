"""What a bad link does to a message: more latency, loss, a partition, little bandwidth, data in slices. What it does to connections: core.closing.

None of these loses anything for good: TCP sends again what was not acknowledged, after a timeout that doubles with each try (RFC 6298; Linux
waits at least 200 ms, at most 120 s, and 1 s at first for a SYN). A lost message is therefore a late one.

Bandwidth and slices are about the content of a message, the request's body or the answer's: a message without any passes at once. A link
direction is one queue: content that leaves while other content is on its way waits until that is through.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .decision import decision
from .draws import (
    ANSWER_LATENCY,
    NOTICE_LATENCY,
    RESPONSE_LATENCY,
    SYN_LATENCY,
    SYN_RETRY,
    SYNACK_LATENCY,
    TRY,
    below_again,
    draw,
    uniform,
)
from .model import SECOND

_INTEGERS = (
    "active latency jitter latency_stream loss_stream until free slice_size slice_delay slice_stream "
    "hold_stream hold_after hold_since reset_stream reset_after reset_since "
    "limit limit_stream limit_since linger linger_stream"
)
_FLOATS = "latency_share loss rate slice_share hold_share reset_share limit_share linger_share"
TOXIC = np.dtype(
    [(name, np.int64) for name in _INTEGERS.split()] + [(name, np.float64) for name in _FLOATS.split()],
    align=True,
)
"""What is wrong with one direction of a link; *until* is when a partition is over (0: there is none), *rate* its bytes a second (0: unlimited),
*free* when it will have carried all that it has taken on. What has a share of 0 is not there. The link of server n has the rows
2 n (towards the server) and 2 n + 1 (back); number 0 is the link between clients and proxy."""

Toxics = npt.NDArray[Any]

UPSTREAM = 0
DOWNSTREAM = 1

FOREVER = 1 << 61
"""A message that never arrives does so at this time (ns)."""

_MILLISECOND = SECOND // 1000
_RTO = SECOND // 5
_SYN_RTO = SECOND
_LONGEST_RTO = 120 * SECOND
_MOST_LOSSES = 15
_LONGEST = 1e17
"""No message is on its way for longer (ns): three years, where a run has at most 400 days."""


def healthy(links: int) -> Toxics:
    """The rows of so many links of which nothing is wrong."""
    return np.zeros(2 * links, TOXIC)


def with_link(toxics: Toxics, place: int, wrong: Sequence[Mapping[str, float]]) -> Toxics:
    """The same rows, or more of them, with *wrong* (fields of both directions) for link *place*."""
    if 2 * place >= len(toxics):
        toxics = np.concatenate((toxics, np.zeros(2 * place + 2 - len(toxics), TOXIC)))
    for way, fields in enumerate(wrong):
        row = 2 * place + way
        on_its_way = int(toxics["free"][row])
        toxics[row] = np.zeros((), TOXIC)
        for name, value in fields.items():
            toxics[name][row] = value
        toxics["active"][row] = int(bool(fields))
        if "rate" in fields:
            toxics["free"][row] = on_its_way
    return toxics


@decision
def direction(kind: int) -> int:
    """UPSTREAM or DOWNSTREAM, by what the message is about (a purpose of core.draws)."""
    if kind in (SYNACK_LATENCY, RESPONSE_LATENCY, NOTICE_LATENCY, ANSWER_LATENCY):
        return DOWNSTREAM
    return UPSTREAM


@decision
def first_wait(kind: int) -> int:
    """How long (ns) the sender waits before it sends such a message again."""
    if kind in (SYN_LATENCY, SYNACK_LATENCY) or SYN_RETRY <= kind < 2 * SYN_RETRY:
        return _SYN_RTO
    return _RTO


@decision
def disturbance(
    toxics: Toxics, place: int, now: int, stream: int, index: int, attempt: int, purpose: int
) -> int:
    """How much later (ns) a message that leaves now arrives over link *place*; the message is keyed as its latency is."""
    kind = purpose & (TRY - 1)
    line = 2 * place + direction(kind)
    if line >= len(toxics) or toxics[line]["active"] == 0:
        return 0
    row = toxics[line]
    extra = 0
    if row["latency"] > 0:
        bits = draw(stream ^ row["latency_stream"], index, attempt, purpose)
        if uniform(bits) < row["latency_share"]:
            spread = below_again(bits, 1 << 30) / 1073741824.0 * (2.0 * row["jitter"] + 1.0)
            extra = row["latency"] - row["jitter"] + int(spread)
    wait = first_wait(kind)
    waited = 0
    if row["loss"] > 0.0:
        luck = uniform(draw(stream ^ row["loss_stream"], index, attempt, purpose))
        share = row["loss"]
        losses = 0
        while luck < share and losses < _MOST_LOSSES:
            waited += wait
            wait = min(2 * wait, _LONGEST_RTO)
            share *= row["loss"]
            losses += 1
    if row["until"] >= FOREVER:
        return FOREVER - now
    while now + waited < row["until"]:
        waited += wait
        wait = min(2 * wait, _LONGEST_RTO)
    return int(extra + waited)


@decision
def carriage(
    toxics: Toxics, line: int, now: int, size: int, stream: int, index: int, attempt: int, purpose: int
) -> int:
    """How much later (ns) *size* bytes that leave now over row *line* are through, because of its bandwidth, which they take up, and of slices."""
    if size <= 0 or line >= len(toxics) or toxics[line]["active"] == 0:
        return 0
    extra = 0
    rate = toxics[line]["rate"]
    if rate > 0.0:
        done = min(max(now, toxics[line]["free"]) + int(min(size * 1e9 / rate, _LONGEST)), FOREVER)
        toxics["free"][line] = done
        extra = done - now
    share = toxics[line]["slice_share"]
    if share > 0.0 and uniform(draw(stream ^ toxics[line]["slice_stream"], index, attempt, purpose)) < share:
        gaps = (size - 1) // toxics[line]["slice_size"]
        extra += int(min(float(gaps) * toxics[line]["slice_delay"], _LONGEST))
    return int(extra)
