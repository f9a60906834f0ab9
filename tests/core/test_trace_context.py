"""W3C Trace Context: what is valid and what is not, and that nothing which a client may write is mistaken."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from windtunnel.core.trace.context import MOST_MEMBERS, Parent, read_parent, read_state
from windtunnel.core.trace.ids import Fresh, Ids, beside, trace_key
from windtunnel.core.trace.probability import NEVER, keeps, state_of, threshold_of
from windtunnel.core.trace.schema import AT_ATTEMPT, AT_PROXY, AT_SERVER, LEAF, TO_SERVER, try_place

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEX = "0123456789abcdef"
parents = st.builds(
    "{}-{}-{}-{}{}".format,
    st.sampled_from(["00", "00", "01", "cc", "ff", "0", "0G", "000"]),
    st.one_of(st.just(TRACE), st.text(HEX, min_size=31, max_size=33), st.just("0" * 32), st.just(TRACE.upper())),
    st.one_of(st.just(SPAN), st.text(HEX, min_size=15, max_size=17), st.just("0" * 16)),
    st.sampled_from(["00", "01", "02", "03", "ff", "1", "0x", "001"]),
    st.sampled_from(["", "", "-", "-more", "more", " ", "\n"]),
)  # fmt: skip


@given(st.one_of(parents, st.text(HEX + "-\n x٠", max_size=70)))
@example(f"00-{TRACE}-{SPAN}-01\n")
@example(f"00-{TRACE}-{SPAN}-٠١")
def test_a_traceparent_is_read_as_the_specification_says(text: str) -> None:
    found = read_parent(text)
    parts = text.split("-", 4)
    version, trace, span, flags = parts[:4] if len(parts) >= 4 else ("", "", "", "")
    fields = zip((version, trace, span, flags), (2, 32, 16, 2), strict=True)
    well_formed = all(len(one) == size and set(one) <= set(HEX) for one, size in fields)
    named = set(trace) != {"0"} and set(span) != {"0"}
    valid = well_formed and named and version != "ff" and (version != "00" or len(parts) == 4)
    assert (found is not None) == valid
    if found is not None:
        assert (found.trace, found.span, found.flags) == (trace, span, int(flags, 16))
        assert found.sampled == (int(flags, 16) % 2 == 1)
        again = read_parent(str(found))
        assert again is not None
        assert (again.trace, again.span, again.sampled) == (trace, span, found.sampled)
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", str(found))


@given(st.lists(st.text(max_size=60), max_size=4))
@example(["a=1,b=2", "c=3"])
def test_a_tracestate_never_gets_worse(lines: list[str]) -> None:
    found = read_state(lines)
    assert read_state([found]) == found
    members = [member for member in found.split(",") if member]
    assert len(members) <= MOST_MEMBERS
    assert len({member.partition("=")[0] for member in members}) == len(members)
    if found:
        joined = ",".join(lines)
        assert all(member in joined for member in members)


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        (["a=1, b=2", "", "c=3"], "a=1,b=2,c=3"), (["t@vendor=x y"], "t@vendor=x y"), ([""], ""), (["a=1,a=2"], ""), (["A=1"], ""),
        (["a=1,b"], ""), (["a=b=c"], ""), (["a=é"], ""), (["a=1", *[f"k{n}=v" for n in range(32)]], ""), ([f"a={'x' * 256}"], f"a={'x' * 256}"),
        ([f"a={'x' * 257}"], ""), (["ot=th:c;rv:00112233445566"], "ot=th:c;rv:00112233445566"),
    ],
)  # fmt: skip
def test_tracestates(lines: list[str], state: str) -> None:
    assert read_state(lines) == state


def test_whoever_knows_a_span_knows_those_beside_it() -> None:
    ids = Ids(7, "some run")
    high, low, base = (one.tolist() for one in ids.requests("users", range(50)))
    seen = set()
    for number in range(50):
        key = trace_key(high[number], low[number], base[number])
        attempt = key.span(2, AT_ATTEMPT)
        proxy = beside(attempt, AT_ATTEMPT, AT_PROXY)
        assert proxy == key.span(2, AT_PROXY)
        assert beside(proxy, AT_PROXY, TO_SERVER) == key.span(2, TO_SERVER)
        assert beside(beside(proxy, AT_PROXY, LEAF + 3), LEAF + 3, AT_SERVER) == key.span(2, AT_SERVER)
        places = {try_place(n, at) for n in range(1, 16) for at in (TO_SERVER, AT_SERVER)}
        assert len(places) == 30
        assert max(places) < 256
        seen |= {beside(attempt, AT_ATTEMPT, place) for place in places}
        assert Parent(key.trace, proxy, 3) == read_parent(f"00-{key.trace}-{proxy}-03")
    assert len(seen) == 50 * 30


def test_fresh_ids_differ_and_are_those_of_their_stream() -> None:
    fresh = Fresh(1, "one")
    keys = [fresh.next() for _ in range(1000)]
    assert len({key.trace for key in keys}) == len({key.span(0, 0) for key in keys}) == 1000
    again = Fresh(1, "one")
    assert [again.next() for _ in range(1000)] == keys
    assert Fresh(1, "another").next() not in keys


def test_a_smaller_share_is_a_part_of_a_larger_one() -> None:
    lows = [int(Fresh(3, f"share {n}").next().trace[16:], 16) for n in range(2000)]
    kept = [{low for low in lows if keeps(threshold_of(share), low)} for share in (0.01, 0.1, 0.5, 1.0)]
    assert kept[0] < kept[1] < kept[2] < kept[3] == set(lows)
    assert abs(len(kept[2]) - 1000) < 120
    assert not any(keeps(NEVER, low) for low in lows)
    assert (state_of(0), state_of(threshold_of(0.25)), state_of(threshold_of(0.01))) == ("ot=th:0", "ot=th:c", "ot=th:fd71")  # fmt: skip
