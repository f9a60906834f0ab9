"""What a header names of the plan."""

import pytest
from windtunnel.backends.live.headers import PlannedRequest, read_numbers, read_request


@pytest.mark.parametrize("named", [PlannedRequest(0, 0, 1), PlannedRequest(3, 10**12, 7)])
def test_a_planned_request_is_read_as_it_was_written(named: PlannedRequest) -> None:
    assert read_request(str(named)) == named
    assert read_request(f" {named}\t") == named


@pytest.mark.parametrize(
    "text",
    ["", "0-1", "0-1-1-1", "0-1-0", "x-1-1", "-1-1-1", "0-+1-1", "0-1_0-1", "0- 1-1", "0-\u0661-1", "0-\u00b2-1", "0-0x1-1",
     f"0-{1 << 62}-1", "0-1-" + "1" * 300],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    assert read_request(text) is None


def test_numbers_that_are_not_known() -> None:
    assert read_numbers("1-x-3", 3) == (1, -1, 3)
    assert read_numbers("1-x-3", 4) is None
    assert read_numbers("1-y-3", 3) is None
