"""The life of a deploy, as a table.

Theory of operation
-------------------
    queued ──> preparing ──> stepping <──> paused
                   │         │     ^ │        │
                   │         │     │ v        v
                   │         │   analysing ──────────┐
                   v         v                       v
               promoting ──> verifying ──> promoted  │
                   │             │                   │
                   └─────────────┴──> rolling_back <─┘ ──> rolled_back | aborted | failed

A deploy that is due is *queued* until its first turn, and *preparing* while it makes what its strategy needs (canaries, a second set). A canary or blue-green
deploy then goes through its steps: *stepping* from one to the next, *paused* by a step or for want of data, *analysing*. *Promoting* exchanges the version of
all servers of the role; *verifying* waits for them to stay healthy. Whatever goes wrong on the way leads to *rolling_back*, which ends as rolled_back, as aborted
if somebody asked for it, or as failed if the old version does not come up either; or, where the deploy is to stop and not to roll back, to failed at once.
A newer push makes it superseded, wherever it is. Every change passes :func:`move`.
"""

from enum import StrEnum


class State(StrEnum):
    """States of a deploy, as they stand in log, registry and docs."""

    QUEUED = "queued"
    PREPARING = "preparing"
    STEPPING = "stepping"
    PAUSED = "paused"
    ANALYSING = "analysing"
    PROMOTING = "promoting"
    VERIFYING = "verifying"
    PROMOTED = "promoted"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"
    FAILED = "failed"


_BAD_ENDS = frozenset({State.ROLLING_BACK, State.FAILED, State.SUPERSEDED})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.PREPARING, State.ABORTED, State.SUPERSEDED}),
    State.PREPARING: _BAD_ENDS | {State.STEPPING, State.PROMOTING},
    State.STEPPING: _BAD_ENDS | {State.PAUSED, State.ANALYSING, State.PROMOTING},
    State.PAUSED: _BAD_ENDS | {State.STEPPING, State.ANALYSING, State.PROMOTING},
    State.ANALYSING: _BAD_ENDS | {State.STEPPING, State.PAUSED, State.PROMOTING},
    State.PROMOTING: _BAD_ENDS | {State.VERIFYING},
    State.VERIFYING: _BAD_ENDS | {State.PROMOTED},
    State.ROLLING_BACK: frozenset({State.ROLLED_BACK, State.ABORTED, State.FAILED, State.SUPERSEDED}),
    State.PROMOTED: frozenset(),
    State.ROLLED_BACK: frozenset(),
    State.ABORTED: frozenset(),
    State.SUPERSEDED: frozenset(),
    State.FAILED: frozenset(),
}

ENDED = frozenset(state for state, following in TRANSITIONS.items() if not following)
"""States that are never left."""


class IllegalTransition(ValueError):
    """A deploy was asked to move to a state that it cannot reach from where it is."""


def move(deploy: str, old: State, new: State) -> State:
    """The new state of *deploy*, or :class:`IllegalTransition` naming both states and what was possible."""
    if new not in TRANSITIONS[old]:
        possible = ", ".join(sorted(TRANSITIONS[old])) or "nothing"
        raise IllegalTransition(f"deploy {deploy} cannot become {new} while {old}; possible: {possible}")
    return new
