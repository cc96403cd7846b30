"""A server of a short run that is partly in exported files; tests can change what it sends."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pyarrow
import pyarrow.parquet

import histscan
from tests.support.graphql_server import Answer, GraphQLServer, Received, data_answer

KEY = "9a" * 20


def parquet(steps: range) -> bytes:
    file = io.BytesIO()
    numbers, texts = pyarrow.array(list(steps), pyarrow.int64()), pyarrow.array([f"file {step}" for step in steps])
    pyarrow.parquet.write_table(pyarrow.table({"_step": numbers, "a": texts}), file)
    return file.getvalue()


class Backend:
    """A server of ten rows, the first of them in files; tests can change what it sends."""

    def __init__(self, server: GraphQLServer) -> None:
        self.server = server
        self.files: dict[str, Answer] = {"/one": Answer(parquet(range(3)), headers={"ETag": '"1"'})}
        self.live = list(range(3, 10))
        self.exports: Callable[[], Answer] = self.export_list
        server.respond = self.respond

    def respond(self, request: Received) -> Answer:
        if "query" not in request.payload:
            return self.files[request.path.partition("?")[0]]
        variables = request.payload["variables"]
        if request.operation == "ExportedFiles":
            return self.exports()
        if request.operation == "HistoryPage":
            steps = range(variables["minStep"], variables["maxStep"])
            return self.of_run(history=[f'{{"_step": {step}, "a": "page {step}"}}' for step in steps])
        return self.of_run(name="r", config="{}", historyKeys={"lastStep": 9})

    def export_list(self) -> Answer:
        urls = [f"{self.server.url}{path}?signature=secret{len(self.server.received)}" for path in self.files]
        live = [{"_step": step} for step in self.live]
        return self.of_run(parquetHistory={"parquetUrls": urls, "liveData": live})

    def of_run(self, **fields: Any) -> Answer:
        return data_answer({"project": {"run": fields}})

    def scan(self, source: Any = "parquet") -> Any:
        # More than two pages, so that "auto" requests files.
        return histscan.Api(self.server.url, KEY).run("e/p/r").scan_history(page_size=3, source=source)

    def rows(self, source: Any = "parquet") -> str:
        """Where each row came from: f for a file, p for a page."""
        rows = list(self.scan(source))
        assert [row["_step"] for row in rows] == list(range(10))
        assert all(row["a"].split()[1] == str(row["_step"]) for row in rows)
        return "".join(row["a"][0] for row in rows)

    @property
    def downloads(self) -> list[Received]:
        return [request for request in self.server.received if "query" not in request.payload]
