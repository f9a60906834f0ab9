"""What is deployed, as a tar file that is the same whenever the source is: so that a copy of it changes nothing."""

import io
import subprocess
import tarfile
from pathlib import Path

from ...core.errors import UsageError

_SKIPPED = {".git", "__pycache__", ".venv"}
_GIT_SECONDS = 300


def make_archive(source: str, version: str, folder: Path) -> Path:
    """A tar file in *folder* of *source*: a directory, or a git repository (a path or URL).

    Of a repository, what the commit, tag or branch *version* holds is taken; of a directory in a work tree too, if *version* is a commit there; else the
    directory as it is. Raises UsageError.
    """
    path = Path(source)
    target = folder / f"{version}.tar"
    if path.is_dir() and _has_commit(path, version):
        _git(
            ["-C", str(path), "archive", "--format=tar", f"--output={target}", f"{version}^{{commit}}"],
            source,
        )
        return target
    if path.is_dir() and not (path / "HEAD").is_file():
        _pack(path, target)
        return target
    if source.startswith("-"):
        raise UsageError(f"--source {source}: expected a directory or a git repository")
    clone = folder / "clone.git"
    _git(["clone", "--quiet", "--bare", "--", source, str(clone)], source)
    if not _has_commit(clone, version):
        raise UsageError(f"--source {source}: expected a commit, tag or branch {version!r}, found none")
    _git(["-C", str(clone), "archive", "--format=tar", f"--output={target}", f"{version}^{{commit}}"], source)
    return target


def _has_commit(path: Path, version: str) -> bool:
    command = [
        "git",
        "-C",
        str(path),
        "rev-parse",
        "--quiet",
        "--verify",
        "--end-of-options",
        f"{version}^{{commit}}",
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_SECONDS)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def _git(arguments: list[str], source: str) -> None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=_GIT_SECONDS)
    except FileNotFoundError:
        raise UsageError(f"--source {source}: expected a directory, or git on PATH") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"--source {source}: git did not end within {_GIT_SECONDS} s") from None
    if done.returncode:
        raise UsageError(
            f"--source {source}: git: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}"
        )


def _pack(path: Path, target: Path) -> None:
    """Everything below *path*, in order, without owners and times."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if set(Path(member.name).parts) & _SKIPPED:
            return None
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as file:
        for entry in sorted(path.iterdir()):
            file.add(entry, entry.name, filter=plain)
    target.write_bytes(buffer.getvalue())
