"""Our own proxy before our own app server, as processes: no generated request, well-formed or hostile, is answered wrongly."""

from pathlib import Path

import pytest
from typer.testing import CliRunner
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import ProxySettings
from windtunnel.cli import app

from ..app.running import app_settings, ask, fleet_of, running, until
from ..redis_fixture import RedisServer


def hunted(redis: RedisServer, corpus: Path, *words: object) -> str:
    """What the command says of a fleet of one server."""
    fleet = fleet_of({"cpu": {"constant": "0ms"}, "response_size": "300B"}, workers=4)
    server = app_settings(fleet, redis.url)
    proxy = ProxySettings(origin=LiveClock.begin().origin, fleet=fleet, redis_url=redis.url)
    with running("app", server) as role, running("proxy", proxy) as front:
        direct = f"http://{server.host}:{server.port}"
        role.wait("up")
        base = front.wait("up")["address"]
        until(lambda: ask(base).status == 200, "a proxy that knows its server")
        asked = [
            "fuzz",
            "urls",
            "--base",
            base,
            "--direct",
            direct,
            "--run",
            "--corpus",
            str(corpus),
            *map(str, words),
        ]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, (
            f"{done.output}\n{''.join(path.read_text() for path in corpus.glob('*'))[:4000]}"
        )
        assert ask(base).status == 200
        return done.output


def test_nothing_is_answered_wrongly(redis_server: RedisServer, tmp_path: Path) -> None:
    output = hunted(redis_server, tmp_path, "--hostile", "--count", 150, "--patience", 8, "--run-seconds", 15)
    assert "not compared" not in output
    assert "fired, 0 findings" in output


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_answered_wrongly_for_longer(redis_server: RedisServer, tmp_path: Path, seed: int) -> None:
    words = ("--hostile", "--count", 1500, "--seed", seed, "--patience", 15, "--run-seconds", 150)
    assert "fired, 0 findings" in hunted(redis_server, tmp_path, *words)
