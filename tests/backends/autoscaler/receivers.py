"""Real receivers of news on loopback: a mail server, a webhook, and one that hangs."""

import asyncio
import json
import threading
from collections.abc import Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class MailServer:
    """The few verbs of RFC 5321 that a client needs; *mails* are (sender, recipients, text). *refuse*: it takes no recipient."""

    def __init__(self, refuse: bool = False) -> None:
        self.mails: list[tuple[str, list[str], str]] = []
        self._refuse = refuse
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> "MailServer":
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *error: object) -> None:
        async def close() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._do(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        sender, recipients = "", list[str]()
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb == "MAIL":
                sender, recipients = line.split("<")[1].split(">")[0], []
            elif verb == "RCPT" and self._refuse:
                writer.write(b"550 nobody of that name\r\n")
                continue
            elif verb == "RCPT":
                recipients.append(line.split("<")[1].split(">")[0])
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                text = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.mails.append((sender, recipients, text))
            writer.write(b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n")
            await writer.drain()
            if verb == "QUIT":
                break
        writer.close()


class Hook:
    """A webhook; *got* are (path, JSON) of each POST. It answers with *status*, after *gate* is open."""

    def __init__(self, status: int = 204) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.status = status
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.asked.set()
                hook.gate.wait(30)
                hook.got.append((self.path, json.loads(body)))
                self.send_response(hook.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts?key=1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> "Hook":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
