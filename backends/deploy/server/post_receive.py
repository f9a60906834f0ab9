"""The git hook that tells the build server of a push: ``post-receive`` runs it with what was pushed on its input. A program of the standard library alone, so that a push waits for nothing else."""

import hashlib
import hmac
import json
import os
import stat
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

_TIMEOUT_SECONDS = 10.0
_MARK = "# windtunnel: tells the build server of pushes"


def deliver(url: str, secret: str, ref: str, commit: str) -> str:
    """Tell of one ref; what the build server answered, or why it did not."""
    body = json.dumps({"ref": ref, "after": commit}).encode()
    seed = f"{ref} {commit} {time.time_ns()} {os.getpid()}".encode()
    request = urllib.request.Request(
        f"{url.rstrip('/')}/webhook",
        data=body,
        headers={
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": hashlib.sha256(seed).hexdigest()[:32],
            "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        },
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    branch = ref.removeprefix("refs/heads/")
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return str(json.loads(answer.read())["message"])
    except urllib.error.HTTPError as error:
        return f"{branch} was not taken: {_message(error)}"
    except (OSError, ValueError, KeyError) as error:
        why = getattr(error, "reason", error)
        return f"the build server at {url} is away ({why}); it builds {branch} when it starts, or by: windtunnel deploy trigger --branch {branch}"


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["message"])
    except (ValueError, KeyError, OSError):
        return f"status {error.code}"


def main(arguments: list[str]) -> int:
    """The program: URL and the file with the shared secret. A push that nobody was told of has still happened, so that its status is 0."""
    url, file = arguments
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        sys.stdout.write(f"windtunnel: the build server was not told: {error}\n")
        return 0
    for line in sys.stdin:
        _, commit, ref = line.split()
        if ref.startswith("refs/heads/") and commit.strip("0"):
            sys.stdout.write(f"windtunnel: {deliver(url, secret, ref, commit)}\n")
    return 0


def hook_text(url: str, secret_file: Path) -> str:
    """The hook, a shell script."""

    def word(text: str) -> str:
        return "'" + text.replace("'", "'\\''") + "'"

    command = " ".join(
        word(text) for text in (sys.executable, "-I", __file__, url, str(secret_file.resolve()))
    )
    return f"#!/bin/sh\n{_MARK}\nexec {command}\n"


def install(repository: Path, text: str) -> Path:
    """Write the hook into *repository*, in place of an older one of ours only. Raises FileExistsError."""
    git = repository / ".git" if (repository / ".git").is_dir() else repository
    path = git / "hooks" / "post-receive"
    if path.exists() and _MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise FileExistsError(
            f"{path}: expected no hook, but there is one that is not ours; call ours from it: windtunnel deploy hook prints it"
        )
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
