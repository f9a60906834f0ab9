"""A small Jenkins over HTTP that answers as a real one: crumbs, the queue, Location, console in parts. Written from Jenkins' "Remote Access API"."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs

CRUMB = "crumb-1"
USER, TOKEN = "deployer", "11aa22bb33cc"
CONSOLE = ["Started by user deployer\n", "+ make test\n", "Finished: {result}\n"]


class FakeJenkins:
    """Its job ``team/windtunnel/master``; *result* of its builds; *waits*: how often the queue item is still in the queue; *cancelled*: it never leaves it."""

    def __init__(self) -> None:
        self.result = "SUCCESS"
        self.waits = 2
        self.cancelled = False
        self.garbage = False
        self.requests: list[str] = []
        self.url = ""

    def answer(
        self, method: str, path: str, fields: dict[str, str], body: str
    ) -> tuple[int, dict[str, str], str]:
        """Status, fields and body."""
        self.requests.append(f"{method} {path.partition('?')[0]}")
        wanted = "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        if fields.get("Authorization") != wanted:
            return 401, {}, "<html><body>Authentication required</body></html>"
        if self.garbage:
            return 200, {}, "<html>a proxy's page</html>"
        path = path.partition("?")[0]
        if path == "/crumbIssuer/api/json":
            return 200, {}, json.dumps({"crumb": CRUMB, "crumbRequestField": "Jenkins-Crumb"})
        if method == "POST" and fields.get("Jenkins-Crumb") != CRUMB:
            return (
                403,
                {},
                "<html><head><title>Error 403 No valid crumb was included in the request</title></head></html>",
            )
        job = "/job/team/job/windtunnel/job/master"
        if (method, path) == ("POST", f"{job}/build"):
            return 201, {"Location": f"{self.url}/queue/item/25/"}, ""
        if path == "/queue/item/25/api/json":
            return 200, {}, json.dumps(self._item())
        if path == f"{job}/7/logText/progressiveText":
            return self._console(int(parse_qs(body)["start"][0]))
        if path == f"{job}/7/api/json":
            return 200, {}, json.dumps({"number": 7, "building": False, "result": self.result})
        return 404, {}, "<html><body>Not Found</body></html>"

    def _item(self) -> dict[str, object]:
        if self.cancelled:
            return {"_class": "hudson.model.Queue$LeftItem", "id": 25, "cancelled": True, "why": None}
        if self.waits > 0:
            self.waits -= 1
            return {
                "_class": "hudson.model.Queue$WaitingItem",
                "id": 25,
                "why": "In the quiet period. Expires in 4 sec",
            }
        return {
            "_class": "hudson.model.Queue$LeftItem", "id": 25, "cancelled": False, "why": None, "executable": {"number": 7, "url": "x"},
        }  # fmt: skip

    def _console(self, start: int) -> tuple[int, dict[str, str], str]:
        """A line a time."""
        text = "".join(CONSOLE).format(result=self.result)
        end = text.index("\n", start) + 1 if start < len(text) else len(text)
        more = {"X-More-Data": "true"} if end < len(text) else {}
        return 200, {"X-Text-Size": str(end), **more}, text[start:end]


@contextmanager
def running(jenkins: FakeJenkins) -> Iterator[FakeJenkins]:
    """*jenkins* on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, fields, text = jenkins.answer(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            for name, value in {
                "X-Jenkins": "2.516.3",
                "Content-Length": str(len(text.encode())),
                **fields,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = _serve

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    jenkins.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield jenkins
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
