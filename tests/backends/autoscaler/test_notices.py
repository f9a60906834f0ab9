"""News of alerts reaches real receivers, and receivers that fail or hang delay nobody."""

import json
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from windtunnel.backends.autoscaler import mail as mail_module
from windtunnel.backends.autoscaler import receivers
from windtunnel.backends.autoscaler.notices import WAITING, Notices
from windtunnel.backends.autoscaler.receivers import check_receivers
from windtunnel.core.alerts import FIRED, OVER, AlertSpec, AtMaximum, Command, Email, Receiver, Webhook
from windtunnel.core.errors import UsageError
from windtunnel.core.model import SECOND
from windtunnel.tests.backends.autoscaler.processes import eventually
from windtunnel.tests.backends.autoscaler.receivers import Hook, MailServer

FIELDS = {"name": "full", "servers": [1, 2], "value": "3", "held": 0}
NEWS = {
    "scenario": "test", "alert": "full", "state": "firing", "condition": "fleet at its maximum",
    "time_ns": 7 * SECOND, "servers": [1, 2], "value": "3", "held": 0,
}  # fmt: skip


class Said:
    """What the role's log would have."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, text: str, fields: Mapping[str, Any]) -> None:
        self.lines.append((fields["receiver"], fields["error"]))


def alert(*notify: Receiver) -> AlertSpec:
    return AlertSpec("full", AtMaximum(), "fleet at its maximum", notify=notify)


def mail(port: int, to: str = "ops@example.org") -> Email:
    return Email(to, "127.0.0.1", port, "windtunnel@localhost")


def script(path: Path, text: str, timeout: int = 20 * SECOND) -> Command:
    path.write_text(text)
    return Command((sys.executable, str(path)), timeout)


def notices(said: Said, *notify: Receiver) -> Notices:
    return Notices("test", [alert(*notify)], (), said)


def test_a_mail_arrives() -> None:
    said = Said()
    with MailServer() as server:
        told = notices(said, mail(server.port))
        told.tell(7 * SECOND, FIRED, FIELDS)
        told.tell(9 * SECOND, OVER, {"name": "full", "lasted": 2 * SECOND})
        eventually(lambda: len(server.mails) == 2, "two mails")
        told.close()
    (sender, recipients, text), (_, _, second) = server.mails
    assert (sender, recipients) == ("windtunnel@localhost", ["ops@example.org"])
    assert "Subject: [test] full: firing" in text
    assert "condition: fleet at its maximum" in text
    assert "Subject: [test] full: over" in second
    assert said.lines == []


def test_json_arrives_by_post() -> None:
    said = Said()
    with Hook() as hook:
        told = notices(said, Webhook(hook.url))
        told.tell(7 * SECOND, FIRED, FIELDS)
        eventually(lambda: hook.got, "a POST")
        told.close()
    assert hook.got == [("/alerts?key=1", NEWS)]
    assert said.lines == []


def test_a_program_gets_json(tmp_path: Path) -> None:
    said, out = Said(), tmp_path / "out"
    told = notices(
        said, script(tmp_path / "tell.py", f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())")
    )
    told.tell(7 * SECOND, FIRED, FIELDS)
    told.close(20)
    assert json.loads(out.read_text()) == NEWS
    assert said.lines == []


def test_failures_are_said_once_until_it_works_again() -> None:
    said = Said()
    with Hook(status=302) as hook:
        told = notices(said, Webhook(hook.url))
        for _ in range(3):
            told.tell(0, FIRED, FIELDS)
        eventually(lambda: len(hook.got) == 3, "three attempts, no redirect followed")
        hook.status = 200
        told.tell(0, FIRED, FIELDS)
        eventually(lambda: len(hook.got) == 4, "one that works")
        told.close(20)
        assert said.lines == [("webhook at 127.0.0.1", "expected an answer with status 200 to 299, got 302")]
        hook.status = 500
        told.tell(0, FIRED, FIELDS)
        eventually(lambda: len(said.lines) == 2, "it fails anew")
        told.close()


def test_what_refuses_or_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    said = Said()
    failing = script(tmp_path / "fail.py", "import sys; sys.exit('no room')")
    with MailServer(refuse=True) as server:
        told = notices(
            said, mail(server.port), mail(closed), Webhook(f"http://127.0.0.1:{closed}/"), failing,
            Command((str(tmp_path / "nothing"),), SECOND),
        )  # fmt: skip
        told.tell(0, FIRED, FIELDS)
        eventually(lambda: len(said.lines) == 5, "each says so")
        told.close()
    errors = " ".join(sorted(error for _, error in said.lines))
    assert "nobody of that name" in errors
    assert errors.count("Connection refused") == 2
    assert "expected exit status 0, got 1: no room" in errors
    assert "No such file" in errors


def test_one_that_hangs_delays_nobody() -> None:
    said = Said()
    with Hook() as hangs, Hook() as works:
        hangs.gate.clear()
        other = AlertSpec("other", AtMaximum(), "", notify=(Webhook(works.url),))
        told = Notices("test", [alert(Webhook(hangs.url)), other], (), said)
        before = time.monotonic()
        for _ in range(2 * WAITING):
            told.tell(0, FIRED, FIELDS)
            if not hangs.asked.is_set():
                hangs.asked.wait(20)
                before = time.monotonic()
        # Far less than the one request that hangs may take.
        assert time.monotonic() - before < mail_module.TIMEOUT / 2
        assert [error for _, error in said.lines] == [f"{WAITING} wait already"]
        told.tell(0, FIRED, {**FIELDS, "name": "other"})
        eventually(lambda: works.got, "the other one is told")
        before = time.monotonic()
        told.close(0.1)
        assert time.monotonic() - before < mail_module.TIMEOUT / 2


def test_a_server_that_never_speaks_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (mail_module, receivers):
        monkeypatch.setattr(module, "TIMEOUT", 0.2)
    said = Said()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        told = notices(said, mail(port), Webhook(f"http://127.0.0.1:{port}/"))
        told.tell(0, FIRED, FIELDS)
        eventually(lambda: len(said.lines) == 2, "both are given up")
        told.close()
    assert all("timed out" in error for _, error in said.lines)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    said, pids = Said(), tmp_path / "pids"
    text = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids) + '.new'!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(pids) + '.new'!r}, {str(pids)!r})\n"
        "time.sleep(600)\n"
    )
    told = notices(said, script(tmp_path / "hang.py", text, timeout=2 * SECOND))
    told.tell(0, FIRED, FIELDS)
    eventually(lambda: said.lines, "its time is over")
    assert said.lines[0][1] == "expected it to end within 2 s"
    eventually(lambda: all(gone(int(pid)) for pid in pids.read_text().split()), "nothing is left")
    pids.unlink()
    second = notices(said, script(tmp_path / "hang.py", text, timeout=600 * SECOND))
    second.tell(0, FIRED, FIELDS)
    eventually(pids.exists, "another one hangs")
    second.close(0.1)
    eventually(lambda: all(gone(int(pid)) for pid in pids.read_text().split()), "the role's end ends it")


@pytest.mark.parametrize(
    ("receiver", "expected"),
    [
        (
            Webhook("http://192.0.2.1/secret"),
            "alert full, webhook at 192.0.2.1: expected a target on loopback",
        ),
        (Email("a@b", "192.0.2.1", 25, "c@d"), "news of alerts is never sent to anyone else"),
        (
            Command(("no-such-program-anywhere",), SECOND),
            "expected a program, found no 'no-such-program-anywhere'",
        ),
    ],
)
def test_refused_before_a_flight(receiver: Receiver, expected: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_receivers([alert(receiver)], ())
    assert expected in str(raised.value)
    assert "secret" not in str(raised.value)


def test_allowed_hosts_and_loopback() -> None:
    good = alert(
        Webhook("http://192.0.2.1/"), Webhook("http://127.0.0.1:9/"), mail(9), Command(("sh",), SECOND)
    )
    check_receivers([good], ("192.0.2.1",))
    said = Said()
    told = Notices("test", [alert(Webhook("http://192.0.2.1/"))], (), said)
    told.tell(0, FIRED, FIELDS)
    eventually(lambda: said.lines, "nothing is sent to what is not allowed")
    assert "never sent to anyone else" in said.lines[0][1]
