"""The build server as a whole: real pushes to a real repository, real processes, a real Redis."""

import os
import signal
from collections.abc import Callable

from .support_builds import Repo, Server, alive, pipeline, read_json, windtunnel

Make = Callable[..., Server]


def test_a_push_is_built_in_a_clean_checkout_and_published(make_server: Make, repo: Repo) -> None:
    with make_server() as server:
        server.hook()
        publish = {"junit": ["out/*.xml"], "artifacts": ["out/**"]}
        commit = repo.commit(
            pipeline(
                "test ! -e untracked\ntouch untracked\nmkdir out",
                'echo "$BRANCH_NAME $BUILD_NUMBER $GIT_COMMIT [$GIT_PREVIOUS_SUCCESSFUL_COMMIT] $WORKSPACE" > out/variables',
                """echo '<testsuite tests="3" failures="1" errors="0" skipped="1"/>' > out/junit.xml""",
                publish=publish,
            )
        )
        told = repo.push()
        assert f"remote: windtunnel: build 1 of master at {commit[:12]} is queued" in told
        first = server.ended(1)
        assert (first.state, first.role, first.commit, first.origin) == ("passed", "app", commit, "push")
        assert [run.state for run in first.stages] == ["passed", "passed"]
        assert first.artifacts == ["out/junit.xml", "out/variables"]
        assert first.tests is not None
        assert (first.tests.tests, first.tests.failures, first.tests.skipped) == (3, 1, 1)
        kept = server.folder / "1" / "artifacts" / "out" / "variables"
        assert kept.read_text() == f"master 1 {commit} [] {server.folder}/1/checkout\n"
        assert not (server.folder / "1" / "checkout").exists()

        repo.commit(pipeline('echo "back to $GIT_PREVIOUS_SUCCESSFUL_COMMIT"'))
        repo.push()
        assert server.ended(2).state == "passed"
        assert f"\nback to {commit}\n" in server.log(2)
        assert "feature has no role in pipeline.yaml: not built" in repo.push("feature")
        shown = windtunnel("deploy", "status", "--url", server.url)
        assert (shown.returncode, shown.stdout.count("passed")) == (0, 2)


def test_a_step_that_fails_ends_the_build_and_the_way_back_is_taken(make_server: Make, repo: Repo) -> None:
    document = pipeline("true")
    document["stages"] += [
        {"stage": "rehearse", "steps": ["test ! -e slow || exit 3"]},
        {"stage": "deploy", "steps": ["echo new > ../../fleet\ntest ! -e bad"], "roll_back": True},
        {"stage": "verify", "steps": ["echo verified"], "roll_back": True},
    ]
    document["roll_back"] = {"steps": ["echo old > ../../fleet"]}
    with make_server() as server:
        server.hook()
        repo.commit(document, bad="")
        repo.push()
        build = server.ended(1)
        fleet = server.folder / "fleet"
        assert build.state == "failed"
        assert build.reason == "deploy: exit code 1; rolled back"
        states = [run.state for run in build.stages]
        assert states == ["passed", "passed", "passed", "failed", "not run"]
        assert fleet.read_text() == "old\n"

        repo.commit(document, slow="")
        repo.push()
        build = server.ended(2)
        assert build.reason == "rehearse: exit code 3", "a violated objective stops it before it deploys"
        assert fleet.read_text() == "old\n"


def test_two_pushes_at_once_wait_for_each_other_and_the_newest_wins(make_server: Make, repo: Repo) -> None:
    with make_server() as server:
        server.hook()
        gate = server.folder / "gate"
        wait = f"echo ready\nwhile [ ! -e {gate} ]; do sleep 0.02; done"
        for number in (1, 2, 3):
            repo.commit(pipeline(wait))
            told = repo.push()
            if number == 1:
                server.running(1)
        assert "build 3" in told
        assert "build 2 is superseded" in told
        repo.push("canary")
        server.running(4)
        states = {one.number: one.state for one in server.client.builds()}
        assert states == {1: "running", 2: "superseded", 3: "queued", 4: "running"}
        gate.touch()
        assert server.ended(3).state == "passed"
        assert server.ended(1).ended <= server.client.build(3).started, "one at a time per role"
        assert server.client.build(4).started < server.client.build(1).ended, (
            "roles do not wait for each other"
        )


