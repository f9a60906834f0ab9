"""News of an alert as a mail: over TLS from the start, after STARTTLS, or in plain; with a login where the server wants one.

A password is read where it is needed, from the environment or a file, and goes nowhere but to the server, and never over a connection in plain (RFC 4954, section 4).
"""

import base64
import os
import smtplib
import socket
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from ...core.alerts import Email
from ...core.errors import UsageError
from ..load.targets import check_target

TIMEOUT = 10.0
"""Seconds that each step of an exchange may take."""

WHAT = "news of alerts is"


class MailError(Exception):
    """A mail was not taken; the text has no password in it."""


def check_mail(receiver: Email, allowed: tuple[str, ...]) -> None:
    """Refuse a mail server that nothing may be sent to, a password or certificates that are not there. Raises UsageError."""
    check_target(receiver.host, receiver.port, allowed, WHAT)
    if receiver.user:
        _password(receiver)
    _context(receiver)


def send_mail(receiver: Email, news: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Send *news* to the very address that was checked. Raises MailError, UsageError, OSError."""
    target = check_target(receiver.host, receiver.port, allowed, WHAT)
    password = _password(receiver) if receiver.user else ""
    try:
        with _Client(receiver, target.address[:2]) as client:
            if receiver.security == "starttls":
                client.starttls(context=_context(receiver))
            if receiver.user:
                client.login(receiver.user, password)
            client.send_message(_message(receiver, news), receiver.sender, [receiver.to])
    except UnicodeEncodeError:
        raise MailError("expected user and password in ASCII, as a login by SMTP has them") from None
    except (OSError, smtplib.SMTPException) as error:
        # A server may repeat what it was told.
        raise MailError(_without(password, str(error) or type(error).__name__)) from None


def _message(receiver: Email, news: Mapping[str, Any]) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = receiver.sender, receiver.to
    message["Subject"] = f"[{news['scenario']}] {news['alert']}: {news['state']}"
    message.set_content("".join(f"{name}: {value}\n" for name, value in news.items()))
    return message


class _Client(smtplib.SMTP):
    """Connects to one address; certificates are checked against the name that the user wrote."""

    def __init__(self, receiver: Email, address: tuple[str, int]) -> None:
        self._address = address
        self._tls = _context(receiver) if receiver.security == "tls" else None
        # Given a name for itself, it asks no resolver.
        super().__init__(receiver.host, receiver.port, local_hostname="localhost", timeout=TIMEOUT)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection(self._address, timeout)
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=host)


def _context(receiver: Email) -> ssl.SSLContext | None:
    if receiver.security == "none":
        return None
    try:
        return ssl.create_default_context(cafile=receiver.ca_file or None)
    except OSError as error:
        raise UsageError(f"expected certificates in {receiver.ca_file!r}: {error}") from None


def _password(receiver: Email) -> str:
    if receiver.password_env:
        found, where = (
            os.environ.get(receiver.password_env, ""),
            f"the environment variable {receiver.password_env}",
        )
    else:
        where = f"the file {receiver.password_file!r}"
        try:
            found = Path(receiver.password_file).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"expected a password in {where}: {type(error).__name__}") from None
    if not found:
        raise UsageError(f"expected a password in {where}, found none")
    return found


def _without(password: str, text: str) -> str:
    """*text* without the *password*, nor what AUTH makes of it."""
    if not password:
        return text
    coded = base64.b64encode(password.encode()).decode()
    for secret in (password, coded):
        text = text.replace(secret, "***")
    return text
