"""Deploys: the rollout engine, pure and for both worlds.

Theory of operation
-------------------
:class:`Rollout` is one deploy. :meth:`Rollout.turn` is handed the time and what was observed, and answers with commands, which the driver carries out. It derives them
from what is observed, not from what it asked for before, so that a command that was lost is asked for again and one that took effect is not. What it must remember (:mod:`books`)
is plain data; a driver saves it before it carries anything out, so that its successor goes on where it stood. :mod:`states` is the life of a deploy as a
table, :mod:`commands` what passes between rollout and driver, :mod:`in_place` and :mod:`replacing` the two ways to exchange a version, :mod:`steps` canaries and second
sets, :mod:`components` proxy and registry, :mod:`board` which deploys there are and whose turn it is.
"""

from .commands import (
    Command,
    Component,
    Drain,
    Install,
    Launch,
    Observed,
    Register,
    RestartProxy,
    RestartRegistry,
    Server,
    SetWeight,
    Terminate,
    Turn,
)
from .spec import Analyse, Bound, DeploySpec, Pause
from .states import ENDED, State

__all__ = [
    "ENDED",
    "Analyse",
    "Bound",
    "Command",
    "Component",
    "DeploySpec",
    "Drain",
    "Install",
    "Launch",
    "Observed",
    "Pause",
    "Register",
    "RestartProxy",
    "RestartRegistry",
    "Server",
    "SetWeight",
    "State",
    "Terminate",
    "Turn",
]