def test_a_timeout_and_a_cancellation_end_what_daemonized(make_server: Make, repo: Repo) -> None:
    daemon = "setsid sh -c 'setsid sleep 600 & echo $! > ../pid; wait' > /dev/null 2>&1 &\nwhile [ ! -s ../pid ]; do sleep 0.01; done"
    hang = "trap '' TERM\necho ready\nsleep 600 & wait; sleep 600"
    document = pipeline(f"{daemon}\n{hang}")
    document["stages"][1]["timeout"] = "1s"
    with make_server() as server:
        server.hook()
        repo.commit(document)
        repo.push()
        build = server.ended(1)
        assert (build.stages[1].state, build.reason) == ("timed out", "work: not done within 1 s")
        assert not alive(int((server.folder / "1" / "pid").read_text()))

        repo.commit(pipeline(f"{daemon}\n{hang}"))
        repo.push()
        server.running(2)
        pid = int((server.folder / "2" / "pid").read_text())
        assert alive(pid)
        told = windtunnel("deploy", "cancel", "2", "--url", server.url)
        assert (told.returncode, told.stdout) == (0, "build 2: being cancelled\n")
        build = server.ended(2)
        assert (build.state, build.stages[1].state) == ("cancelled", "cancelled")
        assert not alive(pid)
        again = windtunnel("deploy", "cancel", "2", "--url", server.url)
        assert again.returncode == 2
        assert "build 2 is over: cancelled" in again.stderr


def test_a_step_that_succeeds_leaves_nothing_but_what_it_released(make_server: Make, repo: Repo) -> None:
    leave = "setsid sleep 600 > /dev/null 2>&1 &\necho $! > ../left\nJENKINS_NODE_COOKIE=dontKillMe setsid sleep 600 &\necho $! > ../released\nsleep 0.3"
    with make_server() as server:
        server.hook()
        repo.commit(pipeline(leave))
        repo.push()
        assert server.ended(1).state == "passed"
        left, released = (int((server.folder / "1" / name).read_text()) for name in ("left", "released"))
        try:
            assert not alive(left)
            assert alive(released)
        finally:
            os.kill(released, signal.SIGKILL)


def test_a_queued_build_is_cancelled_and_trigger_follows(make_server: Make, repo: Repo) -> None:
    with make_server() as server:
        gate = server.folder / "gate"
        repo.commit(pipeline(f"echo ready\nwhile [ ! -e {gate} ]; do sleep 0.02; done"))
        repo.push()
        url = ("--url", server.url)
        assert windtunnel("deploy", "trigger", "--branch", "master", *url).returncode == 0
        server.running(1)
        assert windtunnel("deploy", "trigger", "--branch", "master", *url).returncode == 0
        assert windtunnel("deploy", "cancel", "2", *url).stdout == "build 2: cancelled\n"
        gate.touch()
        assert server.ended(1).state == "passed"
        repo.commit(pipeline("echo it is broken; exit 7"))
        repo.push()
        failed = windtunnel("deploy", "trigger", "--branch", "master", "--follow", *url)
        assert failed.returncode == 3
        assert "it is broken" in failed.stdout
        assert failed.stdout.endswith("build 3: failed work: exit code 7\n")
        one = read_json(windtunnel("deploy", "status", "3", "--json", *url).stdout)
        assert one["stages"][1]["status"] == 7
        assert "it is broken" in windtunnel("deploy", "log", "3", "--stage", "work", *url).stdout
        none = windtunnel("deploy", "trigger", "--branch", "nowhere", *url)
        assert (none.returncode, "there is no branch 'nowhere'" in none.stderr) == (2, True)
    away = windtunnel("deploy", "status", *url)
    assert away.returncode == 4
    assert "it does not answer" in away.stderr


def test_a_pipeline_with_a_mistake_is_a_failed_build_that_says_where(make_server: Make, repo: Repo) -> None:
    with make_server() as server:
        server.hook()
        document = pipeline("true")
        document["stages"][1]["timout"] = "1m"
        repo.commit(document)
        assert "build 1 of master" in repo.push()
        build = server.ended(1)
        assert build.state == "failed"
        assert "stages[1].timout: unknown key; did you mean 'timeout'?" in build.reason


def test_pushes_while_no_server_was_there_are_built_when_one_is(make_server: Make, repo: Repo) -> None:
    server = make_server()
    server.start()
    server.hook()
    repo.commit(pipeline("true"))
    repo.push()
    server.ended(1)
    assert server.stop() == 0
    commit = repo.commit(pipeline("true"))
    assert "is away" in repo.push()
    server.start()
    build = server.ended(2)
    assert (build.state, build.commit, build.origin) == ("passed", commit, "missed push")
