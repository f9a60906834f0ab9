"""The command line's part for the build server: serve, hook, status, log, cancel, trigger, jenkinsfile."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .backends.deploy.server.build_client import BuildClient, BuildServerAway
from .backends.deploy.server.build_store import PREFIX
from .backends.deploy.server.builds import Build
from .backends.deploy.server.credentials import read_private
from .backends.deploy.server.jenkins_client import JenkinsFailure, JenkinsTrigger
from .backends.deploy.server.jenkinsfile import jenkinsfile as text_of_jenkinsfile
from .backends.deploy.server.pipeline import FILE, read_pipeline
from .backends.deploy.server.post_receive import hook_text, install
from .backends.deploy.server.steps import GRACE_SECONDS
from .cli_shared import BACKEND, INTERRUPTED, PASSED, VIOLATED, deploy_commands
from .core.errors import UsageError
from .terminal import err, out

URL = "http://127.0.0.1:8600"
_FOLLOW_SECONDS = 24 * 3600.0

UrlOption = Annotated[str, typer.Option("--url", metavar="URL", help="where the build server listens")]
TokenOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="holds the build server's token, if it wants one")
]
NumberArgument = Annotated[int, typer.Argument(metavar="BUILD", min=1, help="a build's number")]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*, under ``deploy``."""
    group = deploy_commands(app)
    group.command(
        epilog="Example: windtunnel deploy serve --repository fleet.git --redis-url redis://127.0.0.1:6379/0"
    )(serve)
    group.command(
        epilog="Example: windtunnel deploy hook --repository fleet.git --secret-file webhook.secret --install"
    )(hook)
    group.command(epilog="Example: windtunnel deploy status 12")(status)
    group.command(epilog="Example: windtunnel deploy log 12 --stage test")(log)
    group.command(epilog="Example: windtunnel deploy cancel 12")(cancel)
    group.command(epilog="Example: windtunnel deploy trigger --branch master --follow")(trigger)
    group.command(epilog="Example: windtunnel deploy jenkinsfile > Jenkinsfile")(jenkinsfile)


def serve(
    repository: Annotated[Path, typer.Option(metavar="DIR", help="the git repository, bare or not, that is pushed to")],
    redis_url: Annotated[str, typer.Option(metavar="URL", help="where builds are kept; best a Redis of its own that writes to disk")],
    folder: Annotated[Path, typer.Option("--dir", help="for checkouts, logs and artefacts")] = Path("builds"),
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="loopback, unless there is a token; port 0: a free one")] = "127.0.0.1:8600",
    webhook_secret_file: Annotated[Path | None, typer.Option(metavar="FILE", help="the secret that hook and webhook sign with; without it none is taken")] = None,
    token_file: Annotated[Path | None, typer.Option(metavar="FILE", help="what everybody else must know; needed beyond loopback")] = None,
    secrets: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML, a value per secret of the pipeline; what it lacks comes from the environment")] = None,
    env: Annotated[list[str] | None, typer.Option(metavar="NAME[=VALUE]", help="a variable that every step sees; may be repeated")] = None,
    remote: Annotated[str, typer.Option(help="a remote of the repository whose branches are built, fetched at each push")] = "",
    key_prefix: Annotated[str, typer.Option(help="before each key in Redis")] = PREFIX,
    grace: Annotated[float, typer.Option(min=0, help="seconds between SIGTERM and SIGKILL for what a step has started")] = GRACE_SECONDS,
) -> None:  # fmt: skip
    """The embedded build server: builds, tests, rehearses and deploys what is pushed, by pipeline.yaml. Ends on Ctrl-C or SIGTERM; what ran is begun again by the next."""
    # Not before it is asked for: a web server's packages take longer to load than most commands run.
    from .backends.deploy.server.serving import ServeOptions
    from .backends.deploy.server.serving import serve as run_server

    options = ServeOptions(
        repository, redis_url, folder, listen, webhook_secret_file, token_file, secrets, tuple(env or ()), remote,
        key_prefix, grace,
    )  # fmt: skip
    kept = run_server(
        options,
        lambda url: print(f"windtunnel build server on {url}", flush=True),
        lambda text: err.print(text, markup=False),
    )
    raise typer.Exit(PASSED if kept else BACKEND)


def hook(
    secret_file: Annotated[Path, typer.Option(metavar="FILE", help="the secret that the build server knows too")],
    repository: Annotated[Path | None, typer.Option(metavar="DIR", help="where --install writes it")] = None,
    url: UrlOption = URL,
    install_: Annotated[bool, typer.Option("--install", help="write it into the repository instead of printing it")] = False,
) -> None:  # fmt: skip
    """Print, or install, the post-receive hook that tells the build server of each push."""
    read_private(secret_file, "the webhook's secret")
    text = hook_text(url, secret_file)
    if not install_:
        print(text, end="")
        return
    if repository is None or not repository.is_dir():
        raise UsageError("--install: expected --repository DIR, a git repository")
    out.print(str(install(repository, text)), markup=False)


def _client(url: str, token_file: Path | None) -> BuildClient:
    return BuildClient(url, read_private(token_file, "a token") if token_file else "")


