"""What faults do in a flight: a module per family of core.faults, and the schedule that calls them.

Theory of operation
-------------------
The conductor keeps the timeline (``schedule``) and hands each fault to its family, as the rehearsal does. A family strikes in one of four ways, all in
``parts``: a *standing* command to a live role, which holds until it is lifted and is told again to any process that takes the role's place; a signal to a process; a note in
core.troubles, for what the conductor itself does (boots, the local cloud, its own way to the registry); or a role that goes away and comes back.

A fault leaves nothing behind: what a command brought about is in the memory of a role, which ends with the conductor's line to it; a process that was stopped is told to go on
by the guardian, when the conductor is gone.

To add a type: describe it in core.faults; name it in ``types`` of its family's class here; carry it out in ``begin`` and ``end``; say in ``flying`` where it cannot fly. A family is
registered in ``schedule.FAMILIES``. The role's half of a command stands in that role's ``_obey``.
"""
