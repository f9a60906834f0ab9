"""``windtunnel deploy apply`` and ``windtunnel deploy inventory``. Exit codes of apply: 0 deployed, 2 bad usage, 3 the deploy failed or was rolled back or
superseded, 4 the registry or Ansible failed."""

import json
import os
import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from .cli_fleet import KeyPrefix, client_of, share_of
from .cli_shared import PASSED, VIOLATED, deploy_commands, free_directory
from .core.errors import UsageError
from .core.rollout.books import ABORT
from .core.rollout.spec import ROLES
from .scenarios.units import parse_duration
from .terminal import err, out

_BRANCHES = ("master", "canary", "proxy", "redis", "build")
RegistryOption = Annotated[
    str,
    typer.Option(
        "--redis-url",
        envvar="WINDTUNNEL_REDIS_URL",
        help="the registry; without --inventory its servers are the hosts; a password is taken from WINDTUNNEL_REDIS_PASSWORD",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*, under ``deploy``."""
    group = deploy_commands(app)
    group.command(
        epilog="Example: windtunnel deploy apply --branch master --version v2 --inventory hosts.yml"
    )(apply)
    group.command(epilog="Example: windtunnel deploy abort --branch master")(abort)
    group.command(
        epilog="Example: windtunnel deploy inventory --ec2-region eu-central-1 --fleet shop > hosts.json"
    )(inventory)
    group.command(
        "user-data",
        epilog="Example: windtunnel deploy user-data --repository https://git.example.org/fleet.git --version v2 > user-data.sh",
    )(instance_user_data)


BranchOption = Annotated[str, typer.Option(help=", ".join(_BRANCHES))]
VersionOption = Annotated[
    str, typer.Option(help="name of the version; of a git source: the commit, tag or branch")
]
SourceOption = Annotated[
    str, typer.Option(metavar="DIR_OR_GIT", help="what is deployed: a directory, or a git repository")
]
InventoryOption = Annotated[
    list[Path] | None,
    typer.Option(help="Ansible's inventory: a file or folder; may be repeated", exists=True),
]
LimitOption = Annotated[str, typer.Option(help="only these hosts, by name, with commas between")]
CheckOption = Annotated[bool, typer.Option("--check", help="say what would be changed, and change nothing")]
AsInOption = Annotated[
    str,
    typer.Option(
        "--as-in",
        metavar="SCENARIO",
        help="the deploy of this branch that the scenario rehearses: its strategy, steps and limits, instead of the options below",
    ),
]
StrategyOption = Annotated[
    str,
    typer.Option(help="rolling, all_at_once or canary; default: canary for the branch canary, else rolling"),
]
UnavailableOption = Annotated[
    str,
    typer.Option(
        "--max-unavailable", help="servers out of rotation at a time: a number or a share such as 25%"
    ),
]
WeightOption = Annotated[str, typer.Option(help="of a canary: its share of the requests")]
AnalysisOption = Annotated[str, typer.Option(help="of a canary: how long it is compared with the others")]
MinReadyOption = Annotated[str, typer.Option(help="so long a server must be healthy before it gets requests")]
DrainOption = Annotated[str, typer.Option(help="longest wait for requests in flight")]
DeadlineOption = Annotated[str, typer.Option(help="a server that takes longer fails the deploy")]
DirectOption = Annotated[
    bool,
    typer.Option(
        "--direct", help="the branch's playbook alone, which takes one server after another by itself"
    ),
]
ArtefactsOption = Annotated[
    Path | None, typer.Option(help="new folder for what Ansible did; default runs/deploy-VERSION")
]


def apply(
    branch: BranchOption, version: VersionOption, source: SourceOption = ".", inventory: InventoryOption = None,
    redis_url: RegistryOption = "redis://127.0.0.1:6379/0", key_prefix: KeyPrefix = "", limit: LimitOption = "",
    check: CheckOption = False, as_in: AsInOption = "", strategy: StrategyOption = "", unavailable: UnavailableOption = "1",
    weight: WeightOption = "10%", analysis: AnalysisOption = "1m", min_ready: MinReadyOption = "2s", drain: DrainOption = "30s",
    deadline: DeadlineOption = "5m", direct: DirectOption = False, artefacts: ArtefactsOption = None,
) -> None:  # fmt: skip
    """Bring the hosts of a branch to a version: drain, exchange, health gate, back in rotation; and back to the version before if anything fails."""
    from .backends.deploy.applying import Application, Asked
    from .backends.deploy.deploy_words import spec_as_in, spec_of
    from .backends.deploy.inventory import is_version
    from .backends.deploy.registry_url import registry_url

    if branch not in _BRANCHES:
        raise UsageError(f"--branch {branch}: expected one of {', '.join(_BRANCHES)}")
    if not is_version(version):
        raise UsageError(
            f"--version {version}: expected letters, digits and . _ - (at most 100), as it becomes a folder"
        )
    words = {"min_ready": min_ready, "drain": drain, "deadline": deadline, "analysis": analysis}
    durations = {name: _duration(name, text) for name, text in words.items()}
    spec = (
        spec_as_in(as_in, branch, version)
        if as_in
        else spec_of(branch, version, strategy, unavailable, share_of("--weight", weight), durations)
    )
    try:
        url = registry_url(redis_url, os.environ)
    except ValueError as error:
        raise UsageError(f"--redis-url: {error}") from None
    asked = Asked(
        branch, version, source, tuple(inventory or ()), url, key_prefix, artefacts or free_directory(f"deploy-{version}"),
        tuple(name for name in limit.split(",") if name), check, direct,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, _interrupted)
    applied = Application(asked, spec, lambda text: err.print(text, markup=False, soft_wrap=True)).run()
    reason = f": {applied.reason}" if applied.reason else ""
    out.print(f"{branch} {version}: {applied.state}{reason}", markup=False)
    raise typer.Exit(PASSED if applied.good else VIOLATED)


def abort(
    branch: BranchOption, redis_url: RegistryOption = "redis://127.0.0.1:6379/0", key_prefix: KeyPrefix = ""
) -> None:
    """Ask the deploy of a branch that is under way to take back what it has done."""
    from .backends.deploy.deploy_books import ask

    if branch not in ROLES:
        raise UsageError(f"--branch {branch}: expected one of {', '.join(ROLES)}")
    done = ask(client_of(redis_url), key_prefix, ROLES[branch], ABORT)
    out.print("asked to abort" if done else f"no deploy of {branch} is under way")
    raise typer.Exit(PASSED if done else VIOLATED)


def _interrupted(signum: int, frame: FrameType | None) -> None:
    """Whoever ends the command gets what Ctrl-C gets: the playbook is cancelled, what was in hand stays out of rotation."""
    raise KeyboardInterrupt


def _duration(name: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--{name.replace('_', '-')} {text}: {error}") from None


def inventory(
    redis_url: Annotated[
        str,
        typer.Option(
            "--redis-url", envvar="WINDTUNNEL_REDIS_URL", help="hosts of the servers in this registry"
        ),
    ] = "",
    key_prefix: KeyPrefix = "",
    ec2_region: Annotated[
        str, typer.Option(help="hosts of the instances with our tags in this AWS region, instead")
    ] = "",
    fleet: Annotated[str, typer.Option(help="with --ec2-region: the scenario's name, as in the tags")] = "",
    endpoint_url: Annotated[
        str, typer.Option(help="with --ec2-region: instead of AWS, a moto server, say")
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="with --ec2-region: public addresses")] = False,
    port: Annotated[int, typer.Option(help="with --ec2-region: where servers answer")] = 80,
    list_: Annotated[bool, typer.Option("--list", help="as Ansible calls it; all hosts either way")] = False,
    host: Annotated[str, typer.Option(help="as Ansible calls it: the variables of one host")] = "",
) -> None:
    """Print Ansible's inventory of a fleet that is there, from its registry or from EC2 tags, as JSON."""
    from .backends.deploy.inventory import ec2_inventory, registry_inventory
    from .backends.deploy.registry_url import registry_url

    if bool(ec2_region) == bool(redis_url):
        raise UsageError("expected --redis-url or --ec2-region, one of them")
    if ec2_region:
        from .backends.aws.client import ec2_client

        if not fleet:
            raise UsageError("--ec2-region: expected --fleet, the name in the instances' tags")
        client, _ = ec2_client(ec2_region, endpoint_url or None)
        found = ec2_inventory(client, fleet, public, port)
    else:
        from .backends.connection import registry_at

        found = registry_inventory(registry_at(registry_url(redis_url, os.environ), key_prefix))
    print(json.dumps(found["_meta"]["hostvars"].get(host, {}) if host else found, indent=2))


def instance_user_data(
    repository: Annotated[
        str, typer.Option(metavar="URL", help="the git repository with the fleet's scenario")
    ],
    version: Annotated[str, typer.Option(help="a tag or branch of it")],
    package: Annotated[str, typer.Option(help="what pip installs on the instance")] = "windtunnel[deploy]",
) -> None:
    """Print user data by which an instance that the autoscaler launches provisions itself with the playbook's role; for fleet.cloud.aws.user_data_file."""
    from .backends.deploy.provisioning import user_data

    print(user_data(repository, version, package), end="")
