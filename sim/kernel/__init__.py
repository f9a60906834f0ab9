"""The fast engine: the data plane of a rehearsal as one compiled event loop over arrays.

Theory of operation
-------------------
What moves (requests, attempts, connections, jobs) are rows of structured arrays; a row's number is its *slot*, and free slots form a
list through ``next``. Every routine takes the whole world ``w`` (layout.World) and is plain Python in the numba subset: with compilation
switched off the kernel runs all the same, slowly. The modules mirror those of the reference (``sim/``) one to one, and call the same
decisions of ``core/``; the reference is the text to read first.

A slot is given back when nothing refers to it: ``refs`` counts the ends that hold it and the events on their way that name it. Timers hold
nothing; they find out that they no longer matter from the identity of what is in the slot.
"""
