"""What cannot be exceeded: instances at a time, and instance time in all."""

import threading
import time

import pytest
from windtunnel.backends.aws.factory import cloud_of
from windtunnel.backends.aws.flight import Ended, Past
from windtunnel.backends.aws.limits import HOUR, InstanceTime, LimitedCloud, Limits
from windtunnel.backends.aws.settings import AwsSettings
from windtunnel.core.ports import Cloud, CloudError, CloudInstance
from windtunnel.sim.embedded_cloud import MemoryCloud, Overlay
from windtunnel.tests.backends.aws.conftest import SettingsOf
from windtunnel.tests.backends.test_contracts import HandClock


def limited(
    cloud: Cloud,
    clock: HandClock,
    instances: int | None = None,
    hours: int | None = None,
    notices: list[str] | None = None,
) -> LimitedCloud:
    limits = Limits(instances, None if hours is None else hours * HOUR)
    told = [] if notices is None else notices
    return LimitedCloud(cloud, limits, InstanceTime(clock.now), notice=told.append)


def test_a_launch_beyond_the_maximum_is_refused_until_one_ends() -> None:
    clock = HandClock()
    inner = Overlay(MemoryCloud(clock.now), clock.now, 0)
    foreign = limited(inner, clock, 2)
    cloud = limited(inner, clock, 2)
    first = foreign.launch(1, "serving", "a")
    cloud.launch(2, "serving", "b")
    with pytest.raises(CloudError, match="MaxInstances: 2 instances there, at most 2 allowed"):
        cloud.launch(3, "serving", "c")
    assert foreign.launch(1, "serving", "a") == first, "the same launch again is none beyond it"
    cloud.terminate(first.provider_id)
    cloud.launch(3, "serving", "c")
    assert [one.number for one in cloud.list()] == [2, 3]


