"""What a registry must do. Each check is given a fresh registry, a raw client of the same store, and a way to let time pass.

The raw client speaks redis-py's words (decoded responses): with it a check plays the part of a foreign program of the classic
fleet. *advance* lets at least so many ns pass, really or virtually.
"""

from collections.abc import Callable
from typing import Any

from ...core.ports import ProxyLoad, Registry, Sample
from ...core.tallies import count_try, no_counters, tallies_of

Advance = Callable[[int], None]
Check = Callable[[Registry, Any, Advance], None]

A, B = "http://10.0.0.1", "http://10.0.0.2:8080"
MS = 1_000_000


def lists_are_edited(registry: Registry, raw: Any, advance: Advance) -> None:
    """Registering puts a server into one list, once; moving and leaving work; lists are sorted on read."""
    registry.register(B, "serving")
    registry.register(A, "serving")
    registry.register(A, "serving")
    assert registry.servers().serving == (A, B)
    registry.register(A, "canary")
    servers = registry.servers()
    assert (servers.serving, servers.canary, servers.standby) == ((B,), (A,), ())
    registry.register(A, "standby")
    assert registry.servers().standby == (A,)
    registry.deregister(A)
    assert registry.servers().standby == ()
    assert raw.lrange("serving_servers", 0, -1) == [B]


def newest_server_is_first(registry: Registry, raw: Any, advance: Advance) -> None:
    """Lists are edited by LPUSH, as classic programs expect."""
    registry.register(B, "serving")
    registry.register(A, "serving")
    assert raw.lrange("serving_servers", 0, -1) == [A, B]


def samples_come_back(registry: Registry, raw: Any, advance: Advance) -> None:
    """A sample is read as it was written, custom metrics included; the classic hashes are written beside it."""
    sample = Sample(A, 5_000_000_000, 312, 0.4375, 0.8125, 17, "2", "serving", {"depth": 3.5})
    registry.write_samples([sample])
    assert registry.read_samples([A, B]) == {A: sample}
    assert raw.hgetall("request_load") == {A: "312"}
    assert float(raw.hgetall("memory_load")[A]) == 0.4375
    assert raw.hgetall("10.0.0.1")["requests"] == "312"


def the_proxys_sample_comes_back(registry: Registry, raw: Any, advance: Advance) -> None:
    """The latest one, under a key of ours; nothing before the first; numbers that are none count as 0."""
    assert registry.read_proxy_load() is None
    registry.write_proxy_load(ProxyLoad(4_000_000_000, 7, 7, 1, 3))
    registry.write_proxy_load(ProxyLoad(5_000_000_000, 250, 12, 31, 0))
    assert registry.read_proxy_load() == ProxyLoad(5_000_000_000, 250, 12, 31, 0)
    assert raw.hgetall("windtunnel:proxy")["requests"] == "250"
    raw.hset("windtunnel:proxy", "in_flight", "many")
    assert registry.read_proxy_load() == ProxyLoad(5_000_000_000, 250, 12, 0, 0)
    registry.write_samples([Sample(A, 1, 1, 0.5)])
    registry.forget(A)
    assert registry.read_proxy_load() is not None


def deploys_are_told(registry: Registry, raw: Any, advance: Advance) -> None:
    """What is being updated is a list of ours, exchanged as a whole; nobody's at first, and no server's."""
    assert registry.updating() == ()
    registry.set_updating([B, A, B])
    assert registry.updating() == (A, B)
    assert sorted({*raw.lrange("windtunnel:updating", 0, -1)}) == [A, B]
    registry.forget(A)
    assert registry.updating() == (A, B)
    registry.set_updating([B])
    assert registry.updating() == (B,)
    registry.set_updating(())
    assert registry.updating() == ()


def the_canaries_share_is_a_fraction(registry: Registry, raw: Any, advance: Advance) -> None:
    """It is kept as text; what is no fraction from 0 to 1 is neither written nor read."""
    assert registry.canary_share() is None
    for share in ((1, 4), (0, 1), (1, 1), (333_333, 1_000_000)):
        registry.set_canary_share(share)
        assert registry.canary_share() == share
    assert raw.get("windtunnel:canary_share") == "333333/1000000"
    for wrong in ((2, 1), (0, 0), (-1, 4), (1, 1_000_001)):
        try:
            registry.set_canary_share(wrong)
        except ValueError:
            continue
        raise AssertionError(f"{wrong} was taken for a share")
    assert registry.canary_share() == (333_333, 1_000_000)
    for text in ("", "1", "5/4", "1/0", "-1/4", "a/b", "1/4/2", " 1/4", "1/99999999"):
        raw.set("windtunnel:canary_share", text)
        assert registry.canary_share() is None, text
    registry.set_canary_share((1, 10))
    registry.set_canary_share(None)
    assert registry.canary_share() is None


def tallies_come_back(registry: Registry, raw: Any, advance: Advance) -> None:
    """The latest ones, buckets included; nothing before the first; numbers that are none count as 0."""
    assert registry.read_tallies() is None
    counters = no_counters()
    for latency, role, failed in ((3, 0, False), (50 * MS, 0, True), (50 * MS, 1, False), (10**12, 1, True)):
        count_try(counters, role, latency, failed)
    first = tallies_of(4_000_000_000, counters)
    registry.write_tallies(first)
    assert registry.read_tallies() == first
    count_try(counters, 1, 3, False)
    second = tallies_of(5_000_000_000, counters)
    registry.write_tallies(second)
    assert registry.read_tallies() == second
    assert raw.hgetall("windtunnel:tallies")["canary_answers"] == "3"
    raw.hset("windtunnel:tallies", "canary_failures", "many")
    raw.hset("windtunnel:tallies", "canary_latency", "0:1 900:7 x:1 2:")
    raw.hset("windtunnel:tallies", "serving_failures", "-1")
    odd = registry.read_tallies()
    assert odd is not None
    assert (odd.serving.failures, odd.canary.failures, odd.canary.answers) == (0, 0, 3)
    assert sum(odd.canary.latency) == odd.canary.latency[0] == 1


