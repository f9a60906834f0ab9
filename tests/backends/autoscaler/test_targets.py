"""Where an autoscaler that is started by hand may tell alerts."""

from pathlib import Path

import yaml
from typer.testing import CliRunner
from windtunnel.cli import app
from windtunnel.tests.support import steady


def test_a_host_that_is_not_allowed_is_refused_before_it_starts(tmp_path: Path) -> None:
    document = steady(
        autoscaler={"policy": {"threshold": {"requests_high": "100/s"}}},
        alerts=[
            {"name": "a", "when": {"standby": {"below": 1}}, "notify": [{"webhook": "http://192.0.2.1/x"}]}
        ],
    )
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump({"scenario": "test", **document}))
    done = CliRunner().invoke(app, ["autoscaler", str(path), "--dry-run", "--allow-target", "192.0.2.2"])
    assert done.exit_code != 0
    assert "never sent to anyone else" in f"{done.output}{done.exception}"
