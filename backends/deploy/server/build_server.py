"""The embedded build server: a queue per role, one build of it at a time, all of it in Redis, so that a server that dies is replaced by the next.

Theory of operation
-------------------
Only the holder of the lease writes. What waits, and what runs, is read from Redis before each decision; a running build is written down at each of its stages. A server that starts ends what its
predecessor left running (found by the cookie in its environment) and decides by `builds.recover` what becomes of it. Calls to Redis go through one thread, in order; one that fails because
Redis is away is repeated until it is back, while steps go on.
"""

import asyncio
import shutil
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ....core.errors import UsageError
from ....core.ports import RegistryError
from ....scenarios.problems import ScenarioError
from .build_run import BuildRun, Means, ServerEnded, now
from .build_store import LEASE_MS, BuildStore, LeaseLost
from .builds import UNKNOWN_ROLE, Build, due, recover
from .leftovers import cookie, end_leftovers
from .owners import certainly_dead
from .pipeline import FILE, parse_pipeline
from .webhook import Refused
from .worktrees import GitError

T = TypeVar("T")

_RETRY_SECONDS = 0.25
_KEEP = 50


@dataclass(frozen=True, slots=True)
class Answer:
    """What a push has led to: a *build*, perhaps an older one, or none, and a sentence."""

    build: Build | None
    message: str


