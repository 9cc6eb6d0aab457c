"""A server of a few lines that takes runs as LangSmith's does.

It knows its three ways of ingestion: parts of one form, compressed or not, lists of
runs, and one run a request.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import zstandard

__all__ = ["LangSmithServer", "langsmith_server"]

LIMITS = {
    "scale_up_nthreads_limit": 1,
    "scale_up_qsize_trigger": 1000,
    "scale_down_nempty_trigger": 4,
    "size_limit": 100,
    "size_limit_bytes": 20_971_520,
}


@dataclass
class LangSmithServer:
    """What has arrived so far."""

    way: str
    """How runs are to be sent: `compressed`, `multipart` or `batch`."""
    url: str = ""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Runs by id, with what came later laid over what came before."""
    paths: set[str] = field(default_factory=set)
    """Where runs were sent, and `zstd` if they were compressed."""

    def of_type(self, run_type: str) -> list[dict[str, Any]]:
        """Return the runs of a type, in the order in which they began."""
        found = [run for run in self.runs.values() if run.get("run_type") == run_type]
        return sorted(found, key=lambda run: run["dotted_order"])

    def info(self) -> dict[str, Any]:
        """Return what the server says of itself."""
        multipart = self.way != "batch"
        return {
            "version": "0.13.0",
            "batch_ingest_config": {**LIMITS, "use_multipart_endpoint": multipart},
            "instance_flags": {"zstd_compression_enabled": self.way == "compressed"},
        }

    def take(self, path: str, content: bytes, headers: Any) -> None:
        """Take what a request brings."""
        self.paths.add(path)
        if headers.get("content-encoding") == "zstd":
            self.paths.add("zstd")
            content = zstandard.ZstdDecompressor().stream_reader(content).read()
        if path == "/runs/multipart":
            self._take_parts(content, headers["content-type"])
        elif path == "/runs/batch":
            sent = json.loads(content)
            for run in (*(sent.get("post") or ()), *(sent.get("patch") or ())):
                self._lay(run["id"], run)
        else:
            run = json.loads(content)
            self._lay(run.get("id") or path.rpartition("/")[2], run)

    def _take_parts(self, content: bytes, kind: str) -> None:
        form = BytesParser().parsebytes(
            f"content-type: {kind}\r\n\r\n".encode() + content
        )
        for part in form.get_payload():
            name = part.get_param("name", header="content-disposition")
            _, run_id, *place = name.split(".")
            value = json.loads(part.get_payload(decode=True))
            self._lay(run_id, {place[0]: value} if place else value)

    def _lay(self, run_id: str, said: dict[str, Any]) -> None:
        known = self.runs.setdefault(run_id, {})
        known.update({key: it for key, it in said.items() if it is not None})


@contextmanager
def langsmith_server(way: str) -> Iterator[LangSmithServer]:
    """Serve on a port of this machine until the block ends."""
    served = LangSmithServer(way)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._answer(served.info() if self.path == "/info" else {})

        def do_POST(self):
            served.take(self.path, self._content(), self.headers)
            self._answer({}, status=202)

        def do_PATCH(self):
            self.do_POST()

        def _content(self):
            length = self.headers.get("content-length")
            if length is not None:
                return self.rfile.read(int(length))
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        def _answer(self, value, status=200):
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            """Let go of who hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield served
    finally:
        with suppress(OSError):
            server.shutdown()
        thread.join()
        server.server_close()
