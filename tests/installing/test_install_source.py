"""install(source=…) makes scans read exported files. The client is wandb 0.26.1's; `tests/matrix` tests releases."""

from __future__ import annotations

import gc
import os
import re
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from wandb.apis import public
from wandb.apis.public.service_api import ServiceApi
from wandb.errors import CommError

import histscan
from histscan.errors import HistoryRequestError, InstallError, ResponseShapeError
from histscan.installing import exports, releases, scans
from histscan.installing.installation import install, installed, uninstall
from histscan.installing.scans import KeywordServiceScan
from histscan.sources import exported_requests
from tests.support.export_backend import Backend, parquet
from tests.support.extras import install_command
from tests.support.fake_service import FakeService
from tests.support.graphql_server import Answer, json_answer, serving
from tests.support.install_places import is_installed
from tests.support.retrying_client import retrying_client

STEPS = list(range(10))
SERVICE_ROWS = [(step, [("_step", str(step)), ("a", f'"core {step}"')]) for step in STEPS]


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test gets its own cache and no retry delays, and ends with wandb's classes."""
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(exported_requests, "pause", lambda _: None)
    yield
    uninstall()
    assert not is_installed()


@pytest.fixture
def backend() -> Iterator[Backend]:
    with serving(lambda _: Answer(b"")) as server:
        yield Backend(server)


class Scans:
    """Makes scans as wandb 0.26.1's runs make them."""

    def __init__(self, backend: Backend) -> None:
        url = backend.server.url
        self.service = FakeService(SERVICE_ROWS)
        self.client = retrying_client(url)
        self.run: Any = SimpleNamespace(
            entity="e", project="p", id="r", url=f"{url}/e/p/runs/r", client=self.client, lastHistoryStep=9
        )

    def graphql(self, **arguments: Any) -> Any:
        # More than two pages, so that "auto" looks for files.
        given = {"client": self.client, "run": self.run, "min_step": 0, "max_step": 10, "page_size": 3}
        return public.HistoryScan(**given | arguments)

    def keys(self, keys: Any) -> Any:
        return public.SampledHistoryScan(client=self.client, run=self.run, keys=keys, min_step=0, max_step=10)

    def service_scan(self, **arguments: Any) -> Any:
        given = {"service_api": self.service, "run": self.run, "min_step": 0, "max_step": 10, "page_size": 3}
        return public.BetaHistoryScan(**given | arguments)


@pytest.fixture
def made(backend: Backend) -> Scans:
    return Scans(backend)


def origins(rows: Any) -> str:
    """Returns the source of each row: f for a file, p for a page, c for wandb-core."""
    found = list(rows)
    assert [row["_step"] for row in found] == STEPS
    return "".join(row["a"][0] for row in found)


class TestOption:
    def test_source_applies_to_new_scans(self, made: Scans, backend: Backend) -> None:
        install(source="parquet")
        early, early_of_service = made.graphql(), made.service_scan()
        install()
        late = made.graphql()
        assert origins(late) == "p" * 10
        assert origins(early) == origins(early) == "fffppppppp"
        assert origins(early_of_service) == "fffppppppp"

    def test_a_block_restores_the_source(self, made: Scans) -> None:
        install(source="parquet")
        with installed():
            assert origins(made.graphql()) == "p" * 10
        assert origins(made.graphql()) == "fffppppppp"
        install()
        with installed(source="auto"):
            assert origins(made.graphql()) == "fffppppppp"
        assert origins(made.graphql()) == "p" * 10

    def test_auto_reads_pages_if_the_history_fits_two(self, made: Scans, backend: Backend) -> None:
        with installed(source="auto"):
            for scan in (made.graphql(page_size=5), made.service_scan(page_size=5)):
                assert "f" not in origins(scan)
                assert scan.to_arrow().num_rows == 10
            assert backend.downloads == []
            assert "ExportedFiles" not in [request.operation for request in backend.server.received]
            assert origins(made.graphql(page_size=4)) == "fffppppppp"
        with installed(source="parquet"):
            assert origins(made.graphql(page_size=5)) == "fffppppppp"

    def test_an_invalid_source_changes_nothing(self) -> None:
        source: Any = "files"
        with pytest.raises(ValueError, match="source must be 'pages', 'parquet' or 'auto', not 'files'"):
            install(source=source)
        assert not is_installed()

    def test_missing_pyarrow(self, monkeypatch: pytest.MonkeyPatch, made: Scans) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(ImportError, match=re.escape(install_command("arrow"))):
            install(source="parquet")
        assert not is_installed()
        install(source="auto")
        assert origins(made.graphql()) == "p" * 10

    def test_a_release_that_cannot_request_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        family = dict.fromkeys(("HistoryScan", "SampledHistoryScan", "BetaHistoryScan"), KeywordServiceScan)
        monkeypatch.setattr("histscan.installing.installation.find_stand_ins", lambda _: family)
        # The service of 0.26.1 can't; that of 0.27.0 can.
        assert not hasattr(ServiceApi, "execute_graphql")
        with pytest.raises(InstallError, match=r"can't request exported files.*execute_graphql"):
            install(source="parquet")
        assert not is_installed()
        monkeypatch.setattr(ServiceApi, "execute_graphql", lambda *_: None, raising=False)
        monkeypatch.setattr(releases, "find_difference", lambda graphql: "no message" if graphql else None)
        with pytest.raises(InstallError, match="can't request exported files: no message"):
            install(source="parquet")
        monkeypatch.undo()