class BuildServer:
    """Builds what is pushed to the repository of *means*. *folder* holds a folder per build; *name* marks its processes; *notice* is told what one must know."""

    def __init__(
        self, store: BuildStore, folder: Path, means: Means, name: str, notice: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self.lost = asyncio.Event()
        self._store = store
        self._means = means
        self._name = name
        self._notice = notice
        self._thread = ThreadPoolExecutor(1, "builds")
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._runs: dict[int, BuildRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._beats: list[asyncio.Task[None]] = []

    async def _ask(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    async def start(self) -> None:
        """Take the lease, clear up after a predecessor, and begin. Raises UsageError, or RegistryError."""
        await self._means.repository.check()
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(1 + round((LEASE_MS / 1000 + 1) / _RETRY_SECONDS)):
            if await self._ask(self._store.acquire, certainly_dead):
                break
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            raise UsageError(
                "expected to be the only build server under this key prefix of Redis, but another one holds the lease"
            )
        if not await self._ask(self._store.persists):
            self._notice("this Redis keeps nothing on disk: when it restarts, all builds are forgotten")
        await self._recover()
        self._beats = [asyncio.create_task(self._hold()), asyncio.create_task(self._dispatcher())]
        await self._missed()
        self._wake.set()

    async def _recover(self) -> None:
        builds = await self._ask(self._store.latest)
        for build in builds:
            if build.state == "running":
                left = await asyncio.to_thread(end_leftovers, cookie(self._name, build.number))
                recover(build, builds, now(), "the build server died")
                await self._ask(self._store.save, build)
                self._notice(f"build {build.number}: {build.reason}; {len(left)} processes of it were ended")

    async def _missed(self) -> None:
        """Branches that were built before and have moved while no server was there."""
        builds = await self._ask(self._store.latest)
        newest: dict[str, str] = {}
        for build in builds:
            newest.setdefault(build.branch, build.commit)
        tips = await self._means.repository.tips()
        for branch, commit in sorted(newest.items()):
            if tips.get(branch, commit) != commit:
                await self.push(branch, tips[branch], "missed push")

    async def push(self, branch: str, commit: str, origin: str, delivery: str = "") -> Answer:
        """*branch* is at *commit* now (empty: wherever it is). A push that is known already starts nothing. Raises Refused, RegistryError."""
        repository = self._means.repository
        try:
            await repository.fetch(branch)
            tip = (await repository.tips()).get(branch)
            if tip is None:
                raise Refused(422, f"there is no branch {branch!r} in {repository.path}")
            commit = await repository.commit(commit or tip)
        except GitError as error:
            raise Refused(422, str(error)) from None
        async with self._lock:
            builds = await self._ask(self._store.latest)
            if origin != "trigger":
                if delivery and (seen := await self._ask(self._store.delivered, delivery)) is not None:
                    known = next((one for one in builds if one.number == seen), None)
                    return Answer(known, f"delivery {delivery} has started build {seen} before")
                if commit != tip:
                    return Answer(None, f"{branch} is at {tip[:12]} and no more at {commit[:12]}: not built")
                last = next((one for one in builds if one.branch == branch), None)
                if last is not None and last.commit == commit:
                    return Answer(last, f"{commit[:12]} is build {last.number} already")
            made = await self._new(branch, commit, origin)
            if made is None:
                return Answer(None, f"{branch} has no role in {FILE}: not built")
            build, older = await self._ask(self._store.add, made, delivery)
        self._wake.set()
        instead = "".join(f"; build {one.number} is superseded" for one in older)
        return Answer(build, f"build {build.number} of {branch} at {commit[:12]} is {build.state}{instead}")

    async def _new(self, branch: str, commit: str, origin: str) -> Build | None:
        """A build without a number: in the queue of its role, or failed at once because its pipeline cannot be read; None without a role."""
        time = now()
        build = Build(number=0, branch=branch, role=UNKNOWN_ROLE, commit=commit, origin=origin, queued=time)
        try:
            pipeline = parse_pipeline(await self._means.repository.text(commit, FILE))
        except (GitError, ScenarioError) as error:
            build.end("failed", str(error), time)
            return build
        if branch not in pipeline.branches:
            return None
        build.role = pipeline.branches[branch]
        return build

    async def cancel(self, number: int) -> Build:
        """Cancel a build that waits or runs. Raises Refused."""
        async with self._lock:
            build = await self.get(number)
            if not build.open:
                raise Refused(409, f"build {number} is over: {build.state}")
            if number in self._runs:
                self._runs[number].cancelled.set()
                return build
            if build.repair:
                raise Refused(
                    409,
                    f"build {number} has to take back what was interrupted; it cannot be cancelled before",
                )
            build.end("cancelled", "cancelled while it waited", now())
            await self._ask(self._store.save, build)
        return build

    async def get(self, number: int) -> Build:
        """A build. Raises Refused."""
        build = await self._ask(self._store.get, number)
        if build is None:
            raise Refused(404, f"there is no build {number}")
        return build

    async def latest(self, limit: int) -> list[Build]:
        """The newest builds."""
        return await self._ask(self._store.latest, limit)

    async def _dispatcher(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._dispatch()
            except LeaseLost:
                return
            except RegistryError:
                await asyncio.sleep(_RETRY_SECONDS)
                self._wake.set()

    async def _dispatch(self) -> None:
        async with self._lock:
            if self._means.ending.is_set():
                return
            for build in due(await self._ask(self._store.latest)):
                if build.number in self._runs:
                    continue
                previous = await self._ask(self._store.last_passed, build.branch)
                build.state = "running"
                build.attempt += 1
                await self._ask(self._store.save, build)
                mark = cookie(self._name, build.number)
                run = BuildRun(
                    build, self.folder / str(build.number), self._means, previous, mark, self._save
                )
                self._runs[build.number] = run
                task = asyncio.create_task(self._run(run))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _run(self, run: BuildRun) -> None:
        build = run.build
        body = asyncio.create_task(run.run())
        await asyncio.wait({body})
        error = body.exception()
        keep = _KEEP
        if isinstance(error, ServerEnded):
            build.attempt -= 1
            recover(
                build, await self._patiently(self._store.latest) or (), now(), "the build server was ended"
            )
        elif error is not None:
            text = "".join(traceback.format_exception(error))
            self._notice(f"build {build.number}: internal error\n{text}")
            build.end("failed", f"internal error: {type(error).__name__}: {error}", now())
        elif (pipeline := body.result()) is not None:
            keep = pipeline.keep
        await self._save(build)
        async with self._lock:
            del self._runs[build.number]
        if error is None:
            await self._forget(keep)
        self._wake.set()

    async def _save(self, build: Build) -> None:
        """Write a build down, however long Redis is away."""
        await self._patiently(self._store.save, build)

    async def _patiently(self, call: Callable[..., T], *arguments: object) -> T | None:
        """Call until Redis is there; None if the lease is lost."""
        while not self.lost.is_set():
            try:
                return await self._ask(call, *arguments)
            except LeaseLost as error:
                self._lose(str(error))
            except RegistryError as error:
                self._notice(f"waiting for Redis: {error}")
                await asyncio.sleep(_RETRY_SECONDS)
        return None

    async def _forget(self, keep: int) -> None:
        try:
            old = await self._ask(self._store.forget, keep)
        except RegistryError:
            return  # after the next build
        for number in old:
            await asyncio.to_thread(shutil.rmtree, self.folder / str(number), True)

    async def _hold(self) -> None:
        """Prolong the lease. Redis may be away: nobody else can take the lease meanwhile."""
        while not self.lost.is_set():
            await asyncio.sleep(LEASE_MS / 4000)
            try:
                if not await self._ask(self._store.acquire, certainly_dead):
                    self._lose("another build server has taken the lease")
            except RegistryError as error:
                self._notice(f"Redis is away: {error}")

    def _lose(self, why: str) -> None:
        self._notice(f"expected to hold the lease to the end: {why}; all builds here are stopped")
        self.lost.set()
        self._stop_runs()

    def _stop_runs(self) -> None:
        self._means.ending.set()
        for run in self._runs.values():
            run.cancelled.set()

    async def end(self) -> None:
        """Stop what runs, so that the next server begins it again, and give the lease back."""
        self._stop_runs()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        for beat in self._beats:
            beat.cancel()
        if not self.lost.is_set():
            try:
                await self._ask(self._store.release)
            except RegistryError as error:
                self._notice(f"the lease could not be given back: {error}")
        self._thread.shutdown()
