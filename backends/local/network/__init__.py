"""Where the machines of a flight are: on loopback, or each in a network namespace of this machine with links of its own (``--network namespaces``).

Theory of operation
-------------------
``places`` says where everybody listens and what a process is started by; its own class is loopback, ``namespaces`` the other one. There a link of the scenario is a pair of veth
devices: number 0 between the clients, which are this machine, and the proxy's namespace; number n between the proxy's and that of server n. Registry, dependencies and whoever looks on
are reached by another pair, over a bridge, which no fault of a link touches. ``shaping`` is what tc is told of a link: delay and rate where messages leave it (netem, tbf), loss and
partition where they arrive, so that the sender hears nothing of it.

All names begin with ``wt`` and the conductor's process number (``naming``): the guardian removes what is left by them, and the next flight what a guardian left (``clearing``).
"""
