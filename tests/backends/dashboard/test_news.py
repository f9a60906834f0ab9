"""What pages are told: bounded whatever happens, and nothing is told twice or left out without saying so."""

import asyncio

import numpy as np
from windtunnel.backends.dashboard.news import KEPT, MOST_BYTES, MOST_WAITING, News
from windtunnel.backends.dashboard.seconds import Seconds
from windtunnel.backends.live.telling import Told
from windtunnel.core.columns import ATTEMPT_ROW, REQUEST_ROW

SECOND = 1_000_000_000


def heard(news: News, after: str) -> list[tuple[str, int]]:
    async def all_there() -> list[tuple[str, int]]:
        listener = news.listen(after)
        found = []
        while len(listener):
            item = await listener.next()
            assert item is not None
            found.append((item.kind, item.second))
        return found

    return asyncio.run(all_there())


def test_a_page_that_was_away_goes_on_where_it_was() -> None:
    news = News()
    news.tell("frame", {}, 0)
    after = news.last
    assert heard(news, after) == []
    news.tell("frame", {}, 1)
    news.tell("state", {})
    assert heard(news, after) == [("frame", 1), ("state", -1)]


def test_what_cannot_be_continued_begins_anew() -> None:
    news = News()
    news.tell("frame", {}, 0)
    before = news.last
    for strange in (
        "",
        "x",
        f"{News().last}",
        news.last + "9",
        news.last + "x",
        f"{before.partition('-')[0]}--1",
    ):
        assert heard(news, strange) == [("document", -1)], strange
    for number in range(1, KEPT + 1):
        news.tell("frame", {}, number)
    assert heard(news, before)[0] == ("frame", 1)
    news.tell("frame", {}, KEPT + 1)
    assert heard(news, before) == [("document", -1)]


def test_the_ring_is_bounded_by_number_and_by_bytes() -> None:
    news = News()
    for number in range(5 * KEPT):
        news.tell("frame", {"n": "x" * 1000}, number)
    assert len(news.frames_from(0)) == KEPT
    assert news.reaches(4 * KEPT)
    assert not news.reaches(4 * KEPT - 1)
    for number in range(40):
        news.tell("frame", {"n": "x" * (MOST_BYTES // 20)}, number)
    assert len(news.frames_from(0)) < 20


def test_a_slow_page_is_told_to_begin_anew_and_costs_no_more_than_its_queue() -> None:
    async def slow() -> list[str]:
        news = News()
        listener = news.listen(news.last)
        for number in range(10 * MOST_WAITING):
            news.tell("frame", {}, number)
            assert len(listener) <= MOST_WAITING
        found = []
        while len(listener):
            item = await listener.next()
            assert item is not None
            found.append(item.kind)
        return found

    found = asyncio.run(slow())
    assert found[0] == "document"
    assert found.count("document") == 1


def rows(ends: list[int]) -> tuple[np.ndarray, np.ndarray]:
    requests, attempts = np.zeros(len(ends), REQUEST_ROW), np.zeros(len(ends), ATTEMPT_ROW)
    requests["time_ns"] = [end - 5 for end in ends]
    requests["latency_ns"] = 5
    attempts["end_ns"], attempts["start_ns"], attempts["served_ns"] = ends, [end - 4 for end in ends], -1
    return requests, attempts


def test_every_request_counts_in_one_second() -> None:
    seconds = Seconds()
    # Known with the first second: one that ended in it, one in the second, one in the third; with the second: one that had ended in the first.
    told = seconds.whole(Told("second", {"t": SECOND}, *rows([100, SECOND + 100, 2 * SECOND])))
    assert (told.requests["time_ns"] + told.requests["latency_ns"]).tolist() == [100]
    told = seconds.whole(Told("second", {"t": 2 * SECOND}, *rows([200])))
    assert sorted((told.requests["time_ns"] + told.requests["latency_ns"]).tolist()) == [SECOND, SECOND + 100]
    assert sorted(told.attempts["end_ns"].tolist()) == [SECOND, SECOND + 100]
    # What it took is what it took.
    assert set((told.attempts["end_ns"] - told.attempts["start_ns"]).tolist()) == {4}
    assert set(told.attempts["served_ns"].tolist()) == {-1}
    told = seconds.whole(Told("second", {"t": 3 * SECOND}, *rows([])))
    assert len(told.requests) == len(told.attempts) == 1
