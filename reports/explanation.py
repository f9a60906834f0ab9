"""Why the fleet had the size that it had: a run's decisions in plain sentences."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core.model import AutoscalerSpec
from .decision_log import DecisionLog
from .decision_words import (
    because,
    done_words,
    figures_words,
    fleet_words,
    limit_words,
    metrics_words,
    undecided,
)
from .wording import duration, listed, moment, plural

Row = dict[str, Any]

_HELD, _BLIND, _UNDECIDED, _DRY = "held", "blind", "undecided", "dry"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something that is true from *start* to *end* (ns), or at *start*."""

    start: int
    end: int
    text: str

    @property
    def when(self) -> str:
        """``0:38``, ``3:10 to 5:00``."""
        return moment(self.start) if self.end <= self.start else f"{moment(self.start)} to {moment(self.end)}"


@dataclass(slots=True)
class _Spell:
    """Turns in a row of which the same is to be said."""

    key: tuple[Any, ...]
    turn: int
    rows: list[Row]

    def sentence(self, log: DecisionLog, spec: AutoscalerSpec) -> Sentence:
        """What is to be said of them."""
        first, last = self.rows[0], self.rows[-1]
        asked = sorted({row["proposal"] for row in self.rows})
        wanted = f"{asked[0]}" if len(asked) == 1 else f"{asked[0]} to {asked[-1]}"
        match self.key[0]:
            case "undecided":
                text = f"Nothing was decided: {undecided(first['reason'])}."
            case "held":
                text = (
                    f"{fleet_words(first).capitalize()}, and no change, although the policy asked for {wanted} "
                    f"({because(first['proposal_reason'])}): {limit_words(self.key[1], spec)}."
                )
            case "dry":
                text = (
                    f"{fleet_words(first).capitalize()}; in this dry run it would have been made {first['desired']}: "
                    f"the policy asked for {wanted}, because {because(first['proposal_reason'])}."
                )
            case _:
                text = f"No usable sample of {_unheard(log.seen(self.turn))}; the policy asked for {wanted}."
        return Sentence(first["time_ns"], last["time_ns"], text)


def story(log: DecisionLog, spec: AutoscalerSpec) -> list[Sentence]:
    """Every change of size, why and what limited it, and whatever kept it from changing, in order of time."""
    return list(_sentences(log, spec))


def _sentences(log: DecisionLog, spec: AutoscalerSpec) -> Iterator[Sentence]:
    spell: _Spell | None = None
    before: Row | None = None
    quiet = 0
    for turn, row in enumerate(log.rows):
        key = _key(row)
        if spell is not None and spell.key != key:
            yield spell.sentence(log, spec)
            spell = None
        if before is not None:
            yield from _between(before, row, spec)
        if key and spell is not None:
            spell.rows.append(row)
        elif key:
            spell = _Spell(key, turn, [row])
        elif row["actions"] or row["desired"] != _size(row):
            yield _change(log, turn, spec)
        else:
            quiet += 1
        before = row
    if spell is not None:
        yield spell.sentence(log, spec)
    yield _rest(log, quiet)


def _key(row: Row) -> tuple[Any, ...]:
    """What is said once of all such turns in a row; empty of a turn that is told by itself, or not at all."""
    if row["desired"] < 0:
        return (_UNDECIDED, row["reason"])
    changes = row["desired"] != _size(row)
    if changes and row["dry_run"]:
        return (_DRY, _size(row), row["desired"], row["proposal_reason"])
    if changes or row["actions"]:
        return ()
    if row["limits"]:
        return (_HELD, row["limits"], _size(row), row["proposal_reason"])
    return (_BLIND, row["proposal"]) if row["blind"] else ()


def _unheard(seen: list[Row]) -> str:
    """Servers without a usable sample."""
    silent = [row for row in seen if row["state"] == "serving" and row["requests"] is None]
    names = [f"server {row['number']}" if row["number"] else row["server"] for row in silent]
    return listed(names, 3) or "what it looks at"


def _between(before: Row, row: Row, spec: AutoscalerSpec) -> Iterator[Sentence]:
    """What happened since the turn *before* that no turn decided."""
    if row["time_ns"] - before["time_ns"] >= 2 * spec.interval:
        yield Sentence(
            before["time_ns"], row["time_ns"], "No turn took place: the autoscaler was down or late."
        )
    if before["desired"] < 0 or row["desired"] < 0:
        return
    expected = _size(before) if before["dry_run"] else before["desired"]
    if _size(row) != expected:
        more = "nobody decided that here" if before["dry_run"] else f"not the {expected} decided on before"
        done = row["actions"]
        ended = f" ({done})" if "terminate" in done else ""
        yield Sentence(
            row["time_ns"], row["time_ns"], f"There {_were(_size(row))} {fleet_words(row)}, {more}{ended}."
        )


def _were(size: int) -> str:
    return "was" if size <= 1 else "were"


def _change(log: DecisionLog, turn: int, spec: AutoscalerSpec) -> Sentence:
    row = log.rows[turn]
    time, size = row["time_ns"], _size(row)
    if row["desired"] == size:
        return Sentence(
            time, time, f"{fleet_words(row).capitalize()}, and no other wanted; {done_words(row)}."
        )
    return Sentence(time, time, f"{_resized(log, turn, spec)} {done_words(row).capitalize()}.")


