"""What runs "in" an instance of the bridge's tests: a web server that puts itself into the registry, and ends when its input does.

Run as: instance.py HOST PORT ADDRESS REDIS_PORT; its input's first line is what it answers.
"""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis


def main() -> None:
    """Serve until the input ends."""
    host, port, address, redis_port = sys.argv[1:]
    text = sys.stdin.readline().strip().encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((host, int(port)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    redis.Redis(port=int(redis_port)).lpush("serving_servers", address)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
