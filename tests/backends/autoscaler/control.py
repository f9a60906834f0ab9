"""A small control API in this process: the conductor's text, with instances that are mere entries."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PATH = "/v1/instances"


class ControlApi:
    """Instances by provider id, in ``instances`` (those that are not gone). *refusing*: a (status, body) for every launch."""

    def __init__(self) -> None:
        self.instances: dict[str, dict[str, Any]] = {}
        self.launches: list[int] = []
        self.terminated: list[tuple[int, str]] = []
        self.refusing: tuple[int, bytes] | None = None
        self.lock = threading.Lock()
        self._tokens: dict[str, dict[str, Any]] = {}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with api.lock:
                    found = sorted(api.instances.values(), key=lambda one: -one["number"])
                    self._answer(200, {"instances": found})

            def do_POST(self) -> None:
                wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with api.lock:
                    if api.refusing is not None:
                        self._write(*api.refusing)
                        return
                    self._answer(200, api.launch(**wanted))

            def do_DELETE(self) -> None:
                parts = urlsplit(self.path)
                provider_id = parts.path.removeprefix(PATH + "/")
                with api.lock:
                    ended = api.instances.pop(provider_id, None)
                    if ended is not None:
                        api.terminated.append((ended["number"], parse_qs(parts.query).get("reason", [""])[0]))
                self.send_response(204)
                self.end_headers()

            def _answer(self, status: int, body: Any) -> None:
                self._write(status, json.dumps(body).encode())

            def _write(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def launch(self, number: int, role: str, token: str) -> dict[str, Any]:
        """The instance of *token*."""
        if token not in self._tokens:
            self._tokens[token] = {
                "number": number, "provider_id": f"local-{number}", "address": f"http://127.1.0.{number}:9000",
                "role": role, "state": "pending", "launched": 0,
            }  # fmt: skip
            self.instances[f"local-{number}"] = self._tokens[token]
            self.launches.append(number)
        return self._tokens[token]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
