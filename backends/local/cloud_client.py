"""The cloud of a local flight, as the autoscaler sees it: a client of the conductor's control API."""

import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ...core.ports import CloudError, CloudInstance

TIMEOUT_SECONDS = 5.0
UNAVAILABLE = "Unavailable"
_INSTANCES = "/v1/instances"
_LARGEST_ANSWER = 1 << 24


class LocalCloud:
    """Implements core.ports.Cloud over the control API at *url*. *timeout*: seconds for a connection, and for each part of an answer.

    No answer, or one that makes no sense, is a CloudError with the code ``Unavailable``: the call may have had its effect.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"expected the control API's address as http://HOST:PORT, got {url!r}")
        self._host, self._port = parts.hostname, parts.port or 80
        self._path = parts.path.rstrip("/") + _INSTANCES
        self._timeout = timeout

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        """See core.ports.Cloud."""
        return _instance(self._call("POST", "", {"number": number, "role": role, "token": token}))

    def terminate(self, provider_id: str, reason: str = "") -> None:
        """See core.ports.Cloud. *reason* is for the conductor's log."""
        query = f"?{urlencode({'reason': reason})}" if reason else ""
        self._call("DELETE", f"/{quote(provider_id, safe='')}{query}")

    def list(self) -> tuple[CloudInstance, ...]:
        """See core.ports.Cloud."""
        answer = self._call("GET", "")
        if not isinstance(answer, dict) or not isinstance(answer.get("instances"), list):
            raise CloudError(UNAVAILABLE, f'expected {{"instances": [...]}}, got {answer!r:.200}')
        found = (_instance(one) for one in answer["instances"])
        return tuple(sorted(found, key=lambda instance: instance.number))

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to one request on a connection of its own: its JSON, None where it has no body."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        where = f"{method} http://{self._host}:{self._port}{self._path}{path}"
        text = None if body is None else json.dumps(body)
        try:
            headers = {"Connection": "close"}
            if text is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, self._path + path, text, headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read(_LARGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise CloudError(UNAVAILABLE, f"{where}: {type(error).__name__}: {error}") from None
        finally:
            connection.close()
        try:
            parsed = json.loads(content) if content else None
        except ValueError:
            parsed = content[:200].decode("latin-1")
        if 200 <= status < 300:
            return parsed
        if isinstance(parsed, dict) and "code" in parsed:
            raise CloudError(str(parsed["code"]), str(parsed.get("message", "")))
        # Without a code of the cloud's own, only a 4xx says that nothing was done.
        code = f"Http{status}" if 400 <= status < 500 else UNAVAILABLE
        raise CloudError(code, f"{where}: expected success, got status {status}: {parsed!r:.200}")


def _instance(item: Any) -> CloudInstance:
    try:
        return CloudInstance(
            number=int(item["number"]),
            provider_id=str(item["provider_id"]),
            address=str(item["address"]),
            role=str(item["role"]),
            state=str(item["state"]),
            launched=int(item["launched"]),
        )
    except (KeyError, TypeError, ValueError):
        raise CloudError(UNAVAILABLE, f"expected an instance, got {item!r:.200}") from None
