"""A small HTTP server on this machine that speaks OpenAI's completions protocol, and misbehaves as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Protocol(BaseHTTPRequestHandler):
    """Answers from ``server.answer``, after the faults in ``server.faults``, each used once."""

    server: Any

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, dict(self.headers), asked))
        fault = self.server.faults.pop(0) if self.server.faults else None
        if fault == "killed":
            self.connection.close()
            return
        if fault == "silent":
            self.server.closing.wait(60)
            return
        code, headers, body = 200, {}, json.dumps({"choices": self.server.answer(asked)}).encode()
        if isinstance(fault, tuple):
            code, headers, body = fault
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault == "truncated":  # announces all, sends half, closes
            self.send_header("Content-Length", str(len(body)))
            body = body[: len(body) // 2]
        elif fault == "half":  # whole by its length, half by its content
            body = body[: len(body) // 2]
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(answer: Callable[[dict[str, Any]], list[dict[str, Any]]] | None, by: type = Protocol) -> Iterator[Any]:
    """Serve while the context is open; gives the server: ``url``, ``seen`` requests, ``faults`` to come."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), by)
    server.answer, server.seen, server.faults, server.closing = answer, [], [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
