"""When a remedy against low memory is due."""

import pytest
from windtunnel.core.remedy import RemedySpec, RemedyWatch, given_back

SECOND = 1_000_000_000


def watch(**more: float) -> RemedyWatch:
    fields = {"above": 0.9, "clear": 0.8, "timeout": 10 * SECOND, "cooldown": 5 * SECOND, **more}
    return RemedyWatch(RemedySpec(("trim",), **fields))  # type: ignore[arg-type]


def begins(one: RemedyWatch, shares: list[float], succeeds: bool = True, lasts: int = 1) -> list[int]:
    """Seconds at which it begins, when each run ends *lasts* samples later."""
    found, ends = [], -1
    for second, share in enumerate(shares):
        if second == ends:
            one.ended(second * SECOND, succeeds)
        if one.due(second * SECOND, share):
            found.append(second)
            ends = second + lasts
    return found


def test_strictly_above_and_once_until_it_was_clear() -> None:
    assert begins(watch(), [0.5, 0.9, 0.91, *[0.95] * 20]) == [2]
    # 0.85 is below the mark that begins it and above the one that clears it.
    assert begins(watch(), [0.95, *[0.85] * 10, 0.95]) == [0]
    assert begins(watch(), [0.95, *[0.8] * 10, 0.95]) == [0, 11]


def test_the_cooldown_counts_from_the_end() -> None:
    assert begins(watch(), [0.95, 0.5, *[0.95] * 10]) == [0, 6]
    assert begins(watch(), [0.95, 0.5, *[0.95] * 12], lasts=4) == [0, 9]


def test_one_that_failed_is_tried_again_and_never_two_at_once() -> None:
    assert begins(watch(), [0.95] * 20, succeeds=False) == [0, 6, 12, 18]
    assert begins(watch(cooldown=0), [0.95] * 9, succeeds=False, lasts=4) == [0, 4, 8]


def test_clear_as_high_as_above_is_a_plain_crossing() -> None:
    assert begins(watch(clear=0.9, cooldown=0), [0.95, 0.9, 0.95, 0.95, 0.89, 0.91]) == [0, 2, 5]


@pytest.mark.parametrize(
    ("leaked", "share", "freed"), [(1000, 0.5, 500), (3, 0.5, 1), (7, 1.0, 7), (-5, 1.0, 0), (0, 0.5, 0)]
)
def test_what_is_given_back(leaked: int, share: float, freed: int) -> None:
    assert given_back(leaked, share) == freed
