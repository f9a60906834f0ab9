"""Builds on a Jenkins, over HTTP: what is asked for, what is shown, and what each failure says."""

import sys
from collections.abc import Iterator

import pytest
from windtunnel.backends.deploy.server import jenkins_client

from ..redis_fixture import free_port
from .fake_jenkins import TOKEN, USER, FakeJenkins, running
from .support_builds import Done, windtunnel


@pytest.fixture
def jenkins(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJenkins]:
    """A Jenkins, and its user's token in the environment."""
    monkeypatch.setenv("JENKINS_USER", USER)
    monkeypatch.setenv("JENKINS_TOKEN", TOKEN)
    monkeypatch.setattr(jenkins_client, "POLL_SECONDS", 0.02)
    with running(FakeJenkins()) as made:
        yield made


def trigger(jenkins: FakeJenkins, *words: str) -> Done:
    branch = () if "--branch" in words else ("--branch", "master")
    return windtunnel(
        "deploy", "trigger", "--jenkins", jenkins.url, "--job", "team/windtunnel", *branch, *words
    )


def test_a_build_is_started_and_followed_to_its_end(jenkins: FakeJenkins) -> None:
    done = trigger(jenkins)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "queue item 25 of team/windtunnel/master",
        "[jenkins] In the quiet period. Expires in 4 sec",
        "build 7 of team/windtunnel/master",
        "Started by user deployer",
        "+ make test",
        "Finished: SUCCESS",
        "build 7 of team/windtunnel/master: SUCCESS",
    ]
    assert jenkins.requests.count("POST /job/team/job/windtunnel/job/master/build") == 1
    assert jenkins.requests.count("POST /job/team/job/windtunnel/job/master/7/logText/progressiveText") == 3


@pytest.mark.parametrize("result", ["FAILURE", "UNSTABLE", "ABORTED"])
def test_what_is_no_success_is_exit_code_3(jenkins: FakeJenkins, result: str) -> None:
    jenkins.result = result
    done = trigger(jenkins)
    assert done.returncode == 3
    assert done.stdout.endswith(f": {result}\n")


def test_failures_are_one_sentence_each(jenkins: FakeJenkins, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(status: int, said: str, *words: str) -> None:
        done = trigger(jenkins, *words)
        assert done.returncode == status
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "<" not in done.stderr
        assert TOKEN not in done.stderr

    fails(4, "there is no such job, branch or build", "--branch", "feature/x")
    assert jenkins.requests[-1].endswith("/job/feature%252Fx/build"), "a branch with a slash is one level"
    fails(2, "--commit: expected none with --jenkins", "--commit", "abcd")
    jenkins.cancelled = True
    fails(4, "queue item 25 of team/windtunnel/master was cancelled")
    jenkins.cancelled, jenkins.waits = False, 10**6
    fails(4, "did not begin within 1 s: In the quiet period", "--timeout", "1")
    jenkins.garbage = True
    fails(4, "could not start a build")
    jenkins.garbage = False
    monkeypatch.setenv("JENKINS_TOKEN", "a wrong token")
    fails(4, "Jenkins refuses: JENKINS_USER and JENKINS_TOKEN are wrong")
    monkeypatch.setenv("JENKINS_TOKEN", "")
    fails(2, "expected both a Jenkins user and an API token")
    monkeypatch.setenv("JENKINS_TOKEN", TOKEN)
    jenkins.url = f"http://127.0.0.1:{free_port()}"
    fails(4, "Jenkins is away or does not answer in time")
    jenkins.url = "jenkins.example"
    fails(2, "--jenkins: expected http://HOST:PORT")
    monkeypatch.setitem(sys.modules, "jenkins", None)
    fails(2, "pip install 'windtunnel[jenkins]'")
