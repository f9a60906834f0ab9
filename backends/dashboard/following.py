"""Follows the run in a directory: by the stream of the flight that writes it, by its files where nobody flies, and not at all once it has ended."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from ..live.telling import Told, unpack
from ..live.whereabouts import Whereabouts, read
from .news import News
from .seconds import Seconds
from .showing import Show

LIVE, GROWING, CUT_OFF, ENDED = "live", "growing", "cut off", "ended"
"""A flight that can be heard; a run that is still written; one that nobody has written to for some time; a finished one."""

_LOOK_SECONDS = 1.0
_QUIET_SECONDS = 30.0
_CONNECT_SECONDS = 5.0


class Following:
    """Follows *directory* and tells *news*. *state* is one of the above."""

    def __init__(self, directory: Path, show: Show, news: News) -> None:
        self.directory = directory
        self.state = ENDED if _ended(directory) else GROWING
        self.allowed = False
        self.whereabouts: Whereabouts | None = None
        self._show = show
        self._news = news
        self._seconds = Seconds()
        self._heard = -1

    @property
    def grown(self) -> Any:
        """Something that changes whenever the run's files do."""
        found = []
        for path in (self.directory, self.directory / "parts", self.directory / "events.jsonl"):
            try:
                told = path.stat()
            except OSError:
                continue
            found.append((told.st_mtime_ns, told.st_size))
        return tuple(found)

    async def run(self) -> None:
        """Until the run has ended."""
        grown, quiet = self.grown, 0.0
        while not _ended(self.directory):
            whereabouts = read(self.directory)
            if whereabouts is not None and await self._hear(whereabouts):
                continue
            before, grown = grown, self.grown
            quiet = 0.0 if grown != before else quiet + _LOOK_SECONDS
            self._now(CUT_OFF if quiet >= _QUIET_SECONDS else GROWING)
            if grown != before and self._news.listeners:
                self._news.tell("document", {})
            await asyncio.sleep(_LOOK_SECONDS)
        if self.state != ENDED:
            self._now(ENDED)

    def _now(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self._news.tell("state", self.told())

    def told(self) -> dict[str, Any]:
        """What pages are told of the state."""
        return {"state": self.state, "allowed": self.allowed and self.state == LIVE}

    async def _hear(self, whereabouts: Whereabouts) -> bool:
        """Listen to the flight until it ends; False if there was none to listen to."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session,
                session.get(f"{whereabouts.url}/v1/stream") as response,
            ):
                if response.status != 200:
                    return False
                self.whereabouts = whereabouts
                while (told := await unpack(response.content.readexactly)) is not None:
                    self._take(told)
                return True
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        finally:
            self.whereabouts = None
            if self.state == LIVE:
                self._now(GROWING)

    def _take(self, told: Told) -> None:
        match told.kind:
            case "begin":
                self.allowed = bool(told.fields.get("allowed"))
                self._now(LIVE)
            case "event":
                event = told.fields["event"]
                if marks := self._show.marks([event]):
                    self._news.tell("frame", {**NOTHING, "marks": marks})
            case "second":
                whole = self._seconds.whole(told)
                frame = self._show.frame(whole, ())
                self._news.tell("frame", frame, int(frame["first"]))
            case "lost":
                self._news.tell("document", {})


NOTHING = {"first": 0, "width": 1, "points": 0, "fleet": {}, "servers": {}, "edges": {}}
"""A frame of no second, for marks that are told before their second is over."""


def _ended(directory: Path) -> bool:
    """Whether the run's summary is there, which is written last, and whole."""
    try:
        return isinstance(json.loads((directory / "summary.json").read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False