def status(
    number: Annotated[int | None, typer.Argument(metavar="[BUILD]", min=1, help="a build's number; without it the newest builds")] = None,
    url: UrlOption = URL,
    token_file: TokenOption = None,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:  # fmt: skip
    """The newest builds, or one with its stages."""
    with _away():
        client = _client(url, token_file)
        builds = client.builds() if number is None else [client.build(number)]
    if json_:
        told = [one.model_dump() for one in builds]
        print(json.dumps(told if number is None else told[0], indent=2))
        return
    out.print(_table(builds))
    if number is not None:
        stages = Table(box=None)
        for column in ("stage", "state", ""):
            stages.add_column(column)
        for run in builds[0].stages:
            stages.add_row(escape(run.stage), run.state, escape(run.reason))
        out.print(stages)


def _table(builds: list[Build]) -> Table:
    table = Table(box=None)
    for column in ("build", "branch", "role", "commit", "state", "queued (UTC)", ""):
        table.add_column(column)
    for one in builds:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(one.queued / 1e9))
        table.add_row(
            str(one.number),
            escape(one.branch),
            escape(one.role),
            one.commit[:12],
            one.state,
            when,
            escape(one.reason),
        )
    return table


def log(
    number: NumberArgument,
    stage: Annotated[str, typer.Option(help="only this stage's")] = "",
    url: UrlOption = URL,
    token_file: TokenOption = None,
    follow: Annotated[bool, typer.Option("--follow", help="go on until the build is over")] = False,
) -> None:
    """What a build's stages have said."""
    with _away():
        client = _client(url, token_file)
        if follow:
            client.follow(number, _show, stage)
            return
        build = client.build(number)
        if stage and stage not in [run.stage for run in build.stages]:
            raise UsageError(
                f"--stage: expected one of {', '.join(run.stage for run in build.stages) or 'none yet'}, got {stage!r}"
            )
        for run in build.stages:
            if stage in ("", run.stage) and run.started:
                if not stage:
                    _show(f"== {run.stage}\n")
                client.rest(number, run.stage, _show)


def cancel(number: NumberArgument, url: UrlOption = URL, token_file: TokenOption = None) -> None:
    """Cancel a build that waits or runs: whatever it has started is ended, and a deploy under way is rolled back."""
    with _away():
        build = _client(url, token_file).cancel(number)
    out.print(f"build {build.number}: {'being cancelled' if build.open else build.state}", markup=False)


def trigger(
    branch: Annotated[str, typer.Option(help="the branch to build")],
    commit: Annotated[str, typer.Option(help="another commit than its newest; not with --jenkins")] = "",
    follow: Annotated[bool, typer.Option("--follow", help="show its log and wait: exit code 3 unless it passes")] = False,
    url: UrlOption = URL,
    token_file: TokenOption = None,
    jenkins: Annotated[str, typer.Option(metavar="URL", help="a Jenkins instead; it is followed to its end; JENKINS_USER and JENKINS_TOKEN say who asks")] = "",
    job: Annotated[str, typer.Option(help="of --jenkins: the multibranch job, with its folders")] = "windtunnel",
    timeout: Annotated[float, typer.Option(min=1, help="of --jenkins: seconds to wait for the build's end")] = _FOLLOW_SECONDS,
) -> None:  # fmt: skip
    """Start a build of a branch, here or on a Jenkins."""
    with _away():
        if jenkins:
            if commit:
                raise UsageError(
                    "--commit: expected none with --jenkins, which builds a branch's newest commit"
                )
            passed = _on_jenkins(jenkins, job, branch, timeout)
        else:
            client = _client(url, token_file)
            build, message = client.trigger(branch, commit)
            out.print(message, markup=False)
            if build is None or not follow:
                raise typer.Exit(PASSED if build is not None and build.state != "failed" else VIOLATED)
            build = client.follow(build.number, _show)
            out.print(f"build {build.number}: {build.state} {build.reason}".rstrip(), markup=False)
            passed = build.state == "passed"
    raise typer.Exit(PASSED if passed else VIOLATED)


def _on_jenkins(url: str, job: str, branch: str, timeout: float) -> bool:
    started = time.monotonic()
    server = JenkinsTrigger(
        url, job, branch, os.environ.get("JENKINS_USER", ""), os.environ.get("JENKINS_TOKEN", "")
    )
    item = server.start()
    out.print(f"queue item {item} of {job}/{branch}", markup=False)
    number = server.wait_begun(item, timeout, _show)
    out.print(f"build {number} of {job}/{branch}", markup=False)
    result = server.follow(number, max(1.0, timeout - (time.monotonic() - started)), _show)
    out.print(f"build {number} of {job}/{branch}: {result}", markup=False)
    return result == "SUCCESS"


def jenkinsfile(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="the pipeline")] = Path(FILE),
) -> None:
    """Print the Jenkinsfile of a pipeline, which is made of it."""
    print(text_of_jenkinsfile(read_pipeline(file)), end="")


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


class _away:
    """What a build server or a Jenkins failed in is one sentence and exit code 4; Ctrl-C leaves the build alone."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (BuildServerAway, JenkinsFailure)):
            err.print(str(error), markup=False)
            raise typer.Exit(BACKEND) from None
        if isinstance(error, KeyboardInterrupt):
            err.print("interrupted; the build goes on")
            raise typer.Exit(INTERRUPTED) from None