class TestRows:
    def test_no_request_before_the_first_row(self, made: Scans, backend: Backend) -> None:
        with installed(source="parquet"):
            scan, of_service = made.graphql(), made.service_scan()
        assert backend.server.received == []
        assert made.service.requests == []
        next(scan)
        assert [request.operation for request in backend.server.received if request.payload] == ["ExportedFiles"]
        next(of_service)
        # wandb-core was not used: it would have downloaded the files, too.
        assert made.service.requests == []

    def test_keys(self, made: Scans, backend: Backend) -> None:
        backend.files["/two"] = Answer(parquet(range(2, 10)))
        backend.live = []
        with installed(source="parquet"):
            assert list(made.keys(["a"]))[:2] == [{"a": "file 0"}, {"a": "file 1"}]
            assert origins(made.keys(["_step", "a"])) == "f" * 10
            assert list(made.keys(["b"])) == []
            # As with wandb-core, the step is added.
            assert list(made.service_scan(keys=["a"]))[:1] == [{"_step": 0, "a": "file 0"}]
            assert origins(made.service_scan(keys=[])) == "f" * 10

    def test_attributes(self, made: Scans, backend: Backend) -> None:
        backend.files["/two"] = Answer(parquet(range(2, 8)))
        backend.live = [8, 9]
        with installed(source="parquet"):
            scan = made.graphql(min_step=1)
        assert (scan.page_offset, scan.scan_offset, scan.rows) == (1, 0, [])
        assert next(scan) == {"_step": 1, "a": "file 1"}
        assert scan.rows[scan.scan_offset - 1] == {"_step": 1, "a": "file 1"}
        assert 1 < scan.page_offset <= 8
        assert [row["_step"] for row in iter(scan)] == STEPS[1:]
        assert scan.page_offset >= 10
        scan.page_offset, scan.rows = 6, []
        assert [row["a"] for row in (next(scan), next(scan), next(scan))] == ["file 6", "file 7", "page 8"]

    def test_a_scan_without_an_end_ends_at_the_last_step(self, made: Scans, backend: Backend) -> None:
        with installed(source="parquet"):
            assert origins(made.service_scan(max_step=10**9)) == "fffppppppp"
        pages = [request.payload["variables"] for request in backend.server.received if request.payload][1:]
        assert max(page["maxStep"] for page in pages) == 10

    def test_columns(self, made: Scans, backend: Backend) -> None:
        with installed(source="parquet"):
            scan = made.graphql()
            assert scan.to_arrow().to_pylist() == list(scan)
            assert scan.to_arrow(["a"]).column("a").to_pylist() == [row["a"] for row in scan]
            assert [batch.num_rows for batch in scan.batches(rows=4)] == [4, 4, 2]
            assert made.service_scan().to_arrow().to_pylist() == list(scan)
        with installed():
            assert origins(made.graphql().to_arrow().to_pylist()) == "p" * 10

    def test_progress_is_reported(self, made: Scans) -> None:
        told: list[Any] = []
        with installed(source="parquet", progress=told.append):
            assert origins(made.graphql(page_size=5)) == "fffppppppp"
        assert [(now.step, now.rows, now.pages) for now in told] == [(3, 3, 1), (8, 8, 2), (10, 10, 3)]
        assert {(now.min_step, now.stop_step) for now in told} == {(0, 10)}

    def test_an_unreferenced_scan_is_freed(self, made: Scans) -> None:
        with installed(source="parquet"):
            scan = made.service_scan()
        next(scan)
        gone = weakref.ref(scan)
        gc.disable()
        try:
            del scan
            assert gone() is None
        finally:
            gc.enable()

    def test_use_cache_false_bypasses_the_cache(self, made: Scans, backend: Backend) -> None:
        with installed(source="parquet"):
            for use_cache in (True, True, False):
                backend.server.received.clear()
                assert origins(made.service_scan(use_cache=use_cache)) == "fffppppppp"
                assert len(backend.downloads) == 1
                (kept,) = Path(os.environ["HISTSCAN_CACHE_DIR"]).iterdir()
                # A file from the cache keeps its modification time; a download replaces the file.
                if use_cache:
                    stamp = kept.stat().st_mtime_ns
            assert kept.stat().st_mtime_ns > stamp


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Returns an exception and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


