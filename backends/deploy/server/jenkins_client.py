"""Starts a build on a real Jenkins and follows its queue and its console, by python-jenkins (the optional extra ``jenkins``).

Why this client: see docs/build-server.md. What it lacks, the console in parts, goes through its own session, so that credentials, crumb and errors are the same.
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ....core.errors import UsageError

_TIMEOUT_SECONDS = 20
POLL_SECONDS = 1.0
"""Between two looks at the queue or the console."""
_SHOWN = 300

Show = Callable[[str], None]


class JenkinsFailure(Exception):
    """Jenkins is away, refuses, or has lost what it was asked for; one sentence."""


class JenkinsTrigger:
    """A branch's job of the multibranch *job* on the Jenkins at *url*; *user* and *token* (an API token) may be empty for an open one. Raises UsageError without the extra."""

    def __init__(self, url: str, job: str, branch: str, user: str, token: str) -> None:
        try:
            import jenkins
            import requests
        except ImportError:
            raise UsageError(
                "--jenkins: expected the extra jenkins to be installed: pip install 'windtunnel[jenkins]'"
            ) from None
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"--jenkins: expected http://HOST:PORT, got {url!r}")
        if bool(user) != bool(token):
            raise UsageError(
                "expected both a Jenkins user and an API token (JENKINS_USER and JENKINS_TOKEN), or neither"
            )
        self._requests = requests
        self._errors = (jenkins.JenkinsException, requests.RequestException)
        self._server = jenkins.Jenkins(url, user or None, token or None, timeout=_TIMEOUT_SECONDS, retries=0)
        # A branch is a job in the multibranch job's folder; its slashes are not levels of it.
        self._name = f"{job.strip('/')}/{quote(branch, safe='')}"
        self._url = url
        self._token = token

    def start(self) -> int:
        """Put the job into Jenkins' queue; the queue item's number. Raises JenkinsFailure."""
        return int(self._do("start a build", lambda: self._server.build_job(self._name)))

    def wait_begun(self, item: int, seconds: float, show: Show) -> int:
        """Wait until the queue item is a build; its number. Raises JenkinsFailure."""
        deadline, last = time.monotonic() + seconds, ""
        while True:
            told: dict[str, Any] = self._do("read the queue", lambda: self._server.get_queue_item(item))
            if told.get("cancelled"):
                raise JenkinsFailure(f"{self._url}: queue item {item} of {self._name} was cancelled")
            if told.get("executable"):
                return int(told["executable"]["number"])
            why = str(told.get("why") or "")
            if why != last:
                show(f"[jenkins] {why}\n")
                last = why
            if time.monotonic() > deadline:
                raise JenkinsFailure(
                    f"{self._url}: queue item {item} of {self._name} did not begin within {seconds:.0f} s: {why}"
                )
            time.sleep(POLL_SECONDS)

    def follow(self, number: int, seconds: float, show: Show) -> str:
        """Show the console of build *number* until it ends; its result, such as SUCCESS. Raises JenkinsFailure."""
        deadline, offset = time.monotonic() + seconds, 0
        while True:
            text, offset, more = self._console(number, offset)
            if text:
                show(text)
            if not more:
                break
            if time.monotonic() > deadline:
                raise JenkinsFailure(
                    f"{self._url}: build {number} of {self._name} did not end within {seconds:.0f} s"
                )
            time.sleep(POLL_SECONDS)
        while True:
            # The console ends a moment before the result is known.
            told: dict[str, Any] = self._do(
                "read the result", lambda: self._server.get_build_info(self._name, number)
            )
            if told.get("result") and not told.get("building"):
                return str(told["result"])
            if time.monotonic() > deadline:
                raise JenkinsFailure(
                    f"{self._url}: build {number} of {self._name} has no result after {seconds:.0f} s"
                )
            time.sleep(POLL_SECONDS)

    def _console(self, number: int, offset: int) -> tuple[str, int, bool]:
        folder = "/job/".join(quote(part) for part in self._name.split("/"))
        url = f"{self._server.server}job/{folder}/{number}/logText/progressiveText"
        request = self._requests.Request("POST", url, data={"start": str(offset)})
        answer = self._do("read the console", lambda: self._server.jenkins_request(request))
        return (
            answer.text,
            int(answer.headers.get("X-Text-Size", offset)),
            answer.headers.get("X-More-Data") == "true",
        )

    def _do(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except self._errors as error:
            raise JenkinsFailure(self._sentence(what, error)) from None
        except (ValueError, KeyError, TypeError) as error:
            raise JenkinsFailure(
                f"{self._url}: could not {what} of {self._name}: expected Jenkins' answer, got something else ({error})"
            ) from None

    def _sentence(self, what: str, error: Exception) -> str:
        """One sentence without markup, and without the token, of what the client said."""
        told = " ".join(str(error).split())
        start = f"{self._url}: could not {what} of {self._name}: "
        if isinstance(error, (self._requests.ConnectionError, self._requests.Timeout)) or "timed out" in told:
            return start + "Jenkins is away or does not answer in time"
        if "[401]" in told or "[403]" in told:
            return (
                start
                + "Jenkins refuses: JENKINS_USER and JENKINS_TOKEN are wrong, or lack the permission Job/Build or Job/Read"
            )
        if "could not be found" in told or "does not exist" in told:
            return (
                start
                + "there is no such job, branch or build (a branch becomes a job when Jenkins has scanned the repository)"
            )
        if self._token:
            told = told.replace(self._token, "[removed]")
        return start + told.partition("<")[0].strip()[:_SHOWN]
