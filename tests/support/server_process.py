"""Run `histscan serve` in a process of its own, on a free port of loopback."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests


@dataclass
class Server:
    """A running server.

    Attributes:
        url: Its address, as `WANDB_BASE_URL` takes it.
    """

    url: str

    def query(self, query: str, variables: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Send a GraphQL query and return the answer's `data`; fail if it has errors."""
        options.setdefault("timeout", 30)
        body = {"query": query, "variables": variables or {}}
        answer = requests.post(f"{self.url}/graphql", json=body, **options)
        answer.raise_for_status()
        parsed = answer.json()
        assert "errors" not in parsed, parsed["errors"]
        return parsed["data"]

    def traffic(self, **options: Any) -> dict[str, Any]:
        """Return the counts so far: requests, operations, statuses, most_in_flight, bytes_sent."""
        options.setdefault("timeout", 30)
        answer = requests.get(f"{self.url}/traffic", **options)
        answer.raise_for_status()
        counted: dict[str, Any] = answer.json()
        return counted

    def forget_traffic(self, **options: Any) -> None:
        """Reset the counts."""
        options.setdefault("timeout", 30)
        requests.delete(f"{self.url}/traffic", **options).raise_for_status()


@dataclass
class ServerProcess(Server):
    """A server, and the process that it runs in.

    Attributes:
        process: The process.
        printed: The lines on its standard output so far.
        complaints: The lines on its standard error so far.
    """

    process: subprocess.Popen[str]
    printed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serving(*arguments: str | Path) -> Iterator[ServerProcess]:
    """Run a server until the block ends.

    Args:
        arguments: What follows `histscan serve` on the command line; without `--port`.

    Yields:
        The server, which can be reached.

    Raises:
        RuntimeError: If it does not start; the message carries what it printed.
    """
    command = [sys.executable, "-m", "histscan", "serve", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    complaints: list[str] = []
    listener = threading.Thread(target=complaints.extend, args=(process.stderr,), daemon=True)
    listener.start()
    try:
        printed = [process.stdout.readline().rstrip("\n") for _ in range(2)]
        name, _, url = printed[0].partition("=")
        if name != "export WANDB_BASE_URL":
            process.kill()
            listener.join()
            raise RuntimeError(f"the server did not start:\n{''.join(printed + complaints)}")
        yield ServerProcess(url, process, printed, complaints)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.join()
        process.stdout.close()
        process.stderr.close()
