"""The local fleet: the conductor, its cloud of processes, its Redis."""
