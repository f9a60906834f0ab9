"""What tests of the build server share: a bare repository that is pushed to, and a real server over it."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from windtunnel import cli
from windtunnel.backends.deploy.server.build_client import BuildClient
from windtunnel.backends.deploy.server.builds import Build
from windtunnel.backends.deploy.server.post_receive import hook_text, install

SECRET = "a shared secret of tests"
GIT = {
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
}  # fmt: skip


def git(folder: Path, *words: str) -> str:
    """What git says, on either output."""
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **GIT},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip() or done.stderr


def eventually(holds: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait until *holds* gives something."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.03)
    return found


def pipeline(*steps: str, **more: Any) -> dict[str, Any]:
    """A pipeline with one stage, ``work``, of *steps*."""
    return {
        "pipeline": "test",
        "branches": {"master": "app", "canary": "canary"},
        "stages": [{"stage": "check out", "checkout": True}, {"stage": "work", "steps": list(steps)}],
        **more,
    }


class Repo:
    """A bare repository and a clone that pushes to it."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "fleet.git"
        self.clone = folder / "clone"
        folder.mkdir(exist_ok=True)
        git(folder, "init", "-q", "--bare", "-b", "master", str(self.bare))
        git(folder, "init", "-q", "-b", "master", str(self.clone))
        git(self.clone, "remote", "add", "origin", str(self.bare))

    def commit(self, document: dict[str, Any], **files: str) -> str:
        """A commit with this pipeline.yaml; its name."""
        (self.clone / "pipeline.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        for name, text in files.items():
            (self.clone / name).write_text(textwrap.dedent(text))
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-q", "--allow-empty", "-m", "x")
        return git(self.clone, "rev-parse", "HEAD")

    def push(self, branch: str = "master") -> str:
        """Push the clone's newest commit; what git, and the hook, say."""
        done = subprocess.run(
            ["git", "-C", str(self.clone), "push", "-q", "-f", "origin", f"HEAD:refs/heads/{branch}"],
            capture_output=True, text=True, timeout=60, env={**os.environ, **GIT},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stderr


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def windtunnel(*words: str) -> Done:
    """The command line, in this process: a new one takes longer to begin than the command."""
    shown, errors = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(shown),
        contextlib.redirect_stderr(errors),
    ):
        patch.setattr(sys, "argv", ["windtunnel", *words])
        patch.setenv("COLUMNS", "200")
        try:
            cli.main()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 0
    return Done(status, shown.getvalue(), errors.getvalue())


SERVE = """
import sys
from pathlib import Path
from windtunnel.backends.deploy.server.serving import ServeOptions, serve
repository, redis_url, folder, listen, secret, secrets, *env = sys.argv[1:]
options = ServeOptions(Path(repository), redis_url, Path(folder), listen, Path(secret), secrets=Path(secrets) if secrets else None, env=tuple(env), grace=0.3)
def notice(text):
    sys.stderr.write(text + "\\n")
    sys.stderr.flush()
sys.exit(0 if serve(options, lambda url: print(url, flush=True), notice) else 4)
"""
"""What `windtunnel deploy serve` does, without the time that the rest of the command line takes to load."""


class Server:
    """The build server as a process of its own, over a Redis that is there."""

    def __init__(
        self, folder: Path, repo: Repo, redis_url: str, *env: str, secrets: str = "", **environment: str
    ) -> None:
        self.folder = folder / "builds"
        self.secret_file = folder / "webhook.secret"
        self.secret_file.write_text(SECRET)
        self.secret_file.chmod(0o600)
        self.repo = repo
        self.url = ""
        self.before = [str(repo.bare), redis_url, str(self.folder)]
        self.after = [str(self.secret_file), secrets, *env]
        self._environment = environment
        self._errors = folder / "server.err"
        self.process: subprocess.Popen[str] | None = None

    def start(self, listen: str = "127.0.0.1:0") -> "Server":
        """Start it and wait until it listens."""
        with self._errors.open("a") as errors:
            self.process = subprocess.Popen(
                self.command(listen),
                stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **self._environment},
            )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().rpartition(" ")[2].strip()
        assert self.url.startswith("http://127.0.0.1:"), self.errors
        return self

    def command(self, listen: str) -> list[str]:
        """By which it is started."""
        return [sys.executable, "-c", SERVE, *self.before, listen, *self.after]

    @property
    def client(self) -> BuildClient:
        """Its client."""
        return BuildClient(self.url)

    @property
    def errors(self) -> str:
        """What it said on its standard error."""
        return self._errors.read_text()

    def hook(self) -> None:
        """Install the hook into the repository."""
        install(self.repo.bare, hook_text(self.url, self.secret_file))

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; its status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status

    def ended(self, number: int, seconds: float = 60.0) -> Build:
        """Build *number*, once it is over."""
        found: Build = eventually(
            lambda: self._over(number), f"build {number} does not end: {self.errors}", seconds
        )
        return found

    def _over(self, number: int) -> Build | None:
        build = self.client.build(number)
        return None if build.open else build

    def running(self, number: int, stage: str = "work") -> Build:
        """Build *number*, once *stage* runs and has said ``ready``."""

        def look() -> Build | None:
            build = self.client.build(number)
            begun = any(run.stage == stage and run.state == "running" for run in build.stages)
            return build if begun and "\nready\n" in self.log(number, stage) else None

        found: Build = eventually(look, f"build {number} does not come to {stage}: {self.errors}")
        return found

    def log(self, number: int, stage: str = "work") -> str:
        """What a stage has said."""
        parts: list[str] = []
        self.client.rest(number, stage, parts.append)
        return "\n" + "".join(parts)

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *error: object) -> None:
        if self.process is not None:
            self.stop()


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def read_json(text: str) -> Any:
    """JSON of the command line's output."""
    return json.loads(text)
