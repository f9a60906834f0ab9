"""A scenario, validated: what the user wrote, with nothing drawn yet."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import UsageError
from . import references
from .input_file import open_input, place_of_bad_text
from .overrides import apply_overrides
from .problems import Problem, ScenarioError, nearest
from .profile import Profile
from .schema import AutoscalerModel, Document
from .validation import validate
from .yaml_source import read_yaml

LIBRARY = Path(__file__).parent / "library"
PLANTED = Path(__file__).parent / "gallery"
SIZE_LIMIT = 4 * 2**20

_SINCE = ("victims", "orphans", "dry_run", "missing_samples")
"""Settings of the autoscaler that came later: by default they are as if they were not."""


def library() -> dict[str, Path]:
    """The scenarios that windtunnel ships, by name."""
    return {path.stem: path for path in sorted(LIBRARY.glob("*.yaml"))}


def gallery() -> dict[str, Path]:
    """The planted weaknesses that windtunnel ships, by name: ``gallery/retry-storm``."""
    return {f"gallery/{path.stem}": path for path in sorted(PLANTED.glob("*.yaml"))}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A validated scenario and the folder that its file names are relative to."""

    document: Document
    folder: Path
    origin: str

    @classmethod
    def load(cls, name: str | Path, overrides: Sequence[str] | Mapping[str, Any] = ()) -> "Scenario":
        """Read a file, or a scenario of the library by name; *overrides* are ``path=value`` texts or a mapping.

        Raises ScenarioError with every problem found.
        """
        path = _find(name)
        try:
            if path.stat().st_size > SIZE_LIMIT:
                raise ScenarioError([Problem(str(path), 0, 0, (), "expected a file of at most 4 MiB")])
            content = path.read_bytes()
            text = content.decode("utf-8")
        except OSError as error:
            raise ScenarioError([Problem(str(name), 0, 0, (), f"cannot be read: {error.strerror}")]) from None
        except UnicodeDecodeError as error:
            line, reason = place_of_bad_text(content, error)
            raise ScenarioError([Problem(str(name), line, 1, (), reason)]) from None
        shown = str(name) if Path(name) == path else path.name
        return cls.parse(text, shown, path.resolve().parent, overrides)

    @classmethod
    def parse(
        cls,
        text: str,
        origin: str = "<text>",
        folder: Path | None = None,
        overrides: Sequence[str] | Mapping[str, Any] = (),
    ) -> "Scenario":
        """Validate YAML *text*. Raises ScenarioError with every problem found."""
        source = read_yaml(text, origin)
        if isinstance(overrides, Mapping):
            overrides = [f"{path}={json.dumps(value)}" for path, value in overrides.items()]
        apply_overrides(source, overrides)
        place = folder or Path.cwd()
        return cls(validate(source, place), place, origin)

    def with_seed(self, seed: int) -> "Scenario":
        """The same scenario under another seed."""
        if not 0 <= seed < 2**63:
            raise UsageError(f"expected a seed from 0 to 2**63 - 1, got {seed}")
        return replace(self, document=self.document.model_copy(update={"seed": seed}))

    def with_profile(self, profile: Profile) -> "Scenario":
        """The same scenario on the machine of *profile*."""
        return replace(self, document=self.document.model_copy(update={"profile": profile}))

    @property
    def name(self) -> str:
        """Its name."""
        return self.document.scenario

    def resolved(self) -> dict[str, Any]:
        """Everything with its defaults, as plain data that would validate again."""
        return self.document.model_dump(by_alias=True, exclude_none=True, mode="json")

    def to_yaml(self, inputs: Mapping[str, str] | None = None) -> str:
        """The resolved scenario as YAML. File names become what *inputs* says of them, or absolute."""
        data = self.resolved()
        for source in data["traffic"]:
            for kind in references.FILE_FIELDS:
                if kind in source:
                    absolute = str((self.folder / source[kind]).resolve())
                    source[kind] = (inputs or {}).get(source[kind], absolute)
        app = data["fleet"]["app"]
        if "command" in app:
            app["directory"] = str((self.folder / app.get("directory", "")).resolve())
        aws = data["fleet"]["cloud"].get("aws", {})
        if "user_data_file" in aws:
            # Never copied into a run's directory: it may hold what is nobody's business.
            aws["user_data_file"] = str((self.folder / aws["user_data_file"]).resolve())
        return yaml.safe_dump(data, sort_keys=False, width=120)

    def files(self) -> dict[str, Path]:
        """The files that it reads, by the names it gives them."""
        return {
            name: (self.folder / name).resolve()
            for traffic in self.document.traffic
            for name in (getattr(traffic, field) for field in references.FILE_FIELDS)
            if name is not None
        }

    def fingerprint(self) -> str:
        """A hash of all that can change a result.

        Not in it: the seed, which is stated beside it, what a search may vary and what must hold besides objectives, what is only told of a profile's machine, and which backends stand for Redis and EC2 (or the account to fly on), for those must not change anything,
        programs of the user's own, which a rehearsal does not run, who is told of alerts, what to think of samples without a time, which it does not have,
        and what an instance costs where nothing looks at it.
        Files count by their (unpacked) content, not by their name.
        """
        data = self.resolved()
        del data["seed"]
        for told in ("description", "search", "invariants"):
            data.pop(told, None)
        if self.document.profile is not None:
            for told in self.document.profile.told():
                data["profile"].pop(told, None)
        data["fleet"]["registry"].pop("backend")
        data["fleet"]["cloud"].pop("backend")
        data["fleet"]["cloud"].pop("aws", None)
        for told in ("command", "directory", "metrics_path"):
            data["fleet"]["app"].pop(told, None)
        for told in ("command", "timeout"):
            data["fleet"]["app"].get("on_low_memory", {}).pop(told, None)
        for alert in data["alerts"]:
            alert.pop("notify")
        if not data["deploys"]:
            for unused in ("versions", "initial_version", "deploys"):
                # Nothing else looks at them.
                data.pop(unused)
        for empty in ("alerts", "expect"):
            # Scenarios of before there were any keep their hashes.
            if not data[empty]:
                del data[empty]
        scaler = data.get("autoscaler", {})
        scaler.pop("foreign", None)
        for name in _SINCE:
            if name in scaler and scaler[name] == AutoscalerModel.model_fields[name].default:
                del scaler[name]
        if "max_cost" not in scaler:
            data["fleet"]["cloud"].pop("instance_cost", None)
        for source in data["traffic"]:
            for kind in references.FILE_FIELDS:
                if kind in source:
                    source[kind] = _hash_file(self.folder / source[kind])
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _hash_file(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with open_input(path) as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _find(name: str | Path) -> Path:
    path = Path(name)
    known = {**library(), **gallery()}
    if path.exists() and path.is_file():
        return path
    if str(name) in known:
        return known[str(name)]
    if path.exists():
        kind = "a directory" if path.is_dir() else "something that is no ordinary file"
        raise ScenarioError([Problem(str(name), 0, 0, (), f"expected a scenario file, got {kind}")])
    hint = nearest(str(name), known)
    message = f"no such file, and no scenario of the library has that name{hint or '; known are ' + ', '.join(library())}"
    raise ScenarioError([Problem(str(name), 0, 0, (), message)])
