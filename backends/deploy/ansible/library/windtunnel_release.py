"""An Ansible module: versions of a program in directories of their own, a link to the one that runs, and a note of the one that was found healthy.

    ROOT/releases/VERSION/source    what was deployed
    ROOT/releases/VERSION/release.env    WINDTUNNEL_VERSION=VERSION
    ROOT/current -> releases/VERSION
    ROOT/etc, ROOT/run    settings; what programs write
    ROOT/verified    the version that was healthy last, and the fingerprint of what it was started with

Each step is complete or has not happened: a version is unpacked beside its place and renamed, the link is renamed over the old one. The note is
written when a version has been found healthy and not before, so that an interrupted exchange is told from a finished one.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import tarfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: windtunnel_release
short_description: Versions in directories of their own, and a link to the one that runs
description: Unpacks a version, links it as the current one, or notes that it was found healthy. Check mode is supported.
options:
  root: {description: Where releases, current and verified are., type: path, required: true}
  version: {description: Name of the version., type: str, required: true}
  state: {description: What is to be true of it., type: str, choices: [known, staged, current, verified], default: staged}
  owner: {description: Who owns the run directory (state known)., type: str}
  digest: {description: SHA-256 of the archive; a version that is there must have come from the same one (state known)., type: str, default: ""}
  archive: {description: A tar file on the host (state staged)., type: path}
  fingerprint: {description: Of what it was started with (state verified)., type: str, default: ""}
  keep: {description: So many versions besides are kept (state verified)., type: int, default: 3}
"""


def _read(path: str) -> list[str]:
    try:
        with open(path) as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _write(path: str, text: str) -> None:
    part = path + ".part"
    with open(part, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def digest_of(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Releases:
    """What is there below a root."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.folder = os.path.join(root, "releases")

    def path(self, version: str) -> str:
        """Where a version is."""
        return os.path.join(self.folder, version)

    def facts(self) -> dict[str, Any]:
        """Names: what runs by the link, what was found healthy, what is there; empty for nothing."""
        link = os.path.join(self.root, "current")
        current = os.path.basename(os.readlink(link)) if os.path.islink(link) else ""
        verified = _read(os.path.join(self.root, "verified"))
        there = sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else []
        return {
            "current": current,
            "verified": verified[0] if verified else "",
            "fingerprint": verified[1] if len(verified) > 1 else "",
            "versions": [name for name in there if not name.startswith(".")],
        }

    def missing(self, owner: str | None) -> list[tuple[str, int, int]]:
        """Directories that are not there or not as they should be, as (path, mode, user)."""
        user = pwd.getpwnam(owner).pw_uid if owner else -1
        found = []
        for name, mode, who in (("releases", 0o755, -1), ("etc", 0o755, -1), ("run", 0o750, user)):
            path = os.path.join(self.root, name)
            there = os.stat(path) if os.path.isdir(path) else None
            if there is None or stat.S_IMODE(there.st_mode) != mode or who not in (-1, there.st_uid):
                found.append((path, mode, who))
        return found

    def stage(self, version: str, archive: str) -> None:
        """Unpack a version."""
        part = self.path("." + version + ".part")
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(os.path.join(part, "source"))
        with tarfile.open(archive) as file:
            if hasattr(tarfile, "data_filter"):
                file.extractall(os.path.join(part, "source"), filter="data")
            else:
                file.extractall(os.path.join(part, "source"))
        _write(os.path.join(part, "archive.sha256"), digest_of(archive))
        _write(os.path.join(part, "release.env"), "WINDTUNNEL_VERSION=" + version + "\n")
        os.rename(part, self.path(version))

    def link(self, version: str) -> None:
        """Make it the current one."""
        part = os.path.join(self.root, ".current.part")
        if os.path.lexists(part):
            os.unlink(part)
        os.symlink(os.path.join("releases", version), part)
        os.replace(part, os.path.join(self.root, "current"))

    def verify(self, version: str, fingerprint: str) -> None:
        """Note that it is healthy."""
        _write(os.path.join(self.root, "verified"), version + " " + fingerprint + "\n")

    def obey(self, asked: dict[str, Any]) -> list[str]:
        """Make the state that was asked for so; the versions that were removed. Raises OSError, ValueError, tarfile.TarError."""
        version = asked["version"]
        if asked["state"] == "known":
            for path, mode, user in self.missing(asked["owner"]):
                os.makedirs(path, exist_ok=True)
                os.chmod(path, mode)
                if user != -1:
                    os.chown(path, user, -1)
        elif asked["state"] == "staged":
            self.stage(version, asked["archive"])
        elif asked["state"] == "current":
            if version not in self.facts()["versions"]:
                raise ValueError("expected a version that is there")
            self.link(version)
        else:
            self.verify(version, asked["fingerprint"])
            return self.prune(asked["keep"])
        return []

    def prune(self, keep: int) -> list[str]:
        """Remove the versions that have been there longest; never one that runs or was found healthy."""
        facts = self.facts()
        others = [name for name in facts["versions"] if name not in (facts["current"], facts["verified"])]
        others.sort(key=lambda name: os.path.getmtime(self.path(name)), reverse=True)
        for name in others[keep:]:
            shutil.rmtree(self.path(name), ignore_errors=True)
        return others[keep:]


def wants(module: Any, releases: Releases, before: dict[str, Any]) -> bool:
    """Whether there is something to do. Ends the module if a version is there with another content."""
    asked, version = module.params, module.params["version"]
    if asked["state"] == "staged":
        return version not in before["versions"]
    if asked["state"] == "current":
        return bool(before["current"] != version)
    if asked["state"] == "verified":
        return (before["verified"], before["fingerprint"]) != (version, asked["fingerprint"])
    if asked["digest"] and version in before["versions"]:
        there = _read(os.path.join(releases.path(version), "archive.sha256"))
        if there != [asked["digest"]]:
            module.fail_json(
                msg=f"version {version} is there with another content; give it another name", **before
            )
    try:
        return bool(releases.missing(asked["owner"]))
    except KeyError:
        if not module.check_mode:
            module.fail_json(msg="expected a user, found no " + asked["owner"], **before)
        return True


def main() -> None:
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "choices": ["known", "staged", "current", "verified"],
                "default": "staged",
            },
            "owner": {"type": "str"},
            "digest": {"type": "str", "default": ""},
            "archive": {"type": "path"},
            "fingerprint": {"type": "str", "default": ""},
            "keep": {"type": "int", "default": 3},
        },
        required_if=[("state", "staged", ("archive",))],
        supports_check_mode=True,
    )
    asked = module.params
    releases = Releases(asked["root"])
    before = releases.facts()
    changed = wants(module, releases, before)
    removed: list[str] = []
    if changed and not module.check_mode:
        try:
            removed = releases.obey(asked)
        except (OSError, tarfile.TarError, ValueError) as error:
            module.fail_json(msg="{}: {}".format(asked["version"], error), **before)
    module.exit_json(changed=changed, removed=removed, **(before if module.check_mode else releases.facts()))


if __name__ == "__main__":
    main()
