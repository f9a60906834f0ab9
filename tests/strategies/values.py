"""Values of random scenarios, as plain data: durations, distributions, what may be left out."""

from typing import Any

from hypothesis import strategies as st

MS = "ms"


def durations(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda value: f"{value}ms")


def distributions(low: int = 1, high: int = 30) -> st.SearchStrategy[dict[str, Any]]:
    mean = durations(low, high)
    return st.one_of(
        st.builds(lambda value: {"constant": value}, mean),
        st.builds(lambda value: {"exponential": {"mean": value}}, mean),
        st.builds(
            lambda value, cv: {"lognormal": {"mean": value, "cv": cv}}, mean, st.sampled_from([0.3, 1, 2])
        ),
        st.builds(lambda value: {"uniform": {"min": "0ms", "max": value}}, mean),
        st.builds(lambda value: {"pareto": {"mean": value, "shape": 2.1}}, mean),
    )


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


def without_none(value: Any) -> Any:
    """Drop omitted fields."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value
