"""A small HTTP server on this machine that speaks OpenAI's fine-tuning protocol, and misbehaves as it is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from protocol_server import Protocol, serving

PAGE = 2
"""Items of a page at most, whatever is asked for."""


class FineTuning(Protocol):
    """Files and jobs in ``server.files`` and ``server.jobs``; what is not of them is answered by ``server.answer``.

    Besides the faults of `Protocol` there is ``lost``: the request is carried out, its answer never arrives.
    """

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        path = urlsplit(self.path).path.removeprefix("/v1")
        if path.startswith(("/files", "/fine_tuning")):
            self._serve(self.rfile.read(int(self.headers["Content-Length"])))
        else:
            super().do_POST()

    def _serve(self, body: bytes | None) -> None:
        server, parts = self.server, urlsplit(self.path)
        path = parts.path.removeprefix("/v1")
        server.seen.append((self.command, path, dict(self.headers)))
        fault = server.faults.pop(0) if server.faults else None
        if fault == "killed":
            self.connection.close()
            return
        if isinstance(fault, tuple):
            self._give(json.dumps({"error": "trouble"}).encode(), fault[0])
            return
        made = json.dumps(self._made(path, parse_qs(parts.query), body)).encode()
        if fault == "lost":
            self.connection.close()
        else:
            self._give(made[: len(made) // 2] if fault == "half" else made, 200)

    def _give(self, made: bytes, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(made)))
        self.end_headers()
        self.wfile.write(made)

    def _made(self, path: str, query: dict[str, list[str]], body: bytes | None) -> Any:
        server = self.server
        if path == "/files":
            assert body is not None
            head, content = body.split(b"application/jsonl\r\n\r\n")
            assert b'name="purpose"\r\n\r\nfine-tune' in head
            border = self.headers["Content-Type"].split("boundary=")[1]
            server.files.append(content.removesuffix(f"\r\n--{border}--\r\n".encode()).decode())
            return {"id": f"file-{len(server.files)}", "object": "file"}
        if path == "/fine_tuning/jobs" and body is not None:
            asked = json.loads(body)
            id = f"ftjob-{len(server.jobs) + 1}"
            job = {"id": id, "status": "queued", "created_at": server.now, "fine_tuned_model": None, **asked}
            server.jobs.insert(0, job)
            return job
        if path == "/fine_tuning/jobs":
            return self._page(server.jobs, query)
        id = path.split("/")[3]
        if path.endswith("/events"):
            return self._page(server.events.get(id, [])[::-1], query)
        if server.looks:
            server.looks.pop(0)()
        return next(job for job in server.jobs if job["id"] == id)

    def _page(self, items: list[Any], query: dict[str, list[str]]) -> dict[str, Any]:
        ids = [item["id"] for item in items]
        begin = ids.index(query["after"][0]) + 1 if "after" in query else 0
        return {"data": items[begin : begin + PAGE], "has_more": begin + PAGE < len(items)}


@contextmanager
def tuning(answer: Any = None) -> Iterator[Any]:
    """Serve while the context is open; gives the server: ``url``, ``seen``, ``faults``, ``files``, ``jobs``, ...

    ``looks`` are functions called one by one when somebody looks at a job, so that it can move on.
    """
    with serving(answer, FineTuning) as server:
        server.files, server.jobs, server.events, server.looks, server.now = [], [], {}, [], 1_790_000_000
        yield server
