"""How shares and tallies are written in the registry. What is none of ours is read as nothing, or as 0."""

import re
from collections.abc import Mapping

from ..core.tallies import BUCKETS, Tallies, Tally

FINEST = 1_000_000
"""The greatest denominator of a share, so that a proxy's products of it stay within int64."""

_share = re.compile(r"([0-9]{1,7})/([0-9]{1,7})", re.ASCII).fullmatch
_count = re.compile(r"([0-9]{1,3}):([0-9]{1,18})", re.ASCII).fullmatch
_whole = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch


def read_share(text: str | None) -> tuple[int, int] | None:
    """The fraction that *text* says, or None if it says none from 0 to 1 with a denominator up to FINEST."""
    found = _share(text or "")
    if found is None:
        return None
    numerator, denominator = int(found[1]), int(found[2])
    if 0 < denominator <= FINEST and numerator <= denominator:
        return numerator, denominator
    return None


def write_tallies(tallies: Tallies) -> dict[str, int | str]:
    """The fields of the hash."""
    fields: dict[str, int | str] = {"time": tallies.time}
    for role, tally in (("serving", tallies.serving), ("canary", tallies.canary)):
        fields[f"{role}_answers"] = tally.answers
        fields[f"{role}_failures"] = tally.failures
        buckets = (f"{bucket}:{count}" for bucket, count in enumerate(tally.latency) if count)
        fields[f"{role}_latency"] = " ".join(buckets)
    return fields


def read_tallies(fields: Mapping[str, str]) -> Tallies | None:
    """What :func:`write_tallies` wrote."""
    if "time" not in fields:
        return None
    roles = (
        Tally(
            _number(fields, f"{role}_answers"),
            _number(fields, f"{role}_failures"),
            _buckets(fields.get(f"{role}_latency", "")),
        )
        for role in ("serving", "canary")
    )
    return Tallies(_number(fields, "time"), *roles)


def _number(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    return int(text) if _whole(text) else 0


def _buckets(text: str) -> tuple[int, ...]:
    counts = [0] * BUCKETS
    for word in text.split():
        found = _count(word)
        if found is not None and int(found[1]) < BUCKETS:
            counts[int(found[1])] = int(found[2])
    return tuple(counts)
