"""Which deploys are under way, and which version each role had last: one deploy at a time per role, the newer push wins."""

from .rollout import Rollout
from .spec import CANARY_STEPS, ROLES, DeploySpec
from .states import State


class Board:
    """The deploys of a fleet whose roles all ran *first* in the beginning."""

    def __init__(self, first: str) -> None:
        self.stable: dict[str, str] = dict.fromkeys(ROLES.values(), first)
        self._last: dict[str, Rollout] = {}

    def push(self, spec: DeploySpec, now: int) -> tuple[Rollout, tuple[str, ...]]:
        """A push has come: its deploy, and the names of those that it supersedes. What the one before left half done in a role it takes over."""
        before = [self._last[role] for role in sorted(spec.claims) if role in self._last]
        superseded = dict.fromkeys(one.spec.name for one in before if not one.ended)
        for one in before:
            one.supersede(now)
        left = next((one for one in before if one.state in (State.SUPERSEDED, State.FAILED)), None)
        role = "app" if spec.strategy == CANARY_STEPS else spec.role
        made = Rollout.begin(spec, self.stable[role], None if left is None else left.books)
        for role in spec.claims:
            self._last[role] = made
        return made, tuple(superseded)

    def running(self) -> tuple[Rollout, ...]:
        """Those that have not ended, by time."""
        found = {id(one): one for one in self._last.values() if not one.ended}
        return tuple(sorted(found.values(), key=lambda one: (one.spec.at, one.spec.name)))

    def turned(self, rollout: Rollout) -> None:
        """A deploy has had its turn: one that was promoted says what its roles run from now on."""
        if rollout.state is State.PROMOTED:
            self.stable.update(dict.fromkeys(rollout.spec.claims, rollout.spec.version))
