"""kill -9 of the build server, of a step's supervisor and of Redis: no build is lost, nothing runs on, and what was half deployed is taken back."""

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from ..redis_fixture import RedisServer
from .support_builds import Repo, Server, alive, eventually, pipeline

Make = Callable[..., Server]


def deploying(first_hangs: str = "echo 1 > $W/half; echo ready; sleep 600") -> dict[str, object]:
    """A pipeline whose deploy hangs the first time, and whose way back says so in the file ``fleet``."""
    document = pipeline(
        "true",
        roll_back={
            "steps": [
                'W="$WORKSPACE/.."\necho "back to [$GIT_PREVIOUS_SUCCESSFUL_COMMIT]" >> $W/fleet\nrm $W/half'
            ]
        },
    )
    script = f'W="$WORKSPACE/.."\necho begin >> $W/fleet\nif [ ! -e $W/again ]; then touch $W/again; {first_hangs}; fi\necho deployed >> $W/fleet'
    document["stages"].append({"stage": "deploy", "steps": [script], "roll_back": True})
    return document


def test_a_build_under_which_the_server_is_killed_is_ended_and_begun_again(
    make_server: Make, repo: Repo
) -> None:
    server = make_server().start()
    server.hook()
    wait = "while [ ! -e ../gate ]; do sleep 0.02; done"
    repo.commit(pipeline(f"setsid sleep 600 > /dev/null 2>&1 &\necho $! > ../pid\necho ready\n{wait}"))
    repo.push()
    repo.push("canary")
    server.running(1)
    server.running(2)
    repo.commit(pipeline("echo newer"))
    repo.push("canary")
    pids = [int((server.folder / str(number) / "pid").read_text()) for number in (1, 2)]
    assert all(alive(pid) for pid in pids)
    server.kill()
    eventually(lambda: not any(alive(pid) for pid in pids), "what a build has started outlives the server")
    (server.folder / "1" / "gate").touch()

    server.start()
    first = server.ended(1)
    assert (first.state, first.attempt) == ("passed", 2)
    second = server.client.build(2)
    assert (second.state, second.attempt) == ("superseded", 1)
    assert second.reason == "the build server died under it; build 3 takes its place"
    assert server.ended(3).state == "passed"
    assert "build 1: the build server died under attempt 1; it is begun again" in server.errors


def test_a_deploy_under_which_the_server_is_killed_is_taken_back_first(make_server: Make, repo: Repo) -> None:
    server = make_server().start()
    server.hook()
    good = repo.commit(pipeline("true"))
    repo.push()
    server.ended(1)
    repo.commit(deploying())
    repo.push()
    server.running(2, "deploy")
    assert (server.folder / "2" / "half").exists()
    server.kill()
    server.start()
    build = server.ended(2)
    assert (build.state, build.attempt) == ("passed", 2)
    told = (server.folder / "2" / "fleet").read_text().splitlines()
    assert told == ["begin", f"back to [{good}]", "begin", "deployed"]
    assert not (server.folder / "2" / "half").exists()


@pytest.mark.long
def test_a_deploy_that_is_superseded_while_the_server_was_dead_is_taken_back_too(
    make_server: Make, repo: Repo
) -> None:
    server = make_server().start()
    server.hook()
    repo.commit(deploying())
    repo.push()
    server.running(1, "deploy")
    repo.commit(pipeline("echo newer"))
    repo.push()
    server.kill()
    server.start()
    assert server.ended(2).state == "passed"
    first = server.client.build(1)
    assert first.state == "superseded"
    assert first.reason.endswith("build 2 takes its place; the build server died; rolled back")
    assert (server.folder / "1" / "fleet").read_text() == "begin\nback to []\n"
    assert first.ended <= server.client.build(2).started, "nothing is deployed over what is half done"


@pytest.mark.long
def test_a_build_that_kills_the_server_each_time_is_given_up(make_server: Make, repo: Repo) -> None:
    server = make_server().start()
    server.hook()
    repo.commit(pipeline("echo ready; sleep 600"))
    repo.push()
    for attempt in (1, 2, 3):
        server.running(1)
        assert server.client.build(1).attempt == attempt
        server.kill()
        server.start()
    build = server.client.build(1)
    assert (build.state, build.reason) == (
        "interrupted",
        "the build server died under each of its 3 attempts",
    )


def test_a_server_that_is_told_to_end_leaves_its_build_to_the_next(make_server: Make, repo: Repo) -> None:
    server = make_server().start()
    server.hook()
    repo.commit(deploying())
    repo.push()
    server.running(1, "deploy")
    assert server.stop(signal.SIGTERM) == 0
    server.start()
    build = server.ended(1)
    assert (build.state, build.attempt) == ("passed", 1), "that was no fault of the build"
    assert (server.folder / "1" / "fleet").read_text() == "begin\nback to []\nbegin\ndeployed\n"


def test_a_supervisor_that_is_killed_leaves_nothing(make_server: Make, repo: Repo) -> None:
    with make_server() as server:
        server.hook()
        repo.commit(pipeline("setsid sleep 600 &\necho $! > ../pid\necho ready\nsleep 600"))
        repo.push()
        server.running(1)
        assert server.process is not None
        (supervisor,) = psutil.Process(server.process.pid).children()
        os.kill(supervisor.pid, signal.SIGKILL)
        build = server.ended(1)
        assert (build.state, build.stages[1].status) == ("failed", 137)
        assert not alive(int((server.folder / "1" / "pid").read_text()))


def test_redis_may_go_and_come_back_empty_while_a_build_runs(
    make_server: Make, repo: Repo, redis_server: RedisServer
) -> None:
    with make_server() as server:
        server.hook()
        repo.commit(pipeline("echo ready\nwhile [ ! -e ../gate ]; do sleep 0.02; done"))
        repo.push()
        server.running(1)
        redis_server.stop()
        (server.folder / "1" / "gate").touch()
        eventually(lambda: "waiting for Redis" in server.errors, "it does not notice")
        repo.commit(pipeline("true"))
        assert "Redis is away" in repo.push("canary")
        redis_server.start()
        build = eventually(lambda: _passed(redis_server), "the end of the build is not written down")
        assert '"number":1' in build


def _passed(redis_server: RedisServer) -> str:
    text = redis_server.client.get("windtunnel:builds:build:1") or ""
    return str(text) if '"state":"passed"' in str(text) else ""


def test_two_servers_never_share_a_queue(make_server: Make, repo: Repo, redis_server: RedisServer) -> None:
    with make_server() as server:
        owner = redis_server.client.get("windtunnel:builds:lease")
        redis_server.client.set("windtunnel:builds:lease", "elsewhere:1:1.00")
        assert server.process is not None
        assert server.process.wait(timeout=30) == 4
        assert "another build server has taken the lease" in server.errors
        assert str(owner).split(":")[1] == str(server.process.pid)
