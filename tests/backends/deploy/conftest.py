"""A repository that is pushed to and a build server over it, for each test its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..redis_fixture import RedisServer
from .support_builds import Repo, Server


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A bare repository and a clone."""
    return Repo(tmp_path / "git")


@pytest.fixture
def make_server(tmp_path: Path, repo: Repo, redis_server: RedisServer) -> Iterator[Callable[..., Server]]:
    """Makes servers, not started, over the repository; what still runs at the end is ended."""
    made: list[Server] = []

    def make(*env: str, **environment: str) -> Server:
        server = Server(tmp_path, repo, f"{redis_server.url}/0", *env, **environment)
        made.append(server)
        return server

    yield make
    for server in made:
        if server.process is not None:
            server.stop()
