"""A server on loopback to which the real wandb-core uploads a run: it receives what W&B would.

It answers the few mutations that `wandb sync` of 0.26.1 needs, and keeps what arrives.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.recording import clean_environment


@dataclass
class Upload:
    """What was uploaded of a run.

    Attributes:
        streamed: The lines of each streamed file, such as `wandb-events.jsonl`, in order.
        files: The content of each uploaded file, such as `output.log`.
        config: The config as it was sent last, with wandb's own entry.
    """

    streamed: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)


def sync(run_folder: Path, workspace: Path) -> Upload:
    """Upload an offline run with `wandb sync`, and return what the server got."""
    upload = Upload()
    with _receiving(upload) as url:
        environment = {**clean_environment(workspace), "WANDB_BASE_URL": url, "WANDB_API_KEY": "5e" * 20}
        del environment["WANDB_MODE"]
        finished = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", str(run_folder)],
            cwd=workspace,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return upload


@contextlib.contextmanager
def _receiving(upload: Upload) -> Iterator[str]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_PUT(self) -> None:
            with lock:
                upload.files[self.path.removeprefix("/upload/")] = self._body()
            self._answer({})

        def do_POST(self) -> None:
            request = json.loads(self._body())
            with lock:
                self._answer(self._stream(request) if self.path.endswith("/file_stream") else self._query(request))

        def _stream(self, request: dict[str, Any]) -> dict[str, Any]:
            for name, part in request.get("files", {}).items():
                lines = upload.streamed.setdefault(name, [])
                lines[part["offset"] :] = part["content"]
            return {}

        def _query(self, request: dict[str, Any]) -> dict[str, Any]:
            query, variables = request["query"], request["variables"]
            if "upsertBucket" in query:
                if variables.get("config"):
                    upload.config = json.loads(variables["config"])
                entity = {"id": "entity", "name": variables["entity"]}
                project = {"id": "project", "name": variables["project"], "entity": entity}
                bucket = {"id": "run", "name": variables["name"], "displayName": "run", "project": project}
                bucket |= {"description": "", "config": "{}", "sweepName": None, "historyLineCount": None}
                return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
            if "createRunFiles" in query:
                host = self.headers["Host"]
                files = [{"name": name, "uploadUrl": f"http://{host}/upload/{name}"} for name in variables["files"]]
                return {"data": {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}}
            return {"data": {"serverInfo": {"features": []}, "viewer": None, "model": None, "project": None}}

        def _body(self) -> bytes:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

        def _answer(self, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
