"""One build from its checkout to what it publishes: stage after stage, and the way back where a stage does not succeed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ....scenarios.problems import ScenarioError
from .builds import Build, StageRun, StageState
from .credentials import Credentials, MissingSecret
from .masking import MaskedLog
from .pipeline import FILE, Pipeline, Stage, parse_pipeline
from .publishing import publish
from .steps import GRACE_SECONDS, Surroundings, run_step
from .worktrees import GitError, Repository

_SECOND = 1_000_000_000
CHECKOUT, LOGS, ARTIFACTS = "checkout", "logs", "artifacts"


def now() -> int:
    """ns since 1970."""
    return time.time_ns()


@dataclass(frozen=True, slots=True)
class Means:
    """What builds are made with. *environment*: what of the server's own every step sees. *ending* is set when the server ends."""

    repository: Repository
    credentials: Credentials
    environment: Mapping[str, str]
    ending: asyncio.Event
    grace: float = GRACE_SECONDS


class ServerEnded(Exception):
    """The server ends while the build runs: it has no outcome."""


class BuildRun:
    """Carries out *build* in *folder*. *previous*: the commit to go back to, or nothing. *save* writes the build down; *mark* is its cookie."""

    def __init__(
        self,
        build: Build,
        folder: Path,
        means: Means,
        previous: str,
        mark: str,
        save: Callable[[Build], Awaitable[None]],
    ) -> None:
        self.build = build
        self.cancelled = asyncio.Event()
        self._folder = folder
        self._means = means
        self._previous = previous
        self._mark = mark
        self._save = save
        self._checkout = folder / CHECKOUT
        self._deadline = 0.0

    async def run(self) -> Pipeline | None:
        """All of it; the build is at its end then. The pipeline that it followed. Raises ServerEnded."""
        build = self.build
        (self._folder / LOGS).mkdir(parents=True, exist_ok=True)
        try:
            pipeline = parse_pipeline(await self._means.repository.text(build.commit, FILE))
        except (GitError, ScenarioError) as error:
            build.end("failed", str(error), now())
            return None
        if build.repair:
            await self._repair(pipeline)
            if build.verdict:
                build.end(build.verdict, build.reason, now())
                await self._means.repository.remove(self._checkout)
                return pipeline
        await self._stages(pipeline)
        return pipeline

    async def _stages(self, pipeline: Pipeline) -> None:
        build = self.build
        stages = pipeline.stages_of(build.branch)
        build.begin(now(), stages)
        build.reason = ""
        self._deadline = time.monotonic() + pipeline.timeout / _SECOND
        failed: StageRun | None = None
        for stage, run in zip(stages, build.stages, strict=True):
            await self._stage(stage, run, pipeline)
            if run.state != "passed":
                failed = run
                if stage.roll_back:
                    await self._way_back(stage, run, pipeline)
                break
            await self._save(build)
        await asyncio.to_thread(publish, build, pipeline.publish, self._checkout, self._folder / ARTIFACTS)
        await self._means.repository.remove(self._checkout)
        if failed is None:
            build.end("passed", "", now())
        else:
            stopped = failed.state == "cancelled"
            build.end("cancelled" if stopped else "failed", f"{failed.stage}: {failed.reason}", now())

    def _log(self, name: str, pipeline: Pipeline) -> MaskedLog:
        return MaskedLog(self._folder / LOGS / name, self._means.credentials.to_mask(pipeline))

    async def _stage(self, stage: Stage, run: StageRun, pipeline: Pipeline) -> None:
        run.state, run.started = "running", now()
        await self._save(self.build)
        log = self._log(run.log, pipeline)
        try:
            if self.cancelled.is_set():
                run.state, run.reason = "cancelled", "cancelled"
            elif stage.checkout:
                await self._check_out(run, log)
            else:
                await self._steps(stage, run, pipeline, log)
            if run.reason:
                log.say(run.reason)
        finally:
            log.close()
        run.ended = now()
        if self._means.ending.is_set():
            _resume(run)
            raise ServerEnded

    async def _check_out(self, run: StageRun, log: MaskedLog) -> None:
        repository = self._means.repository
        try:
            await repository.remove(self._checkout)
            said = await repository.add(self._checkout, self.build.commit)
        except GitError as error:
            run.state, run.reason = "failed", str(error)
            return
        log.write(said.encode())
        log.say(f"{self.build.branch} at {self.build.commit}")
        run.state = "passed"

    async def _steps(self, stage: Stage, run: StageRun, pipeline: Pipeline, log: MaskedLog) -> None:
        try:
            around = self._around(stage, pipeline, self.cancelled)
        except MissingSecret as error:
            run.state, run.reason = "failed", str(error)
            return
        ends = min(self._deadline, time.monotonic() + stage.timeout / _SECOND)
        run.state, run.status, run.reason = await self._scripts(stage.steps, around, log, ends)

    async def _scripts(
        self, scripts: list[str], around: Surroundings, log: MaskedLog, ends: float
    ) -> tuple[StageState, int, str]:
        """Run *scripts* until one does not succeed: state, status and reason."""
        began = time.monotonic()
        for script in scripts:
            end = await run_step(script, around, log, max(0.0, ends - time.monotonic()))
            if end.stopped == "timed out":
                return "timed out", end.status, f"not done within {ends - began:.0f} s"
            if end.stopped:
                return "cancelled", end.status, "cancelled"
            if end.status:
                return "failed", end.status, f"exit code {end.status}"
        return "passed", 0, ""

    async def _way_back(self, stage: Stage, run: StageRun, pipeline: Pipeline) -> None:
        """The pipeline's way back, which only its own time, or the server's end, cuts short."""
        assert pipeline.roll_back is not None
        back = pipeline.roll_back
        log = self._log(run.log, pipeline)
        try:
            log.say("the way back begins")
            ends = time.monotonic() + back.timeout / _SECOND
            around = self._around(stage, pipeline, self._means.ending)
            state, _, reason = await self._scripts(back.steps, around, log, ends)
            if self._means.ending.is_set():
                run.state = "running"
                raise ServerEnded
            told = "rolled back" if state == "passed" else f"the way back failed: {reason}"
            log.say(told)
        except MissingSecret as error:
            told = f"there was no way back: {error}"
        finally:
            log.close()
        run.reason = f"{run.reason}; {told}"

    async def _repair(self, pipeline: Pipeline) -> None:
        """Take back what an attempt left half done, in what it left of its checkout."""
        build = self.build
        stage = next((one for one in pipeline.stages if one.stage == build.repair), None)
        run = next((one for one in build.stages if one.stage == build.repair), None)
        if stage is not None and run is not None and pipeline.roll_back is not None:
            run.state = "running"
            await self._save(build)
            if self._checkout.is_dir():
                await self._way_back(stage, run, pipeline)
            else:
                run.reason = f"{run.reason}; there was no way back: its checkout is gone"
            run.state = "interrupted"
            build.reason = f"{build.reason}; {run.reason}"
        build.repair = ""

    def _around(self, stage: Stage, pipeline: Pipeline, stop: asyncio.Event) -> Surroundings:
        build = self.build
        environment = {
            **self._means.environment,
            **pipeline.environment,
            "CI": "true",
            "BRANCH_NAME": build.branch,
            "BUILD_NUMBER": str(build.number),
            "GIT_COMMIT": build.commit,
            "GIT_PREVIOUS_SUCCESSFUL_COMMIT": self._previous,
            "WORKSPACE": str(self._checkout),
            **self._means.credentials.of_stage(stage, pipeline),
        }
        return Surroundings(self._checkout, environment, self._mark, stop, self._means.grace)


def _resume(run: StageRun) -> None:
    """A stage that the server's end has cut short is under way, for whoever begins it again."""
    if run.state != "passed":
        run.state = "running"
