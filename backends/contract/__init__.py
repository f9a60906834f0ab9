"""The contracts of the ports, as checks that any implementation can be run against (docs/backends.md)."""