def test_parallel_launches_stay_within_the_maximum(settings: SettingsOf) -> None:
    cloud = cloud_of(settings(max_instances=3), time.monotonic_ns)
    codes: list[str] = []

    def launch(number: int) -> None:
        try:
            cloud.launch(number, "serving", f"token-{number}")
            codes.append("launched")
        except CloudError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=launch, args=(number,)) for number in range(1, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == ["MaxInstances"] * 4 + ["launched"] * 3
    assert len(cloud.list()) == 3


class Together:
    """A cloud on which two processes launch at the very same moment, after both have counted."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._counted, self._launched = threading.Barrier(2, timeout=20), threading.Barrier(2, timeout=20)

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        self._counted.wait()
        made = self._cloud.launch(number, role, token)
        self._launched.wait()
        return made

    def terminate(self, provider_id: str) -> None:
        self._cloud.terminate(provider_id)

    def list(self) -> tuple[CloudInstance, ...]:
        return self._cloud.list()


def test_two_processes_that_launch_at_once_end_what_is_too_much() -> None:
    clock = HandClock()
    shared = Together(Overlay(MemoryCloud(clock.now), clock.now, 0))
    clouds = [limited(shared, clock, 1) for _ in range(2)]
    codes: list[str] = []

    def launch(turn: int) -> None:
        try:
            clouds[turn].launch(turn + 1, "serving", f"token-{turn}")
        except CloudError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=launch, args=(turn,)) for turn in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes
    assert set(codes) == {"MaxInstances"}
    assert len(shared.list()) <= 1


def test_everything_is_ended_before_the_time_is_exceeded() -> None:
    clock, notices = HandClock(), list[str]()
    cloud = limited(MemoryCloud(clock.now), clock, hours=3, notices=notices)
    one, _ = cloud.launch(1, "serving", "a"), cloud.launch(2, "serving", "b")
    clock.advance(HOUR)
    cloud.terminate(one.provider_id)
    assert [instance.number for instance in cloud.list()] == [2]
    clock.advance(HOUR - 11 * 10**9)
    assert not cloud.enforce()
    assert len(cloud.list()) == 1
    clock.advance(10**9)
    assert cloud.enforce()
    assert cloud.list() == ()
    assert notices == ["2.997 instance-hours spent, at most 3 allowed; ending 1 instances"]
    with pytest.raises(CloudError, match=r"MaxHours: 2\.997 instance-hours spent, at most 3 allowed"):
        cloud.launch(3, "serving", "c")


def test_a_refused_end_is_asked_for_again_and_keeps_no_other_alive() -> None:
    clock = HandClock()

    class Stubborn(MemoryCloud):
        stubborn = True

        def terminate(self, provider_id: str) -> None:
            if self.stubborn and provider_id.endswith("1"):
                raise CloudError("RequestLimitExceeded", "slow down")
            super().terminate(provider_id)

    inner = Stubborn(clock.now)
    cloud = limited(inner, clock, hours=1)
    for number in (1, 2, 3):
        cloud.launch(number, "serving", str(number))
    clock.advance(HOUR)
    with pytest.raises(CloudError, match="RequestLimitExceeded"):
        cloud.enforce()
    assert [one.number for one in inner.list()] == [1]
    inner.stubborn = False
    assert cloud.list() == ()


def at(settings: SettingsOf, hours: float, **changes: object) -> tuple[HandClock, AwsSettings]:
    """A clock that stands *hours* after its zero, at the wall clock's now; and settings that say so."""
    clock = HandClock()
    clock.advance(round(hours * HOUR))
    return clock, settings(epoch=time.time_ns() - clock.now(), **changes)


def test_the_time_survives_a_restart(settings: SettingsOf) -> None:
    clock, given = at(settings, 5, max_hours=12.0)
    end, clock.time = clock.time, 0
    first = cloud_of(given, clock.now)
    one = first.launch(1, "serving", "a")
    first.launch(2, "serving", "b")
    clock.time = end
    first.terminate(one.provider_id)
    # 10 hours are spent: 5 by the one that is gone. A new process knows it by the tags and by what EC2 remembers.
    again = cloud_of(given, clock.now)
    assert [instance.number for instance in again.list()] == [2]
    clock.advance(HOUR)
    assert not cloud_of(given, clock.now).enforce()
    clock.advance(HOUR)
    last = cloud_of(given, clock.now)
    with pytest.raises(CloudError, match=r"MaxHours: 12\.\d+ instance-hours"):
        last.launch(3, "serving", "c")
    assert last.list() == ()


def test_what_a_launch_noted_counts_when_ec2_has_forgotten(settings: SettingsOf) -> None:
    clock = HandClock()
    clock.advance(10 * HOUR)
    books = InstanceTime(clock.now)
    books.recover(Past((), at=8 * HOUR, spent=20 * HOUR))
    books.see((CloudInstance(1, "i-1", "", "serving", "running", 3 * HOUR),))
    books.see((CloudInstance(1, "i-1", "", "serving", "running", 3 * HOUR),
               CloudInstance(2, "i-2", "", "serving", "running", 8 * HOUR)))  # fmt: skip
    assert books.spent() == 24 * HOUR
    assert books.spent(HOUR) == 26 * HOUR


def test_time_counts_for_one_run_but_leftovers_count_too(settings: SettingsOf) -> None:
    clock, given = at(settings, 5, max_hours=20.0)
    end, clock.time = clock.time, 0
    old = cloud_of(given, clock.now)
    ended, _ = old.launch(1, "serving", "a"), old.launch(2, "serving", "b")
    clock.time = end
    old.terminate(ended.provider_id)
    fresh = cloud_of(given.model_copy(update={"run": "run-2", "max_hours": 5.1}), clock.now)
    fresh.launch(3, "serving", "c")
    clock.advance(HOUR // 10)
    assert fresh.enforce()
    assert fresh.list() == ()


def test_a_watch_enforces_without_anybody_asking() -> None:
    clock, stopping, notices = HandClock(), threading.Event(), list[str]()

    class Refusing(MemoryCloud):
        refusals = 2

        def terminate(self, provider_id: str) -> None:
            if self.refusals:
                self.refusals -= 1
                raise CloudError("Unavailable", "away")
            super().terminate(provider_id)

    inner = Refusing(clock.now)
    books = InstanceTime(clock.now)
    cloud = LimitedCloud(inner, Limits(None, HOUR, margin=20_000_000), books, notice=notices.append)
    cloud.launch(1, "serving", "a")
    cloud.watch(stopping)
    try:
        clock.advance(HOUR)
        deadline = time.monotonic() + 30
        while inner.list():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        stopping.set()
    assert notices == [
        "1.000 instance-hours spent, at most 1 allowed; ending 1 instances",
        "limits: Unavailable: away",
    ]


def test_a_launch_that_cannot_be_counted_is_taken_back() -> None:
    clock = HandClock()

    class Flaky(MemoryCloud):
        launched = False

        def launch(self, number: int, role: str, token: str) -> CloudInstance:
            self.launched = True
            return super().launch(number, role, token)

        def list(self) -> tuple[CloudInstance, ...]:
            if self.launched:
                raise CloudError("Unavailable", "away")
            return super().list()

    inner = Flaky(clock.now)
    with pytest.raises(CloudError, match="Unavailable"):
        limited(inner, clock, 2).launch(1, "serving", "a")
    inner.launched = False
    assert inner.list() == ()


def test_what_ended_by_itself_is_no_reason_to_end_the_rest() -> None:
    clock, remembered = HandClock(), list[Ended]()
    inner = MemoryCloud(clock.now)
    limits, books = Limits(None, 4 * HOUR), InstanceTime(clock.now)
    cloud = LimitedCloud(inner, limits, books, lambda: Past(tuple(remembered)))
    one, _ = cloud.launch(1, "serving", "a"), cloud.launch(2, "serving", "b")
    inner.terminate(one.provider_id)
    remembered.append(Ended(one.provider_id, 0, HOUR))
    clock.advance(2 * HOUR)
    assert not cloud.enforce()
    assert [instance.number for instance in cloud.list()] == [2]
    clock.advance(HOUR)
    assert cloud.enforce()
    assert inner.list() == ()
