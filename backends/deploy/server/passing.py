"""Which variables of the build server's own environment its steps see: what programs need to run at all, and what was named. No secret comes this way."""

import re
from collections.abc import Mapping, Sequence

from ....core.errors import UsageError

_PASSED = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
}  # fmt: skip
_BEGINNINGS = ("LC_", "XDG_", "PIP_")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment_of_steps(own: Mapping[str, str], named: Sequence[str]) -> dict[str, str]:
    """*own*, but only what is passed; *named* are ``NAME`` (passed too) or ``NAME=VALUE``. Raises UsageError."""
    found = {name: value for name, value in own.items() if name in _PASSED or name.startswith(_BEGINNINGS)}
    for text in named:
        name, given, value = text.partition("=")
        if not _NAME.fullmatch(name):
            raise UsageError(f"--env: expected NAME or NAME=VALUE, got {text!r}")
        if not given and name not in own:
            raise UsageError(
                f"--env {name}: expected it in the environment of the build server, which has none"
            )
        found[name] = value if given else own[name]
    return found