def _resized(log: DecisionLog, turn: int, spec: AutoscalerSpec) -> str:
    row = log.rows[turn]
    compared = metrics_words(log.seen(turn), spec)
    detail = f" ({compared})" if compared else ""
    text = f"{fleet_words(row).capitalize()}, {row['desired']} wanted: the policy asked for {row['proposal']}, because {because(row['proposal_reason'])}{detail}"
    if row["limits"]:
        return f"{text}; {limit_words(row['limits'], spec)}."
    if row["reason"] != row["proposal_reason"]:
        return f"{text}; {because(row['reason'])}."
    return f"{text}."


def _rest(log: DecisionLog, quiet: int) -> Sentence:
    """What is left to say of all turns."""
    first, last = int(log.times[0]), int(log.times[-1])
    text = f"{plural(len(log), 'turn')} in all"
    if quiet:
        text += f"; at {quiet:,} of them the policy asked for the size that was there"
    return Sentence(first, last, f"{text}.")


def _size(row: Row) -> int:
    return int(row["serving"] + row["booting"])


# One turn.

HEADER = ("server", "sample", "requests", "memory", "cpu", "in flight", "since")


@dataclass(frozen=True, slots=True)
class Situation:
    """One turn: sentences, and a row for each server that was seen (HEADER)."""

    time: int
    sentences: tuple[str, ...]
    servers: tuple[tuple[str, ...], ...]


def situation(log: DecisionLog, spec: AutoscalerSpec, at: int) -> Situation | None:
    """The last turn at or before *at* (ns); None if there was none yet."""
    turn = log.last_by(at)
    if turn < 0:
        return None
    failure = ""
    if log.rows[turn]["desired"] < 0:
        row = log.rows[turn]
        failure = undecided(row["reason"])
        if turn == 0 or log.rows[turn - 1]["time_ns"] != row["time_ns"]:
            return Situation(row["time_ns"], (*_undecided(log, turn, spec, failure),), ())
        # The turn decided, and failed when it was to be carried out.
        turn -= 1
    row = log.rows[turn]
    seen = log.seen(turn)
    sentences = [*_saw(row), *_decided(row, seen, spec)]
    if failure:
        sentences.append(f"Then the turn failed: {failure}.")
    sentences += _origin(log, turn, spec)
    return Situation(row["time_ns"], tuple(sentences), tuple(_cells(one, row["time_ns"]) for one in seen))


def _undecided(log: DecisionLog, turn: int, spec: AutoscalerSpec, failure: str) -> Iterator[str]:
    yield f"Nothing was decided, and the fleet stayed as it was: {failure}."
    known = next((n for n in range(turn, -1, -1) if log.rows[n]["desired"] >= 0), -1)
    if known >= 0:
        row = log.rows[known]
        yield f"The last decision before was at {moment(row['time_ns'])}: {row['desired']} wanted."
        yield from _origin(log, known, spec)


def _saw(row: Row) -> Iterator[str]:
    standby = plural(row["standby"], "standby server") if row["standby"] else "no standby server"
    yield f"The autoscaler saw {fleet_words(row)} and {standby}."


def _decided(row: Row, seen: list[Row], spec: AutoscalerSpec) -> Iterator[str]:
    compared = metrics_words(seen, spec)
    yield (
        f"The policy ({spec.policy.kind}) asked for {row['proposal']}, because {because(row['proposal_reason'])}"
        + (f" ({compared})." if compared else ".")
    )
    if row["figures"]:
        yield f"Its figures: {figures_words(row)}."
    missing = sum(one["state"] == "serving" and one["requests"] is None for one in seen)
    if missing:
        yield f"Of {plural(missing, 'server')} it had no usable sample (older than {duration(spec.max_sample_age)}, or none)."
    if row["limits"]:
        yield f"That was changed, because {limit_words(row['limits'], spec)}."
    elif row["reason"] != row["proposal_reason"]:
        yield f"{because(row['reason']).capitalize()}."
    elif row["proposal"] == row["desired"]:
        yield "No limit changed that."
    yield f"Decided: {plural(row['desired'], 'server')}; {done_words(row)}."


def _origin(log: DecisionLog, turn: int, spec: AutoscalerSpec) -> Iterator[str]:
    """Where the size that *turn* found came from."""
    size = _size(log.rows[turn])
    for earlier in range(turn - 1, -1, -1):
        row = log.rows[earlier]
        if row["desired"] < 0 or row["dry_run"]:
            continue
        if row["desired"] != _size(row):
            when = moment(row["time_ns"])
            if row["desired"] == size:
                yield f"That size was decided on at {when}: {_resized(log, earlier, spec)}"
            else:
                yield f"The last change before was decided on at {when}, to {row['desired']}: {_resized(log, earlier, spec)}"
            return
    yield "No turn before had changed the size."


def _cells(row: Row, now: int) -> tuple[str, ...]:
    if row["state"] != "serving":
        return ("booting", "", "", "", "", "", f"launched {moment(row['since_ns'])}")
    where = row["server"].removeprefix("http://")
    name = f"{row['number']} ({where})" if row["number"] else where
    age = "none" if row["sampled_ns"] < 0 else f"{duration(max(now - row['sampled_ns'], 0))} old"
    said: tuple[str, ...] = ("unknown",) * 4
    if row["requests"] is not None:
        age = "undated" if row["sampled_ns"] < 0 else age
        said = (
            f"{row['requests']:.4g}/s",
            f"{row['memory']:.1%}",
            f"{row['cpu']:.1%}",
            f"{row['in_flight']:.0f}",
        )
    since = "before" if row["since_ns"] < 0 else moment(row["since_ns"])
    return (name, age, *said, since)
