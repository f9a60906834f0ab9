"""Clean checkouts of pushed commits: git worktrees of a local repository, bare or not. Hooks of the repository are not run by them."""

import asyncio
import os
import re
import shutil
from pathlib import Path

from ....core.errors import UsageError

_TIMEOUT_SECONDS = 120.0
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class GitError(Exception):
    """git could not do what it was told to; the text is what it said."""


class Repository:
    """The repository at *path*. With a *remote*, branches are those of it, fetched before they are looked at."""

    def __init__(self, path: Path, remote: str = "") -> None:
        self.path = path.resolve()
        self._remote = remote
        self._lock = asyncio.Lock()
        if not self.path.is_dir():
            raise UsageError(f"{path}: expected a git repository, found no folder")

    async def check(self) -> None:
        """Raises UsageError if there is none."""
        try:
            await self._git("rev-parse", "--git-dir")
        except GitError:
            raise UsageError(f"{self.path}: expected a git repository, found a folder that is none") from None

    async def tips(self) -> dict[str, str]:
        """The commit of each branch."""
        place = f"refs/remotes/{self._remote}/" if self._remote else "refs/heads/"
        text = await self._git("for-each-ref", "--format=%(objectname) %(refname)", place)
        pairs = (line.split(" ", 1) for line in text.splitlines())
        return {name.removeprefix(place): commit for commit, name in pairs}

    async def fetch(self, branch: str) -> None:
        """Bring *branch* of the remote here, if there is one."""
        if self._remote:
            refs = f"+refs/heads/{branch}:refs/remotes/{self._remote}/{branch}"
            async with self._lock:
                await self._git("fetch", "--quiet", "--no-tags", self._remote, refs)

    async def commit(self, name: str) -> str:
        """The full name of the commit that *name* (hexadecimal, perhaps short) means. Raises GitError."""
        if not re.fullmatch(r"[0-9a-f]{4,64}", name):
            raise GitError(f"expected a commit in hexadecimal, got {name[:80]!r}")
        return (await self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")).strip()

    async def text(self, commit: str, file: str) -> str:
        """A file of a commit. Raises GitError."""
        return await self._git("show", f"{commit}:{file}")

    async def add(self, folder: Path, commit: str) -> str:
        """A clean checkout of *commit* in the new *folder*; what git said."""
        if not _COMMIT.fullmatch(commit):
            raise GitError(f"expected a commit's full name, got {commit[:80]!r}")
        async with self._lock:
            said = await self._git("worktree", "add", "--force", "--detach", str(folder), commit)
        return said

    async def remove(self, folder: Path) -> None:
        """Take a checkout away, whatever is in it."""
        async with self._lock:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            await self._git("worktree", "prune")

    async def _git(self, *words: str) -> str:
        """What git says on its output. Its own variables, which a hook would hand on, mean another repository."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        process = await asyncio.create_subprocess_exec(
            "git", "-c", "core.hooksPath=/dev/null", "-C", str(self.path), *words,
            env={**environment, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(), _TIMEOUT_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise GitError(f"git {words[0]}: no answer within {_TIMEOUT_SECONDS:.0f} s") from None
        if process.returncode:
            said = err.decode(errors="replace").strip() or f"status {process.returncode}"
            raise GitError(f"git {words[0]}: {said}")
        return out.decode(errors="replace")