def forgetting_deletes_everything(registry: Registry, raw: Any, advance: Advance) -> None:
    """A departed server leaves neither list entries nor fields."""
    registry.register(A, "serving")
    registry.write_samples([Sample(A, 1, 1, 0.5), Sample(B, 1, 2, 0.25)])
    registry.forget(A)
    registry.forget(A)
    assert registry.servers().serving == ()
    assert set(raw.hgetall("request_load")) == {B}
    assert set(raw.hgetall("memory_load")) == {B}
    assert registry.read_samples([A]) == {}


def foreign_fleet_is_understood(registry: Registry, raw: Any, advance: Advance) -> None:
    """A classic fleet's commands: rotation by RPOPLPUSH, a plain string under a bare address, zeros on departure."""
    raw.lpush("serving_servers", A)
    raw.lpush("serving_servers", B)
    for _ in range(3):
        assert raw.rpoplpush("serving_servers", "serving_servers") in (A, B)
    raw.lpush("serving_servers", A)
    assert registry.servers().serving == (A, B)
    raw.set("10.0.0.1", "250")
    raw.hset("request_load", A, "250")
    raw.hset("memory_load", A, "0.5")
    raw.hset("request_load", B, "7")
    raw.hset("memory_load", B, "not a number")
    assert registry.read_samples([A, B]) == {A: Sample(A, None, 250, 0.5), B: Sample(B, None, 7, 0.0)}
    raw.lrem("serving_servers", 0, A)
    raw.hset("request_load", A, "0")
    raw.hset("memory_load", A, "0")
    assert registry.servers().serving == (B,)
    assert registry.read_samples([A]) == {A: Sample(A, None, 0, 0.0)}
    registry.forget(A)
    assert registry.read_samples([A]) == {}


def wrong_types_do_not_crash(registry: Registry, raw: Any, advance: Advance) -> None:
    """A foreign program that made request_load something else than a hash leaves servers unknown, no more."""
    raw.set("request_load", "what")
    assert registry.read_samples([A]) == {}
    raw.lpush("10.0.0.1", "neither hash nor string")
    assert registry.read_samples([A]) == {}


def a_plain_string_is_a_request_count(registry: Registry, raw: Any, advance: Advance) -> None:
    """A foreign server's own key, where request_load does not know it; and numbers that are none."""
    raw.set("10.0.0.1", "12")
    raw.set("10.0.0.2:8080", "nan")
    assert registry.read_samples([A, B]) == {A: Sample(A, None, 12, 0.0), B: Sample(B, None, 0, 0.0)}
    raw.hset("request_load", A, "1e400")
    raw.hset("memory_load", A, "inf")
    assert registry.read_samples([A]) == {A: Sample(A, None, 0, 0.0)}


def numbers_are_fresh(registry: Registry, raw: Any, advance: Advance) -> None:
    """Instance numbers count from 1."""
    assert [registry.next_number() for _ in range(3)] == [1, 2, 3]


def instances_are_kept(registry: Registry, raw: Any, advance: Advance) -> None:
    """The autoscaler's instances, in the classic list."""
    registry.add_instance("i-2")
    registry.add_instance("i-1")
    registry.add_instance("i-2")
    assert registry.instances() == ("i-1", "i-2")
    registry.remove_instance("i-2")
    assert registry.instances() == ("i-1",)
    assert raw.lrange("aws_instanceid", 0, -1) == ["i-1"]


def one_holds_the_lease(registry: Registry, raw: Any, advance: Advance) -> None:
    """One holder at a time; renewal keeps the token, a new holder gets a greater one."""
    first = registry.acquire_lease("one", 200 * MS)
    assert first is not None
    assert registry.acquire_lease("two", 200 * MS) is None
    assert registry.acquire_lease("one", 200 * MS) == first
    advance(300 * MS)
    second = registry.acquire_lease("two", 200 * MS)
    assert second is not None
    assert second > first
    assert registry.acquire_lease("one", 200 * MS) is None


def late_writers_are_fenced(registry: Registry, raw: Any, advance: Advance) -> None:
    """State under an old token is not written."""
    old = registry.acquire_lease("one", 50 * MS)
    assert old is not None
    assert registry.load_state("autoscaler") == {}
    assert registry.save_state("autoscaler", {"last_action": 7, "wanted": -3, "policy": '{"a": [1]}'}, old)
    advance(150 * MS)
    new = registry.acquire_lease("two", 50 * MS)
    assert new is not None
    assert not registry.save_state("autoscaler", {"last_action": 9}, old)
    assert registry.load_state("autoscaler") == {"last_action": 7, "wanted": -3, "policy": '{"a": [1]}'}
    assert registry.save_state("autoscaler", {"last_action": 11}, new)
    assert registry.load_state("autoscaler") == {"last_action": 11}


CHECKS: tuple[Check, ...] = (
    lists_are_edited,
    newest_server_is_first,
    samples_come_back,
    the_proxys_sample_comes_back,
    deploys_are_told,
    the_canaries_share_is_a_fraction,
    tallies_come_back,
    forgetting_deletes_everything,
    foreign_fleet_is_understood,
    wrong_types_do_not_crash,
    a_plain_string_is_a_request_count,
    numbers_are_fresh,
    instances_are_kept,
    one_holds_the_lease,
    late_writers_are_fenced,
)
