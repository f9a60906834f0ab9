"""Credentials never leave the process: what a provider or library says is cleaned of them before it becomes an error or a line."""

import os
import re
from collections.abc import Iterable
from typing import Any

REMOVED = "[removed]"

_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{12,}\b")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_SHORTEST = 4


class Redaction:
    """Removes the *secrets* it was given, those in the environment, access key ids and ``user:password@`` from a text."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        known = {*secrets, *(os.environ.get(name) for name in _VARIABLES)}
        self._secrets = sorted(
            (text for text in known if text and len(text) >= _SHORTEST), key=len, reverse=True
        )

    @classmethod
    def of(cls, credentials: Any) -> "Redaction":
        """For what boto3's chain resolved (``Session.get_credentials()``), which may be nothing."""
        if credentials is None:
            return cls()
        frozen = credentials.get_frozen_credentials()
        return cls((frozen.access_key, frozen.secret_key, frozen.token))

    def __call__(self, text: str) -> str:
        """*text* without them."""
        for secret in self._secrets:
            text = text.replace(secret, REMOVED)
        return _USER_INFO.sub("", _KEY_ID.sub(REMOVED, text))
