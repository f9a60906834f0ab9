"""A whole SMTP server on loopback (aiosmtpd), with TLS and logins, and a certificate made for the test."""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder: Path, *names: str) -> Path:
    """A self-signed certificate for *names* (hosts, or addresses) and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    alternatives: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        for name in names
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


class SmtpServer:
    """Takes mails: *mails* are (who logged in, sender, recipients, text). *logins*: users and passwords; without any nobody need log in."""

    def __init__(
        self, security: Literal["none", "starttls", "tls"], pem: Path | None = None, logins: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.mails: list[tuple[str, str, list[str], str]] = []
        self.tried: list[str] = []
        self._security = security
        self._logins = logins or {}
        self._context: ssl.SSLContext | None = None
        if pem is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.load_cert_chain(pem)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """A mail has come."""
        user = session.auth_data.login.decode() if session.auth_data else ""
        text = envelope.content.decode()
        self.mails.append((user, envelope.mail_from, list(envelope.rcpt_tos), text))
        return "250 taken"

    def _authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.tried.append(mechanism)
        good = self._logins.get(data.login.decode()) == data.password.decode()
        message = None if good else f"535 5.7.8 no: {data.password.decode()}"
        return AuthResult(success=good, handled=message is None, message=message, auth_data=data)

    def _protocol(self) -> SMTP:
        return SMTP(
            self, hostname="localhost", loop=self._loop, authenticator=self._authenticate,
            tls_context=self._context if self._security == "starttls" else None,
            require_starttls=self._security == "starttls", auth_required=bool(self._logins),
            auth_require_tls=self._security == "starttls",
        )  # fmt: skip

    def __enter__(self) -> "SmtpServer":
        self._thread.start()
        tls = self._context if self._security == "tls" else None
        serving = self._loop.create_server(self._protocol, "127.0.0.1", 0, ssl=tls)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *error: object) -> None:
        async def close() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
