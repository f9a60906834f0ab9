"""Fixtures of all tests of backends."""

from .redis_fixture import redis_server

__all__ = ["redis_server"]
