"""The client of the embedded build server, for the command line."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ....core.errors import UsageError
from .builds import OPEN, Build

_TIMEOUT_SECONDS = 30.0
_POLL_SECONDS = 0.5

Show = Callable[[str], None]


class BuildServerAway(Exception):
    """The build server does not answer, or cannot do its work."""


class BuildClient:
    """Talks to the build server at *url*. Raises BuildServerAway, or UsageError for what it refuses."""

    def __init__(self, url: str, token: str = "") -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"--url: expected http://HOST:PORT, got {url!r}")
        self._url = url.rstrip("/")
        self._token = token
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def builds(self, limit: int = 20) -> list[Build]:
        """The newest builds."""
        return [
            Build.model_validate(one) for one in self._json("GET", f"/api/builds?limit={limit}")["builds"]
        ]

    def build(self, number: int) -> Build:
        """A build."""
        return Build.model_validate(self._json("GET", f"/api/builds/{number}"))

    def trigger(self, branch: str, commit: str) -> tuple[Build | None, str]:
        """Ask for a build of *branch*; with what the server says."""
        told = self._json("POST", "/api/builds", {"branch": branch, "commit": commit})
        return None if told["build"] is None else Build.model_validate(told["build"]), str(told["message"])

    def cancel(self, number: int) -> Build:
        """Cancel a build."""
        return Build.model_validate(self._json("POST", f"/api/builds/{number}/cancel", {}))

    def log(self, number: int, stage: str, offset: int = 0) -> tuple[bytes, int, bool]:
        """A part of a stage's log: bytes, where to go on, and whether more may come."""
        words = urlencode({"stage": stage, "offset": offset})
        data, headers = self._ask("GET", f"/api/builds/{number}/log?{words}")
        return data, int(headers.get("X-Next-Offset", offset)), headers.get("X-Open") == "true"

    def follow(self, number: int, show: Show, stage: str = "") -> Build:
        """Show the log of *stage*, or of each stage as it runs, until the build is over; then the build."""
        shown: dict[str, int] = {}
        attempt = 0
        while True:
            build = self.build(number)
            if build.attempt != attempt:
                attempt, shown = build.attempt, {}
            for run in build.stages:
                if run.state in ("waiting", "not run") or stage not in ("", run.stage):
                    continue
                if run.stage not in shown and not stage:
                    show(f"== {run.stage}\n")
                shown[run.stage] = self.rest(number, run.stage, show, shown.get(run.stage, 0))
            if build.state not in OPEN:
                return build
            time.sleep(_POLL_SECONDS)

    def rest(self, number: int, stage: str, show: Show, offset: int = 0) -> int:
        """Show what there is of a stage's log from *offset* on; where it ended."""
        while True:
            data, offset, _ = self.log(number, stage, offset)
            if not data:
                return offset
            show(data.decode(errors="replace"))

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data, _ = self._ask(method, path, body)
        try:
            return json.loads(data)
        except ValueError:
            raise BuildServerAway(
                f"{self._url}: expected a build server's answer, got something else"
            ) from None

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[bytes, Mapping[str, str]]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._url + quote(path, safe="/?=&%+"), data=data, headers=headers, method=method
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            message = _message(error)
            if error.code >= 500:
                raise BuildServerAway(f"{self._url}: {message}") from None
            raise UsageError(f"{self._url}: {message}") from None
        except OSError as error:
            why = getattr(error, "reason", error)
            raise BuildServerAway(
                f"{self._url}: expected a build server there, but it does not answer: {why}"
            ) from None


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["message"])
    except (ValueError, KeyError, OSError):
        return f"status {error.code}"
