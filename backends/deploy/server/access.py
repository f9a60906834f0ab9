"""Who may ask the build server: everybody on loopback who is no web page, else whoever knows the token."""

import base64
import hmac
from collections.abc import Mapping

from ...live.hosts import host_of, is_loopback_name
from .webhook import Refused


class Access:
    """With a *token* every request but a signed one must bring it, as a bearer or as the password of basic authentication. Without one, requests must be addressed to this machine by name, and
    those that change something must be JSON: what a page of another site cannot send from a browser.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def check(self, headers: Mapping[str, str], changes: bool) -> None:
        """Raises Refused."""
        if self._token:
            if not hmac.compare_digest(_given(headers).encode(errors="replace"), self._token.encode()):
                raise Refused(401, "expected the token, as Authorization: Bearer TOKEN or as a password")
            return
        if not is_loopback_name(host_of(headers.get("Host", ""))):
            raise Refused(403, "expected a Host field that names this machine's loopback")
        if changes and not headers.get("Content-Type", "").startswith("application/json"):
            raise Refused(415, "expected Content-Type: application/json")


def _given(headers: Mapping[str, str]) -> str:
    kind, _, value = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return ""
