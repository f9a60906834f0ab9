"""Random draws as pure functions: draw(key, request, attempt, purpose) gives 63 bits.

Philox2x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC'11), the
counter-based generator: nothing is remembered between draws, so neither the order of events, nor the
engine, nor the size of a block can change one. The product of lane and multiplier M is formed from (M - 1) / 2, so
that no intermediate value leaves a non-negative int64. Of the 64 bits produced, 63 are kept for the same reason.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from .decision import decision

# Purposes: what a draw is for. Part of the run format: a number is never reused.
ARRIVAL = 1
ENDPOINT = 2
CPU = 3
IO = 4
THINK = 5
HEADERS = 6
BACKOFF = 7
ROUTE = 8
SYN_LATENCY = 9
SYNACK_LATENCY = 10
REQUEST_LATENCY = 11
RESPONSE_LATENCY = 12
CLOSE_LATENCY = 13
NOTICE_LATENCY = 14
UPSTREAM_LATENCY = 15
ANSWER_LATENCY = 16
RATE = 17
OFFSET = 18
BOOT_TIME = 19
BOOT_FAILURE = 20
TARGET = 21
ERROR = 22
FAULT_TIME = 23
TOXIC_BOOT = 24
CAPACITY = 25
CHECK = 26
CONNECTION = 27
COPIES = 30
PHASE = 31
BODY = 63
# A dependency call uses two purposes each: base + 2 * position and base + 2 * position + 1.
CALL = 64
# Retransmitted SYNs (the k-th uses SYN_RETRY + k) and repeated upstream tries (stride TRY).
SYN_RETRY = 32
TRY = 256

_HALF = 0xD256D193 >> 1
_WEYL = 0x9E3779B9
_MASK = 0xFFFFFFFF

ATTEMPT_LIMIT = 1 << 12
"""Attempts a request may have; attempt numbers are part of the counter."""
REQUEST_LIMIT = 1 << 40
"""Requests a source may have."""


def key(seed: int, name: str) -> int:
    """The 32-bit key of the stream *name* under *seed* (blake2b, so that names may be anything)."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


@decision
def draw(stream: int, request: int, attempt: int, purpose: int) -> int:
    """63 random bits for *purpose* (below 4,096) of the given attempt of the given request."""
    left = request & _MASK
    right = ((request >> 32) << 24) | (attempt << 12) | purpose
    lane = stream
    for _ in range(10):
        half = _HALF * left
        low = (((half & 0x7FFFFFFF) << 1) + left) & _MASK
        left = ((half + (left >> 1)) >> 31) ^ lane ^ right
        right = low
        lane = (lane + _WEYL) & _MASK
    return (left << 31) | (right >> 1)


@decision
def uniform(bits: int) -> float:
    """A float in [0, 1) with 53 random bits."""
    return (bits >> 10) * 1.1102230246251565e-16


@decision
def open_uniform(bits: int) -> float:
    """A float in (0, 1), the ends excluded, with 52 random bits."""
    return ((bits >> 11) + 0.5) * 2.220446049250313e-16


@decision
def below(bits: int, n: int) -> int:
    """An integer in [0, n) from the upper 32 bits (bias below n / 2**32); n below 2**31."""
    return ((bits >> 31) * n) >> 32


@decision
def below_again(bits: int, n: int) -> int:
    """A second integer in [0, n), independent of :func:`below`, from the lower 31 bits."""
    return ((bits & 0x7FFFFFFF) * n) >> 31


def draw_block(
    stream: int, requests: npt.NDArray[np.int64], attempt: int, purpose: int
) -> npt.NDArray[np.int64]:
    """:func:`draw` for many requests at once; the same bits (a test holds this)."""
    mask = np.uint64(_MASK)
    shift = np.uint64(32)
    wide = requests.astype(np.uint64)
    left = wide & mask
    right = ((wide >> shift) << np.uint64(24)) | np.uint64((attempt << 12) | purpose)
    lane = stream
    for _ in range(10):
        product: npt.NDArray[Any] = left * np.uint64(0xD256D193)
        left = (product >> shift) ^ np.uint64(lane) ^ right
        right = product & mask
        lane = (lane + _WEYL) & _MASK
    return (((left << shift) | right) >> np.uint64(1)).astype(np.int64)
