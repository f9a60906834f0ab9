"""A role's log in a run's directory: every line is JSON, and there is an end to them."""

import json
from pathlib import Path

import pytest
from windtunnel.backends.local import role_log
from windtunnel.backends.local.role_log import RoleLog, as_line


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_no_line_becomes_a_message() -> None:
    said = {"t": 5, "role": "app", "level": "info", "message": "hello"}
    assert as_line(json.dumps(said).encode() + b"\n", "app") == said
    for text in (
        b"Traceback (most recent call last):\n",
        b"[1]\n",
        b'{"no": "message"}\n',
        b"\xff\n",
        b"{\n",
    ):
        made = as_line(text, "app")
        assert (made["role"], made["level"], made["message"]) == ("app", "error", text.decode(errors="replace").rstrip())  # fmt: skip


def test_a_log_that_is_full_says_so_and_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role_log, "LARGEST", 1000)
    path = tmp_path / "app-1.jsonl"
    for _ in range(2):
        # A role that comes back goes on in the same file.
        log = RoleLog(path)
        for number in range(30):
            log.write({"t": number, "message": "x" * 20})
        log.close()
    found = lines(path)
    assert 10 < len(found) < 30
    assert str(found[-1]["message"]).startswith("the log is full")
    assert path.stat().st_size < 1300
