"""Inventories, archives, the modules' own code, the command line of ``fleet``, user data, units."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from moto import mock_aws
from typer.main import get_command
from typer.testing import CliRunner
from windtunnel.backends.aws.flight import TAG_FLEET, TAG_NUMBER, TAG_ROLE
from windtunnel.backends.aws.user_data import fill_in
from windtunnel.backends.connection import registry_at
from windtunnel.backends.deploy.inventory import ec2_inventory, is_version, registry_inventory
from windtunnel.backends.deploy.playbooks import FOLDER, GROUPS, PLAYBOOKS
from windtunnel.backends.deploy.provisioning import user_data
from windtunnel.backends.deploy.registry_url import registry_url
from windtunnel.backends.deploy.source_archive import make_archive
from windtunnel.cli import app
from windtunnel.core.errors import UsageError
from windtunnel.core.ports import Sample

from ..redis_fixture import RedisServer
from .hosts import until


def test_the_inventory_of_a_registry_knows_also_those_that_a_deploy_has_in_hand(
    redis_server: RedisServer,
) -> None:
    registry = registry_at(redis_server.url, "")
    registry.register("http://10.0.0.1", "serving")
    registry.register("http://10.0.0.2:8000", "canary")
    registry.register("http://10.0.0.3:8001", "standby")
    registry.register("http://10.0.0.3:8002", "serving")
    registry.register("what is this", "serving")
    registry.write_samples([Sample("http://10.0.0.4", 1, 0, 0.0, state="serving")])
    registry.set_updating(["http://10.0.0.4", "http://10.0.0.5"])
    found = registry_inventory(registry)
    assert found["app"]["hosts"] == ["10.0.0.1", "10.0.0.3-8001", "10.0.0.3-8002", "10.0.0.4"]
    assert found["canary"]["hosts"] == ["10.0.0.2"]
    assert found["_meta"]["hostvars"]["10.0.0.3-8001"] == {
        "ansible_host": "10.0.0.3", "app_port": 8001, "app_role": "standby", "app_address": "http://10.0.0.3:8001",
    }  # fmt: skip


def test_the_inventory_of_ec2_has_our_tags_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("ec2", region_name="eu-central-1")
        image = client.describe_images()["Images"][0]["ImageId"]

        def launch(**tags: str) -> str:
            made = client.run_instances(
                ImageId=image, MinCount=1, MaxCount=1,
                TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}],
            )  # fmt: skip
            return str(made["Instances"][0]["InstanceId"])

        server = launch(**{TAG_FLEET: "shop", TAG_ROLE: "serving", TAG_NUMBER: "7"})
        canary = launch(**{TAG_FLEET: "shop", TAG_ROLE: "canary", TAG_NUMBER: "8"})
        proxy = launch(**{TAG_FLEET: "shop", TAG_ROLE: "proxy"})
        launch(**{TAG_FLEET: "other", TAG_ROLE: "serving", TAG_NUMBER: "9"})
        gone = launch(**{TAG_FLEET: "shop", TAG_ROLE: "serving", TAG_NUMBER: "10"})
        client.terminate_instances(InstanceIds=[gone])
        found = ec2_inventory(client, "shop", port=8000)
        assert (found["app"]["hosts"], found["canary"]["hosts"], found["proxy"]["hosts"]) == (
            [server], [canary], [proxy],
        )  # fmt: skip
        variables = found["_meta"]["hostvars"][server]
        assert (variables["app_number"], variables["app_role"], variables["app_port"]) == (7, "serving", 8000)
        assert variables["ansible_host"].count(".") == 3


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words], cwd=folder, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def names(archive: Path) -> set[str]:
    with tarfile.open(archive) as file:
        return {member.name for member in file.getmembers() if member.isfile()}


def test_an_archive_of_a_folder_is_the_same_each_time(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "file").write_text("one")
    (source / ".git").mkdir()
    (source / ".git" / "secret").write_text("two")
    first = make_archive(str(source), "v1", tmp_path)
    data = first.read_bytes()
    assert names(first) == {"sub/file"}
    os.utime(source / "sub" / "file", (1, 1))
    assert make_archive(str(source), "v1", tmp_path).read_bytes() == data


def test_an_archive_of_a_repository_is_of_the_commit_that_the_version_names(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    (work / "file").write_text("one")
    git(work, "add", ".")
    git(work, "commit", "-qm", "first")
    commit = git(work, "rev-parse", "HEAD")
    (work / "later").write_text("two")
    (tmp_path / "out").mkdir()
    assert names(make_archive(str(work), commit, tmp_path / "out")) == {"file"}
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(work), str(bare))
    assert names(make_archive(f"file://{bare}", "main", tmp_path / "out")) == {"file"}
    shutil.rmtree(tmp_path / "out" / "clone.git")
    with pytest.raises(UsageError, match="found none"):
        make_archive(f"file://{bare}", "nothing", tmp_path / "out")
    with pytest.raises(UsageError, match="--source"):
        make_archive("--upload-pack=touch x", "v1", tmp_path / "out")


def test_versions_are_names_of_folders() -> None:
    assert [is_version(text) for text in ("v1", "2.0-rc_1", "0123abcd")] == [True] * 3
    assert [is_version(text) for text in ("", ".", "..", "a/b", "-x", "a b", "x" * 101)] == [False] * 7


def test_the_registrys_password_comes_from_the_environment() -> None:
    known = {"WINDTUNNEL_REDIS_PASSWORD": "a word/c"}
    assert registry_url("redis://10.0.0.5:6379/0", known) == "redis://:a%20word%2Fc@10.0.0.5:6379/0"
    assert registry_url("redis://user@10.0.0.5", known) == "redis://user:a%20word%2Fc@10.0.0.5"
    assert registry_url("redis://:word@10.0.0.5", known) == "redis://:word@10.0.0.5"
    assert registry_url("redis://10.0.0.5", {}) == "redis://10.0.0.5"
    with pytest.raises(ValueError, match="expected redis://"):
        registry_url("http://10.0.0.5", known)


def test_a_version_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    from windtunnel.backends.deploy.ansible.library.windtunnel_release import Releases

    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("one")
    archive = make_archive(str(source), "v1", tmp_path)
    releases = Releases(str(tmp_path / "root"))
    os.makedirs(releases.folder)
    for version in ("v1", "v2", "v3", "v4", "v5"):
        releases.stage(version, str(archive))
    assert (tmp_path / "root/releases/v1/source/file").read_text() == "one"
    assert (tmp_path / "root/releases/v1/release.env").read_text() == "WINDTUNNEL_VERSION=v1\n"
    broken = tmp_path / "broken.tar"
    broken.write_bytes(archive.read_bytes()[:700])
    with pytest.raises((tarfile.TarError, OSError)):
        releases.stage("v6", str(broken))
    assert "v6" not in releases.facts()["versions"]
    releases.link("v1")
    releases.link("v2")
    assert (tmp_path / "root/current/source/file").exists()
    assert (releases.facts()["current"], releases.facts()["verified"]) == ("v2", "")
    releases.verify("v1", "abc")
    assert (releases.facts()["verified"], releases.facts()["fingerprint"]) == ("v1", "abc")
    releases.prune(1)
    # What runs, what was healthy, and one more.
    assert len(releases.facts()["versions"]) == 3
    assert {"v1", "v2"} <= set(releases.facts()["versions"])


def asked(folder: Path, code: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "it", "run": str(folder), "argv": [sys.executable, "-c", code], "release": None, "environment_files": [],
        "environment": {}, "up": "up", "timeout": 20, "grace": 5, **more,
    }  # fmt: skip


def test_a_program_is_known_again_and_ends_with_all_that_it_started(tmp_path: Path) -> None:
    from windtunnel.backends.deploy.ansible.library.windtunnel_process import Program

    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); print('up', flush=True); time.sleep(600)"
    program = Program(asked(tmp_path, code))
    assert program.record() is None
    program.start()
    try:
        record = program.record()
        assert record is not None
        assert record["digest"] == program.digest()
        assert Program(asked(tmp_path, code, environment={"A": "b"})).digest() != program.digest()
    finally:
        found = program.record()
        assert found is not None
        program.obey(found, "stopped")
    assert program.record() is None
    group = found["pid"]
    until(lambda: str(group) not in groups(), "its children end")
    with pytest.raises(RuntimeError, match=r"(?s)ended.*no such thing"):
        Program(asked(tmp_path, "raise SystemExit('no such thing')")).start()


def groups() -> list[str]:
    """The process groups that have a process that is no zombie."""
    done = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True)
    return [line.split()[0] for line in done.stdout.splitlines() if not line.split()[1].startswith("Z")]


def fleet(redis_server: RedisServer, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["fleet", *words], env={"WINDTUNNEL_REDIS_URL": redis_server.url})
    if code == 2:
        assert isinstance(result.exception, UsageError), result.output
        return str(result.exception)
    assert result.exit_code == code, result.output
    return result.output


def test_the_command_fleet(redis_server: RedisServer) -> None:
    registry = registry_at(redis_server.url, "")
    one, two = "http://10.0.0.1:8000", "http://10.0.0.2"
    fleet(redis_server, "status", code=3)
    registry.register(one, "serving")
    registry.register(two, "canary")
    fleet(redis_server, "canary", "on", "--share", "10%")
    found = json.loads(fleet(redis_server, "status", "--json"))
    assert [server["role"] for server in found["servers"]] == ["serving", "canary"]
    assert found["canary_share"] == "1/10"
    registry.write_samples([Sample(two, 1, 0, 0.0, version="c" * 40, state="canary")])
    told = fleet(redis_server, "status")
    assert one in told
    assert "c" * 40 in told
    assert "expected a share" in fleet(redis_server, "canary", "on", "--share", "much", code=2)
    fleet(redis_server, "drain", "10.0.0.1:8000", "--timeout", "1")
    assert registry.updating() == (one,)
    assert "updating" in fleet(redis_server, "status", code=3)
    assert "--role" in fleet(redis_server, "restore", one, code=2)
    fleet(redis_server, "restore", one, "--role", "serving")
    assert (registry.servers().serving, registry.updating()) == ((one,), ())


def test_user_data_is_a_script_in_which_a_launch_is_filled_in() -> None:
    text = user_data("https://git.example.org/fleet.git", "v2", "windtunnel[deploy]")
    assert "@" not in text.replace('--extra-vars "@$work', "")
    values = {
        "registry": "redis://10.0.0.5:6379/0",
        "port": "8000",
        "role": "serving",
        "number": "7",
        "epoch": "1",
    }
    script = fill_in(text, values)
    assert "app_port=8000 app_number=7 app_role=serving" in script
    assert subprocess.run(["sh", "-n"], input=script, text=True).returncode == 0
    with pytest.raises(UsageError, match="--repository"):
        user_data("x'; rm -rf /", "v2", "windtunnel")


def test_every_branch_has_a_playbook_and_hosts() -> None:
    assert set(PLAYBOOKS) == set(GROUPS)
    for path in FOLDER.glob("*.yml"):
        for play in yaml.safe_load(path.read_text()):
            for role in play["roles"]:
                assert (FOLDER / "roles" / role["role"] / "tasks" / "main.yml").is_file(), (path.name, role)


@pytest.mark.parametrize(
    ("role", "words"), [("app", ["app"]), ("proxy", ["proxy"]), ("autoscaler", ["autoscaler"]), ("build", ["deploy", "serve"])]
)  # fmt: skip
def test_a_role_starts_its_command_with_options_that_it_has(role: str, words: list[str]) -> None:
    defaults = (FOLDER / "roles" / role / "defaults" / "main.yml").read_text()
    found = re.search(r"'windtunnel', ((?:'[a-z]+', )+)", defaults)
    assert found is not None
    assert re.findall(r"'(\w+)'", found[1]) == words
    command: Any = get_command(app)
    for word in words:
        command = command.commands[word]
    known = {option for parameter in command.params for option in parameter.opts}
    lines = "".join(line for line in defaults.splitlines(True) if "rotation_command" not in line)
    given = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", lines))
    assert given
    assert given <= known | {"--help"}


@pytest.mark.long
@pytest.mark.parametrize("name", ["app", "proxy@"])
def test_units_are_what_systemd_takes_and_are_hardened(tmp_path: Path, name: str) -> None:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "roles/common/templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["quote"] = shlex.quote
    text = environment.get_template("unit.service.j2").render(
        ansible_managed="managed", common_root="/opt/windtunnel", common_user="root", common_open_files=65536,
        common_memory_max="infinity", common_tasks_max=512,
        common_service={"name": "it", "argv": ["/bin/echo", "a b"], "low_port": False},
    )  # fmt: skip
    assert shutil.which("systemd-analyze"), "expected systemd-analyze: apt install systemd"
    unit = tmp_path / f"windtunnel-{name}.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60
    )
    ours = [line for line in done.stderr.splitlines() if unit.name.removesuffix(".service") in line]
    assert ours == []
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(unit)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert rated.returncode == 0, rated.stdout[-600:]
