"""An Ansible module: versions of a program in directories of their own, a link to the one that runs, and a note of the one that was found healthy.

    ROOT/releases/VERSION/source    what was deployed
    ROOT/releases/VERSION/release.env    WINDTUNNEL_VERSION=VERSION
    ROOT/current -> releases/VERSION
    ROOT/verified    the version that was healthy last, and the fingerprint of what it was started with

Each step is complete or has not happened: a version is unpacked beside its place and renamed, the link is renamed over the old one. The note is
written when a version has been found healthy and not before, so that an interrupted exchange is told from a finished one.
"""

import os
import shutil
import tarfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: windtunnel_release
short_description: Versions in directories of their own, and a link to the one that runs
description: Unpacks a version, links it as the current one, or notes that it was found healthy. Check mode is supported.
options:
  root: {description: Where releases, current and verified are., type: path, required: true}
  version: {description: Name of the version., type: str, required: true}
  state: {description: What is to be true of it., type: str, choices: [staged, current, verified], default: staged}
  archive: {description: A tar file on the host (state staged)., type: path}
  fingerprint: {description: Of what it was started with (state verified)., type: str, default: ""}
  keep: {description: So many versions besides are kept (state verified)., type: int, default: 3}
"""


def _read(path):
    try:
        with open(path) as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _write(path, text):
    part = path + ".part"
    with open(part, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


class Releases:
    """What is there below a root."""

    def __init__(self, root):
        self.root = root
        self.folder = os.path.join(root, "releases")

    def path(self, version):
        """Where a version is."""
        return os.path.join(self.folder, version)

    def facts(self):
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

    def stage(self, version, archive):
        """Unpack a version."""
        part = self.path("." + version + ".part")
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(os.path.join(part, "source"))
        with tarfile.open(archive) as file:
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            file.extractall(os.path.join(part, "source"), **safe)
        _write(os.path.join(part, "release.env"), "WINDTUNNEL_VERSION=" + version + "\n")
        os.rename(part, self.path(version))

    def link(self, version):
        """Make it the current one."""
        part = os.path.join(self.root, ".current.part")
        if os.path.lexists(part):
            os.unlink(part)
        os.symlink(os.path.join("releases", version), part)
        os.replace(part, os.path.join(self.root, "current"))

    def verify(self, version, fingerprint):
        """Note that it is healthy."""
        _write(os.path.join(self.root, "verified"), version + " " + fingerprint + "\n")

    def prune(self, keep):
        """Remove the versions that have been there longest; never one that runs or was found healthy."""
        facts = self.facts()
        others = [name for name in facts["versions"] if name not in (facts["current"], facts["verified"])]
        others.sort(key=lambda name: os.path.getmtime(self.path(name)), reverse=True)
        for name in others[keep:]:
            shutil.rmtree(self.path(name), ignore_errors=True)
        return others[keep:]


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["staged", "current", "verified"], "default": "staged"},
            "archive": {"type": "path"},
            "fingerprint": {"type": "str", "default": ""},
            "keep": {"type": "int", "default": 3},
        },
        required_if=[("state", "staged", ("archive",))],
        supports_check_mode=True,
    )
    asked = module.params
    releases = Releases(asked["root"])
    version = asked["version"]
    before = releases.facts()
    wanted = {
        "staged": version not in before["versions"],
        "current": before["current"] != version,
        "verified": (before["verified"], before["fingerprint"]) != (version, asked["fingerprint"]),
    }
    changed = wanted[asked["state"]]
    removed = []
    if changed and not module.check_mode:
        try:
            if asked["state"] == "staged":
                releases.stage(version, asked["archive"])
            elif asked["state"] == "current":
                if version not in before["versions"]:
                    module.fail_json(msg="expected a version that is there, got " + version, **before)
                releases.link(version)
            else:
                releases.verify(version, asked["fingerprint"])
                removed = releases.prune(asked["keep"])
        except (OSError, tarfile.TarError) as error:
            module.fail_json(msg="{0}: {1}".format(version, error), **before)
    module.exit_json(changed=changed, removed=removed, **(before if module.check_mode else releases.facts()))


if __name__ == "__main__":
    main()
