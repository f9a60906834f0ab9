"""Where the registry is, with its password, which stands in the environment and in no command line."""

import os
import sys
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

PASSWORD = "WINDTUNNEL_REDIS_PASSWORD"


def registry_url(url: str, environment: Mapping[str, str]) -> str:
    """*url* with the password of *environment*, if it has none of its own. Raises ValueError for what is no Redis URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"expected redis://HOST[:PORT][/DATABASE], got {url!r}")
    password = environment.get(PASSWORD, "")
    if not password or parts.password or parts.scheme == "unix":
        return url
    place = parts.netloc.rpartition("@")[2]
    user = quote(parts.username or "", safe="")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}").geturl()


def main(url: str) -> int:
    """Print the URL with its password, for a script; the exit code."""
    try:
        sys.stdout.write(registry_url(url, os.environ) + "\n")
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
