"""Mails to a real SMTP server: TLS, STARTTLS, logins; and where a password never is."""

from pathlib import Path
from typing import Any, Literal

import pytest
from windtunnel.backends.autoscaler.mail import MailError, check_mail, send_mail
from windtunnel.backends.live.settings import AutoscalerSettings
from windtunnel.core.alerts import Email
from windtunnel.core.errors import UsageError
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.tests.backends.autoscaler.smtp_server import SmtpServer, certificate
from windtunnel.tests.support import plan, scenario, steady

NEWS = {"scenario": "shop", "alert": "full", "state": "firing", "condition": "fleet at its maximum"}
PASSWORD = "correct horse battery staple"
LOGINS = {"windtunnel": PASSWORD}


def mail(
    port: int, security: Literal["none", "starttls", "tls"], host: str = "127.0.0.1", **more: Any
) -> Email:
    return Email("ops@example.org", host, port, "windtunnel@localhost", security, **more)


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("source", ["environment", "file"])
def test_a_login_over_tls(
    security: Literal["starttls", "tls"], source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path, "127.0.0.1")
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    kept = {"password_env": "MAIL_PASSWORD"} if source == "environment" else {"password_file": str(secret)}
    with SmtpServer(security, pem, LOGINS) as server:
        receiver = mail(server.port, security, user="windtunnel", ca_file=str(pem), **kept)
        check_mail(receiver, ())
        send_mail(receiver, NEWS, ())
    ((user, sender, recipients, text),) = server.mails
    assert (user, sender, recipients) == ("windtunnel", "windtunnel@localhost", ["ops@example.org"])
    assert "Subject: [shop] full: firing" in text
    assert PASSWORD not in text + repr(receiver)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_tls_without_a_login(security: Literal["starttls", "tls"], tmp_path: Path) -> None:
    pem = certificate(tmp_path, "localhost")
    with SmtpServer(security, pem) as server:
        send_mail(mail(server.port, security, host="localhost", ca_file=str(pem)), NEWS, ())
    assert [one[0] for one in server.mails] == [""]


def test_an_error_repeats_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server answers with what it was told."""
    pem = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("MAIL_PASSWORD", "wrong and secret")
    with SmtpServer("starttls", pem, LOGINS) as server, pytest.raises(MailError) as raised:
        send_mail(mail(server.port, "starttls", user="windtunnel", password_env="MAIL_PASSWORD", ca_file=str(pem)), NEWS, ())  # fmt: skip
    assert server.tried
    assert "535" in str(raised.value)
    assert "***" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert not server.mails


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_for_somebody_else_is_refused(
    security: Literal["starttls", "tls"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path, "mail.example.org")
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    known = {"user": "windtunnel", "password_env": "MAIL_PASSWORD"}
    with SmtpServer(security, pem, LOGINS) as server:
        with pytest.raises(MailError, match="certificate verify failed"):
            send_mail(mail(server.port, security, ca_file=str(pem), **known), NEWS, ())
        with pytest.raises(MailError, match="certificate verify failed"):
            send_mail(mail(server.port, security, **known), NEWS, ())
    assert (server.mails, server.tried) == ([], [])


def test_no_fallback_to_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with SmtpServer("none") as server:
        with pytest.raises(MailError, match="STARTTLS"):
            send_mail(mail(server.port, "starttls", user="windtunnel", password_env="MAIL_PASSWORD"), NEWS, ())  # fmt: skip
        with pytest.raises(MailError):
            send_mail(mail(server.port, "tls"), NEWS, ())
    assert (server.mails, server.tried) == ([], [])


def test_what_is_not_there_is_said_before_a_flight(tmp_path: Path) -> None:
    for kept, expected in (
        ({"password_env": "NO_SUCH_VARIABLE"}, "expected a password in the environment variable NO_SUCH_VARIABLE, found none"),
        ({"password_file": str(tmp_path / "nothing")}, "FileNotFoundError"),
        ({"password_file": str(tmp_path / "nothing"), "user": ""}, ""),
    ):  # fmt: skip
        receiver = mail(25, "tls", **{"user": "me", **kept})
        if expected:
            with pytest.raises(UsageError) as raised:
                check_mail(receiver, ())
            assert expected in str(raised.value)
        else:
            check_mail(receiver, ())
    with pytest.raises(UsageError, match="expected certificates in"):
        check_mail(mail(25, "tls", ca_file=str(tmp_path / "nothing")), ())


def alerting(**email: Any) -> dict[str, Any]:
    return steady(
        autoscaler={"policy": {"threshold": {"requests_high": "100/s", "requests_low": "10/s"}}},
        alerts=[{"name": "a", "when": {"standby": {"below": 1}},
                 "notify": [{"email": {"to": "ops@example.org", **email}}]}],
    )  # fmt: skip


def test_settings_and_the_run_directory_hold_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    document = alerting(security="tls", port=465, login={"user": "me", "password_env": "MAIL_PASSWORD"})
    fleet = plan(document).fleet
    settings = AutoscalerSettings(origin=0, fleet=fleet, redis_url="redis://127.0.0.1:1", start=0)
    back = AutoscalerSettings.model_validate_json(settings.model_dump_json())
    assert back.fleet.alerts == fleet.alerts
    assert PASSWORD not in settings.model_dump_json() + scenario(document).to_yaml()


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ({"login": {"user": "me", "password_env": "X"}}, "expected security starttls or tls with login, got none"),
        ({"ca_file": "x.pem"}, "expected security starttls or tls with ca_file, got none"),
        ({"security": "tls", "login": {"user": "me"}}, "expected either password_env or password_file, got neither"),
        ({"security": "tls", "login": {"user": "me", "password": "x"}}, "unknown key"),
        ({"security": "ssl"}, "expected 'none', 'starttls' or 'tls', got 'ssl'"),
    ],
)  # fmt: skip
def test_mistakes(email: dict[str, Any], expected: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario(alerting(**email))
    assert expected in str(raised.value)