NO_EXPORTS = [
    {"data": {"project": {"run": {"parquetHistory": None}}}},
    {"data": {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}},
    {"errors": [{"message": 'Cannot query field "parquetHistory" on type "Run".'}]},
]


class TestNoFiles:
    @pytest.mark.parametrize("source", ["parquet", "auto"])
    @pytest.mark.parametrize("answer", NO_EXPORTS, ids=["null", "none", "unknown"])
    def test_pages_are_read_instead(self, made: Scans, backend: Backend, source: Any, answer: Any) -> None:
        backend.exports = lambda: json_answer(answer)
        with installed(source=source):
            scan, of_service = made.graphql(), made.service_scan()
            assert origins(scan) == origins(scan) == "p" * 10
            assert origins(of_service) == origins(of_service) == "c" * 10
        asked = [request.operation for request in backend.server.received]
        assert asked.count("ExportedFiles") == 2
        assert len(made.service.history_requests("scan_run_history_init")) == 1

    def test_a_custom_client(self, made: Scans) -> None:
        del made.run.client
        with installed(source="parquet"):
            assert origins(made.service_scan()) == "c" * 10

    @pytest.mark.parametrize("keys", [[], "a"])
    def test_keys_that_only_a_server_understands(self, made: Scans, backend: Backend, keys: Any) -> None:
        backend.exports = lambda: pytest.fail("asked for files")
        with installed(source="parquet"):
            scan = made.keys(keys)
            with pytest.raises(CommError):
                next(scan)
        assert "SampledHistoryPage" in [request.operation for request in backend.server.received]


class TestErrors:
    def test_file_request_fails(self, made: Scans, backend: Backend) -> None:
        backend.files = {"/one": Answer(b"secret", 403)}
        with installed(source="parquet"):
            scan, of_service = made.graphql(), made.service_scan()
        for _ in range(2):
            with pytest.raises(CommError, match=r"127.0.0.1.* answered HTTP 403") as caught:
                next(scan)
            assert isinstance(caught.value.exc, HistoryRequestError)
            assert "secret" not in "".join(map(str, chain_of(caught.value)))
            with pytest.raises(HistoryRequestError, match=r"127.0.0.1.* answered HTTP 403"):
                next(of_service)
        backend.files = {"/one": Answer(parquet(range(3)))}
        assert origins(scan) == "fffppppppp"
        backend.files = {"/one": Answer(b"secret", 403)}
        with installed(source="auto"), pytest.warns(histscan.ExportWarning, match="answered HTTP 403"):
            assert origins(made.graphql()) == "p" * 10

    def test_response_of_unexpected_shape(self, made: Scans, backend: Backend) -> None:
        backend.exports = lambda: backend.of_run(parquetHistory={"parquetUrls": 3, "liveData": []})
        with installed(source="parquet"):
            with pytest.raises(ResponseShapeError, match="`parquetHistory`"):
                next(made.service_scan())
            with pytest.raises(CommError, match="`parquetHistory`"):
                next(made.graphql())

    def test_failing_page_after_the_files(self, made: Scans, backend: Backend) -> None:
        ordinary = backend.respond

        def respond(request: Any) -> Answer:
            is_page = request.payload and request.operation == "HistoryPage"
            return Answer(b"", 404) if is_page else ordinary(request)

        backend.server.respond = respond
        with installed(source="parquet"):
            scan = made.graphql()
        assert [next(scan)["a"] for _ in range(3)] == ["file 0", "file 1", "file 2"]
        for _ in range(2):
            # Iterating again raises again: the scan is not at its end.
            with pytest.raises(CommError):
                next(scan)
        backend.server.respond = ordinary
        assert origins(scan) == "fffppppppp"

    def test_files_on_another_host_over_http(self, made: Scans) -> None:
        made.run.url = "https://wandb.example/e/p/runs/r"
        with (
            installed(source="parquet"),
            pytest.raises(HistoryRequestError, match=r"on 127.0.0.1 is only available by http"),
        ):
            next(made.service_scan())

    def test_no_api_key_is_sent_to_file_hosts(self, made: Scans, backend: Backend) -> None:
        transport = made.client._client.transport
        transport.session.auth = ("api", "k" * 40)
        with installed(source="parquet"):
            assert origins(made.graphql()) == "fffppppppp"
        assert len(backend.downloads) == 1
        for request in backend.server.received:
            assert ("Authorization" in request.headers) == bool(request.payload)


def test_every_installed_class_can_read_files() -> None:
    classes = [getattr(scans, name) for name in scans.__all__ if isinstance(getattr(scans, name), type)]
    assert len(classes) == 11
    for scan_class in classes:
        assert scan_class._exports_client is not exports.ReadsExports._exports_client
    assert histscan.install is install
