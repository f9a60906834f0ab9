"""The life of an instance, as a table.

Theory of operation
-------------------
    pending ──> booting ──> serving | canary | standby
                   │          │  ^        │
                   v          v  └────────┘ (standby is promoted)
                 failed    draining ──> gone
                              │
                              v
                           updating ──> serving | canary | standby

The cloud grants an instance (pending), it boots, and when its application is ready it registers itself
under the role it was launched for. Draining takes no new requests and ends those in flight. A crash, an
out-of-memory kill or a boot that never ends makes it failed; whatever is failed or draining ends as gone
when the cloud has terminated it. While its process is exchanged for one of another version an instance is updating, until it is
registered again: after a drain, or at once from whatever it did, also when its process had died; a drained one may be put back as it is. Every transition passes :func:`move`; nothing else changes a state.
"""

from enum import IntEnum


class State(IntEnum):
    """States of an instance; the numbers are part of the run format."""

    PENDING = 0
    BOOTING = 1
    SERVING = 2
    CANARY = 3
    STANDBY = 4
    DRAINING = 5
    FAILED = 6
    GONE = 7
    UPDATING = 8

    @property
    def word(self) -> str:
        """The state's name in lower case, as written in registry, log and docs."""
        return self.name.lower()


READY = frozenset({State.SERVING, State.CANARY, State.STANDBY})
ALIVE = READY | {State.DRAINING}

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.BOOTING, State.FAILED, State.GONE}),
    State.BOOTING: frozenset({*READY, State.FAILED, State.GONE}),
    State.SERVING: frozenset({State.DRAINING, State.UPDATING, State.FAILED, State.GONE}),
    State.CANARY: frozenset({State.SERVING, State.DRAINING, State.UPDATING, State.FAILED, State.GONE}),
    State.STANDBY: frozenset({State.SERVING, State.DRAINING, State.UPDATING, State.FAILED, State.GONE}),
    State.DRAINING: frozenset({*READY, State.UPDATING, State.FAILED, State.GONE}),
    State.UPDATING: frozenset({*READY, State.FAILED, State.GONE}),
    State.FAILED: frozenset({State.UPDATING, State.GONE}),
    State.GONE: frozenset(),
}


class IllegalTransition(ValueError):
    """An instance was asked to move to a state that it cannot reach from where it is."""


def move(instance: int, old: State, new: State) -> State:
    """The new state of *instance*, or :class:`IllegalTransition` naming both states and what was possible."""
    if new not in TRANSITIONS[old]:
        possible = ", ".join(sorted(s.word for s in TRANSITIONS[old])) or "nothing"
        raise IllegalTransition(
            f"instance {instance} cannot become {new.word} while {old.word}; possible: {possible}"
        )
    return new
