"""An HTTP server in front of a moto server, which throttles, loses answers, or tells what it was sent."""

import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ERROR = "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>1</RequestID></Response>"


@dataclass
class Front:
    """*throttled* calls of each action are refused, then *lost* ones are performed without an answer. *indiscreet*: errors tell the headers."""

    url: str
    throttled: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    indiscreet: bool = False
    actions: list[str] = field(default_factory=list)
    address: str = ""


@contextmanager
def front(behind: str) -> Iterator[Front]:
    """A front of the server at *behind*."""
    state = Front(behind)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            (action,) = urllib.parse.parse_qs(body.decode())["Action"]
            with lock:
                state.actions.append(action)
                throttled = state.throttled.get(action, 0) > 0
                lost = not throttled and state.lost.get(action, 0) > 0
                book = state.throttled if throttled else state.lost
                if throttled or lost:
                    book[action] -= 1
            if state.indiscreet:
                told = " ".join(f"{name}: {value}" for name, value in self.headers.items())
                self.answer(
                    403, ERROR.format(code="SignatureDoesNotMatch", message=f"cannot accept {told}").encode()
                )
            elif throttled:
                self.answer(
                    503, ERROR.format(code="RequestLimitExceeded", message="Request limit exceeded.").encode()
                )
            else:
                status, text = self.forward(body)
                if lost:
                    self.close_connection = True
                else:
                    self.answer(status, text)

        def forward(self, body: bytes) -> tuple[int, bytes]:
            names = ("Authorization", "Content-Type", "X-Amz-Date")
            headers = {name: self.headers[name] for name in names if self.headers[name]}
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(state.url, body, headers), timeout=30
                ) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        def answer(self, status: int, text: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        state.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
