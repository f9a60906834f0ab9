"""A deploy as the engine is told: when, which branch, which version, how. Plain frozen values, times in ns, shares 0 to 1."""

from dataclasses import dataclass
from fractions import Fraction

from ..analysis import AnalysisSpec

SECOND = 1_000_000_000
MINUTE = 60 * SECOND

MASTER, CANARY, PROXY, REDIS = "master", "canary", "proxy", "redis"
BRANCHES = (MASTER, CANARY, PROXY, REDIS)

ALL_AT_ONCE, ROLLING, CANARY_STEPS, BLUE_GREEN = "all_at_once", "rolling", "canary", "blue_green"
STRATEGIES = (ALL_AT_ONCE, ROLLING, CANARY_STEPS, BLUE_GREEN)

ROLES = {MASTER: "app", CANARY: "canary", PROXY: "proxy", REDIS: "redis"}
"""The role that each branch deploys."""

CLASSIC_SHARE = (1, 4)
"""The classic fleet's canary: each fourth request."""


@dataclass(frozen=True, slots=True)
class SetWeight:
    """A step: the canaries get *share* (numerator, denominator) of the requests from now on."""

    share: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pause:
    """A step: nothing happens for *length* ns."""

    length: int


@dataclass(frozen=True, slots=True)
class Analyse:
    """A step: canaries are compared with the baseline by *spec* until that says pass or fail."""

    spec: AnalysisSpec


Step = SetWeight | Pause | Analyse


@dataclass(frozen=True, slots=True)
class Bound:
    """``max_surge`` or ``max_unavailable``: a number of servers, or a share of those that there are."""

    number: int = 0
    share: float | None = None

    def of(self, servers: int, up: bool) -> int:
        """So many of *servers*: a share is rounded *up* (surge) or down (unavailable), as in Kubernetes' Deployments."""
        if self.share is None:
            return self.number
        # Exact: 10 % of 30 is 3, not 3.0000000000000004.
        exact = Fraction(self.share).limit_denominator(1_000_000) * servers
        return -((-exact.numerator) // exact.denominator) if up else exact.numerator // exact.denominator


@dataclass(frozen=True, slots=True)
class DeploySpec:
    """One deploy.

    *drain*: longest wait for the requests in flight of a server that is out of the lists, 0: none (they are lost). *install*: how long an exchange of the
    version in place takes, before the boot (in a rehearsal), or how long the registry is away. *min_ready*: so long a server must have been healthy before it
    takes part. *deadline*: a server that takes longer fails the deploy; *timeout*: so does a deploy. *keep*: blue_green keeps the old set for so long.
    *canaries*: how many are launched where there are none. *verify*: so long the whole fleet must stay healthy at the end. *expect*: how it is to end
    (``promoted``, ``rolled_back``; empty: no matter).
    """

    name: str
    at: int
    branch: str
    version: str
    strategy: str = ROLLING
    max_surge: Bound = Bound(1)
    max_unavailable: Bound = Bound(0)
    drain: int = 10 * SECOND
    install: int = 5 * SECOND
    min_ready: int = 2 * SECOND
    deadline: int = 5 * MINUTE
    timeout: int = 60 * MINUTE
    verify: int = 0
    keep: int = 30 * SECOND
    canaries: int = 1
    steps: tuple[Step, ...] = ()
    on_failure: str = "rollback"
    handover: bool = False
    expect: str = ""

    @property
    def role(self) -> str:
        """The role that it deploys: app, canary, proxy or redis."""
        return ROLES[self.branch]

    @property
    def claims(self) -> frozenset[str]:
        """The roles that it touches: a canary that is promoted goes on to the app servers."""
        if self.strategy == CANARY_STEPS:
            return frozenset({ROLES[MASTER], ROLES[CANARY]})
        return frozenset({self.role})
