"""Somebody else's deploys as events of a flight that is attached to their fleet."""

from collections.abc import Mapping
from typing import Any

import pytest
from windtunnel.backends.deploy.deploy_books import DeployBooks
from windtunnel.backends.local.followed_deploys import FollowedDeploys
from windtunnel.core.ports import RegistryError
from windtunnel.core.rollout.books import Books
from windtunnel.core.rollout.outcome import outcomes
from windtunnel.core.rollout.spec import CANARY, CANARY_STEPS, MASTER, REDIS, DeploySpec
from windtunnel.core.rollout.states import State

from ..redis_fixture import RedisServer

SECOND = 1_000_000_000
GOOD = DeploySpec("good", 0, CANARY, "next", CANARY_STEPS, expect="promoted")
BAD = DeploySpec("bad", 0, CANARY, "next", CANARY_STEPS, expect="rolled_back")


class Fleet:
    """Books in a registry, and who follows them under the prefix of another fleet's neighbour."""

    def __init__(self, redis: RedisServer, *specs: DeploySpec) -> None:
        self.events: list[dict[str, Any]] = []
        self.specs = specs
        self.followed = FollowedDeploys(specs, redis.client, "mine:", self._emit)
        self._redis = redis
        self._second = 0

    def _emit(self, time: int, name: str, fields: Mapping[str, Any]) -> None:
        self.events.append({"t": time, "event": name, **fields})

    def keep(self, *roles: str, **books: Any) -> None:
        """As a deploy's driver keeps its books after a turn."""
        deploy = DeployBooks(self._redis.client, "mine:", roles, "driver")
        assert deploy.hold()
        found = Books(**{"deploy": "canary-abc", "target": "abc", "previous": "old", "began": 1, **books})
        assert deploy.save(found.write())

    def turn(self) -> None:
        """The next look."""
        self._second += SECOND
        self.followed.note(self.followed.look(), self._second)

    @property
    def names(self) -> list[str]:
        """What has happened."""
        return [event["event"] for event in self.events]


def test_a_canary_that_is_taken_back_is_told_with_the_times_of_its_turns(redis_server: RedisServer) -> None:
    fleet = Fleet(redis_server, BAD)
    fleet.turn()
    fleet.keep(
        "canary", "app", state=State.PREPARING, began=SECOND + 5, since=SECOND + 5, shares=True, share=(0, 1)
    )
    fleet.turn()
    fleet.turn()
    fleet.keep(
        "canary", "app", state=State.ANALYSING, began=SECOND + 5, since=3 * SECOND + 7, shares=True, share=(1, 5)
    )  # fmt: skip
    fleet.turn()
    fleet.keep(
        "canary", "app", state=State.ROLLED_BACK, reason="too many errors", began=SECOND + 5, since=4 * SECOND + 9, shares=True
    )  # fmt: skip
    fleet.turn()
    fleet.turn()
    assert [(event["event"], event["t"]) for event in fleet.events] == [
        ("deploy_started", SECOND + 5), ("weight_set", SECOND + 5), ("weight_set", 3 * SECOND + 7), ("weight_set", 4 * SECOND + 9),
        ("rollback_started", 4 * SECOND + 9), ("deploy_rolled_back", 4 * SECOND + 9),
    ]  # fmt: skip
    assert fleet.events[0] == {
        "t": SECOND + 5, "event": "deploy_started", "deploy": "bad", "branch": "canary", "version": "abc", "previous": "old", "strategy": "canary",
    }  # fmt: skip
    assert [event["share"] for event in fleet.events if "share" in event] == ["0/1", "1/5", "default"]
    (ended,) = outcomes(fleet.specs, fleet.events)
    assert (ended.held, ended.reason) == (True, "too many errors")


def test_only_the_scenario_s_deploys_that_begin_or_go_on_are_followed(redis_server: RedisServer) -> None:
    fleet = Fleet(redis_server, GOOD, BAD, DeploySpec("all", 0, MASTER, "next"))
    fleet.keep("canary", "app", state=State.PROMOTED, began=1, since=2)
    fleet.turn()
    assert fleet.events == [], "it was over before"
    # Its books are also the app servers', of which the scenario waits for another one.
    fleet.keep("canary", "app", state=State.STEPPING, began=3, since=4)
    fleet.turn()
    fleet.keep("canary", "app", deploy="canary-def", target="def", state=State.PROMOTED, began=5, since=6)
    fleet.turn()
    told = [(event["event"], event["deploy"]) for event in fleet.events]
    assert told == [
        ("deploy_started", "good"), ("deploy_superseded", "good"), ("deploy_started", "bad"), ("deploy_promoted", "bad")
    ]  # fmt: skip
    fleet.keep("canary", "app", deploy="canary-ghi", state=State.STEPPING, began=7, since=8)
    fleet.turn()
    assert len(fleet.events) == 4, "a third was not foreseen"
    fleet.keep("app", deploy="master-jkl", target="jkl", state=State.ROLLING_BACK, began=9, since=10)
    fleet.turn()
    fleet.keep("app", deploy="master-jkl", target="jkl", state=State.FAILED, began=9, since=11)
    fleet.turn()
    assert fleet.names[4:] == ["deploy_started", "rollback_started", "deploy_failed"]
    assert {event["deploy"] for event in fleet.events[4:]} == {"all"}


def test_a_registry_that_was_started_anew_shows_by_its_run(redis_server: RedisServer) -> None:
    fleet = Fleet(redis_server, DeploySpec("registry", 0, REDIS, "next"))
    fleet.turn()
    fleet.turn()
    redis_server.stop()
    with pytest.raises(RegistryError):
        fleet.followed.look()
    fleet.followed.lost(3 * SECOND)
    assert fleet.events == []
    redis_server.start()
    fleet._second = 3 * SECOND
    fleet.turn()
    fleet.turn()
    assert [(event["event"], event["t"]) for event in fleet.events] == [
        ("deploy_started", 3 * SECOND), ("registry_restarted", 4 * SECOND), ("deploy_promoted", 4 * SECOND)
    ]  # fmt: skip
    assert fleet.events[1]["away"] == SECOND
