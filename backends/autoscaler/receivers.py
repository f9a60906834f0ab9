"""How news of an alert gets to who is to be told: a mail (backends.autoscaler.mail), a POST of JSON, a program. Each call blocks for a bounded time.

Mail and JSON go to loopback or to hosts that the user has allowed, and to the very address that was checked.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from ...core.alerts import AlertSpec, Command, Email, Receiver, Webhook
from ...core.errors import UsageError
from ..live.children import die_with_parent
from ..load.targets import Target, check_target
from .mail import TIMEOUT, WHAT, MailError, check_mail, send_mail

News = Mapping[str, Any]
"""What is told: scenario, alert, state (``firing`` or ``over``), condition, time_ns (of the scenario), and the event's fields."""


class DeliveryError(Exception):
    """It was not delivered."""


def label(receiver: Receiver) -> str:
    """A receiver in a few words: of a URL the host only, for there may be a password in the rest."""
    match receiver:
        case Email():
            return f"email to {receiver.to} by {receiver.host}:{receiver.port}"
        case Webhook():
            return f"webhook at {urlsplit(receiver.url).hostname}"
        case Command():
            return f"command {receiver.words[0]}"


def check_receivers(alerts: Iterable[AlertSpec], allowed: Iterable[str]) -> None:
    """Refuse receivers that nothing may be sent to, and programs that are not there. Raises UsageError."""
    hosts = tuple(allowed)
    for alert in alerts:
        for receiver in alert.notify:
            try:
                _check(receiver, hosts)
            except UsageError as error:
                raise UsageError(f"alert {alert.name}, {label(receiver)}: {error}") from None


def _check(receiver: Receiver, allowed: tuple[str, ...]) -> None:
    match receiver:
        case Command():
            if shutil.which(receiver.words[0]) is None:
                raise UsageError(f"expected a program, found no {receiver.words[0]!r}")
        case Email():
            check_mail(receiver, allowed)
        case Webhook():
            _web_target(receiver, allowed)


def deliver(receiver: Receiver, news: News, allowed: tuple[str, ...], started: Callable[[int], None]) -> None:
    """Deliver *news*; *started* is told the process group of a program, and 0 when it has ended. Raises DeliveryError."""
    try:
        match receiver:
            case Email():
                send_mail(receiver, news, allowed)
            case Webhook():
                _post(receiver, news, allowed)
            case Command():
                _run(receiver, news, started)
    except (OSError, UsageError, MailError, http.client.HTTPException, ValueError) as error:
        raise DeliveryError(str(error) or type(error).__name__) from error


def _web_target(receiver: Webhook, allowed: tuple[str, ...]) -> Target:
    parts = urlsplit(receiver.url)
    return check_target(
        parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), allowed, WHAT
    )


def _post(receiver: Webhook, news: News, allowed: tuple[str, ...]) -> None:
    """Redirects are not followed: they could lead anywhere."""
    parts, target = urlsplit(receiver.url), _web_target(receiver, allowed)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(parts.hostname or "", target.address[1], timeout=TIMEOUT)
    connection.sock = socket.create_connection(target.address[:2], TIMEOUT)
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(connection.sock, server_hostname=parts.hostname)
        body = json.dumps(news).encode()
        headers = {
            "Host": parts.netloc.rpartition("@")[2],
            "Content-Type": "application/json",
            "Connection": "close",
        }
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise DeliveryError(f"expected an answer with status 200 to 299, got {status}")


def _run(receiver: Command, news: News, started: Callable[[int], None]) -> None:
    """It has a process group of its own, of which nothing is left when its time is over, and dies with this process."""
    process = subprocess.Popen(
        receiver.words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=die_with_parent,
    )  # fmt: skip
    started(process.pid)
    try:
        _, said = process.communicate(json.dumps(news).encode() + b"\n", timeout=receiver.timeout / 1e9)
    except subprocess.TimeoutExpired:
        raise DeliveryError(f"expected it to end within {receiver.timeout / 1e9:g} s") from None
    finally:
        end_group(process.pid)
        process.wait()
        started(0)
        for pipe in (process.stdin, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
    if process.returncode != 0:
        words = said.decode(errors="replace").strip().splitlines()
        raise DeliveryError(
            f"expected exit status 0, got {process.returncode}{': ' + words[-1] if words else ''}"
        )


def end_group(group: int) -> None:
    """Kill what is left of a program's process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
