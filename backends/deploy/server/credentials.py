"""The secrets that steps may ask for: from a file that only its owner can read, or from the environment of the build server. No pipeline holds one."""

import stat
from collections.abc import Mapping
from pathlib import Path

import yaml

from ....core.errors import UsageError
from .pipeline import Pipeline, Stage

_SHORTEST = 4
_LARGEST = 2**20


class MissingSecret(Exception):
    """A stage asks for a secret that the build server was not given."""


class Credentials:
    """Values by variable; what the file does not name may be in the *environment*."""

    def __init__(self, file: Path | None, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._values = {} if file is None else _read(file)

    def of_stage(self, stage: Stage, pipeline: Pipeline) -> dict[str, str]:
        """The variables that *stage* asks for. Raises MissingSecret."""
        found = {}
        for name in stage.secrets:
            value = self._values.get(name, self._environment.get(name, ""))
            if not value:
                raise MissingSecret(
                    f"expected the secret {name} in the environment of the build server or in its --secrets file, found none"
                )
            if pipeline.secrets[name].kind == "file" and not Path(value).is_file():
                raise MissingSecret(
                    f"expected the path of a file in the secret {name}, but there is no such file"
                )
            if len(value) < _SHORTEST:
                raise MissingSecret(
                    f"expected the secret {name} to have at least {_SHORTEST} characters, for a shorter one cannot be masked"
                )
            found[name] = value
        return found

    def to_mask(self, pipeline: Pipeline) -> set[str]:
        """Every secret that no log may show: whatever the file holds, and what this pipeline names, with the contents of files."""
        texts = set(self._values.values())
        for name, secret in pipeline.secrets.items():
            value = self._values.get(name, self._environment.get(name, ""))
            if not value:
                continue
            if secret.kind == "file":
                texts.discard(value)
                texts |= _contents(Path(value))
            else:
                texts.add(value)
        return texts


def _contents(path: Path) -> set[str]:
    try:
        if path.stat().st_size > _LARGEST:
            return set()
        return {path.read_text(encoding="utf-8", errors="replace").strip()}
    except OSError:
        return set()


def read_private(path: Path, what: str) -> str:
    """The text of a file that nobody else can read. Raises UsageError."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: expected {what}, but it cannot be read: {error}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"{path}: expected {what} that only its owner can read (chmod 600), found mode {stat.S_IMODE(mode):o}"
        )
    if not text:
        raise UsageError(f"{path}: expected {what}, found nothing")
    return text


def _read(path: Path) -> dict[str, str]:
    text = read_private(path, "a file of secrets")
    wanted = f"{path}: expected a mapping such as REDIS_PASSWORD: text"
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(f"{wanted}, but it is no YAML") from None  # the parser's words may quote a secret
    if not isinstance(found, dict):
        raise UsageError(f"{wanted}, found something else")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, str) or len(value) < _SHORTEST:
            raise UsageError(f"{wanted} of at least {_SHORTEST} characters; {name!r} has another value")
    return found
