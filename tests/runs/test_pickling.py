"""Runs, scans and clients are copied and pickled; the API key is pickled only on request."""

from __future__ import annotations

import base64
import copy
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import histscan
from histscan.api.runs import ProjectRuns
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from histscan.sources.exported_requests import FileRequests
from tests.support.fake_service import FakeService
from tests.support.history_backend import HistoryBackend, MemoryClient, RunName, training_rows
from tests.support.paths import EXAMPLE
from tests.support.served_runs import LISSAJOUS
from tests.support.server_process import ServerProcess, serving

KEY = "7c" * 20
OTHER_KEY = "e1" * 20
KEYS = ["_step", "loss"]
BACKEND = HistoryBackend(training_rows(range(40)))

START_METHODS = [method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()]
COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """The example, in exported files except for its last rows."""
    with serving(EXAMPLE, "--export-rows", "2000", "--live-rows", "150", "--api-key", KEY) as running:
        yield running


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def api(server: ServerProcess) -> histscan.Api:
    """An `Api` with a key from the arguments, after some requests."""
    return used(histscan.Api(server.url, KEY))


def used(api: histscan.Api) -> histscan.Api:
    assert api.default_entity
    return api


def is_in(key: str, pickled: bytes) -> bool:
    return key.encode() in pickled or base64.b64encode(f"api:{key}".encode()) in pickled


def things_of(api: histscan.Api) -> dict[str, Any]:
    """One object of each class that has a client, after its requests."""
    runs = api.runs("histscan/examples")
    run = runs[0]
    things = {"Client": api.client, "Api": api, "Runs": runs, "Run": run}
    for source in ("pages", "auto"):
        scan: Any = run.scan_history(source=source)
        next(scan)
        things[type(scan).__name__] = scan
    for scan in (run.scan_history(KEYS, source="pages"), run.scan_history(KEYS, any_key=True)):
        next(scan)
        things[type(scan).__name__] = scan
    return things


# The API key


def test_no_pickle_contains_the_key(api: histscan.Api) -> None:
    things = things_of(api)
    assert set(things) == {"Client", "Api", "Runs", "Run", "RunScan", "ExportedScan", "RunScanOfKeys", "AnyKeyScan"}
    for thing in things.values():
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            pickled = pickle.dumps(thing, protocol)
            assert not is_in(KEY, pickled)
            # Neither does a pickle of the unpickled object, nor any of its texts.
            unpickled = pickle.loads(pickled)
            assert not is_in(KEY, pickle.dumps(unpickled))
            assert KEY not in repr(unpickled)


def test_a_key_of_the_environment_is_not_pickled_either(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert not is_in(KEY, pickle.dumps(used(histscan.Api(server.url))))


def test_the_key_is_looked_up_where_the_client_is_unpickled(
    api: histscan.Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pickled = pickle.dumps(api)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert pickle.loads(pickled).run(LISSAJOUS).state == api.run(LISSAJOUS).state
    monkeypatch.delenv("WANDB_API_KEY")
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login user password {KEY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert pickle.loads(pickled).run(LISSAJOUS).state == api.run(LISSAJOUS).state


@pytest.mark.parametrize("name", ["Client", "Api", "Runs", "Run", "RunScan", "RunScanOfKeys", "AnyKeyScan"])
def test_without_a_key_the_error_says_what_to_do(api: histscan.Api, name: str) -> None:
    unpickled = pickle.loads(pickle.dumps(things_of(api)[name]))
    assert "not looked up" in repr(getattr(unpickled, "client", unpickled))
    ask: dict[str, Callable[[Any], Any]] = {
        "Client": lambda client: client.execute("{ viewer { id } }"),
        "Api": lambda api: api.run(LISSAJOUS),
        "Runs": lambda runs: ProjectRuns(runs.client, runs.entity, runs.project)[0],
        "Run": lambda run: run.lastHistoryStep,
    }
    with pytest.raises(histscan.HistoryRequestError, match="was not pickled") as caught:
        ask.get(name, list)(unpickled)
    assert "WANDB_API_KEY" in str(caught.value)
    assert "pickle_key=True" in str(caught.value)
    assert "no API key" in repr(getattr(unpickled, "client", unpickled))


def test_the_error_says_which_other_key_was_sent(api: histscan.Api, monkeypatch: pytest.MonkeyPatch) -> None:
    unpickled = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(api))))
    monkeypatch.setenv("WANDB_API_KEY", OTHER_KEY)
    with pytest.raises(histscan.HistoryRequestError, match="variable WANDB_API_KEY was sent instead") as caught:
        unpickled.run(LISSAJOUS)
    assert OTHER_KEY not in str(caught.value)


def test_without_a_key_in_the_first_place_nothing_is_said_of_pickles(server: ServerProcess) -> None:
    unpickled = pickle.loads(pickle.dumps(histscan.Api(server.url)))
    with pytest.raises(histscan.HistoryRequestError) as caught:
        unpickled.run(LISSAJOUS)
    assert "pickle" not in str(caught.value)


def test_a_key_that_cannot_be_used_is_no_error_of_unpickling(
    api: histscan.Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end a worker of a pool without the pool noticing."""
    monkeypatch.setenv("WANDB_API_KEY", "not a key")
    unpickled = pickle.loads(pickle.dumps(api))
    assert "not looked up" in repr(unpickled)
    with pytest.raises(histscan.HistoryRequestError, match="has spaces"):
        unpickled.run(LISSAJOUS)


def test_the_key_is_pickled_on_request(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    api = used(histscan.Api(server.url, KEY, pickle_key=True))
    monkeypatch.setenv("WANDB_API_KEY", OTHER_KEY)
    for name, thing in things_of(api).items():
        pickled = pickle.dumps(thing)
        assert is_in(KEY, pickled), name
        unpickled = pickle.loads(pickle.dumps(pickle.loads(pickled)))
        assert KEY not in repr(unpickled)
    assert pickle.loads(pickle.dumps(api)).run(LISSAJOUS).id == "lissajous"


@pytest.mark.parametrize("way", ["copy", "deepcopy"])
def test_copies_within_a_process_keep_the_key(api: histscan.Api, way: str) -> None:
    for thing in things_of(api).values():
        copied = COPIES[way](thing)
        client = copied.client if isinstance(copied, histscan.Api | histscan.Run | ProjectRuns) else copied
        if isinstance(client, histscan.Client):
            assert client.execute("{ viewer { username } }")["viewer"]
        else:
            assert "_step" in next(copied)


def test_a_copied_client_has_connections_of_its_own(api: histscan.Api) -> None:
    copied = copy.copy(api.client)
    copied.execute("{ viewer { username } }")
    api.client.close()
    copied.execute("{ viewer { username } }")
    assert vars(copied)["_opened"] != vars(api.client)["_opened"]


def test_settings_of_the_client_are_pickled() -> None:
    client = histscan.Client("http://histscan.test", KEY, 7.5, retries=2, allow_http=True)
    unpickled = pickle.loads(pickle.dumps(client))
    assert (unpickled.base_url, unpickled.timeout) == ("http://histscan.test", 7.5)
    assert vars(unpickled)["_retry"] == vars(client)["_retry"]


# Pools of processes


def describe(run: histscan.Run) -> tuple[str, int, int, Any]:
    """What a worker reads of a run."""
    return run.id, os.getpid(), len(list(run.scan_history(source="pages"))), run.config


def total(scan: Any) -> tuple[int, float]:
    return os.getpid(), sum(row["loss"] for row in scan if "loss" in row)


def fail_on(run: histscan.Run) -> None:
    raise histscan.HistoryDecodeError("cut short", run=run.id, row=3)


@pytest.mark.parametrize("method", START_METHODS)
def test_a_pool_maps_over_what_a_server_has(api: histscan.Api, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    run = api.run(LISSAJOUS)
    scans = [run.scan_history(KEYS, source="pages"), run.scan_history(), histscan.LogRun(EXAMPLE).scan_history()]
    for scan in scans:
        next(scan)
    expected = total(scans[2])[1]
    with multiprocessing.get_context(method).Pool(1) as pool:
        (found,) = pool.map(describe, api.runs("histscan/examples"))
        assert (found[0], found[2], found[3]) == ("lissajous", len(list(scans[0])), run.config)
        assert found[1] != os.getpid()
        for worker, sum_of_losses in pool.map(total, scans):
            assert worker != os.getpid()
            assert sum_of_losses == pytest.approx(expected)
        with pytest.raises(histscan.HistoryDecodeError) as caught:
            pool.map(fail_on, [run])
        assert (caught.value.run, caught.value.row) == ("lissajous", 3)


# Scans


class TailScan(HistoryScan):
    """A user's subclass of a scan, with its own constructor."""

    def __init__(self, client: Any, first: int) -> None:
        super().__init__(client, RunName(), first, 40, page_size=7)


def memory_scan(**options: Any) -> Any:
    return HistoryScan(MemoryClient(BACKEND), RunName(), 3, 40, 7, **options)


def service_scan() -> Any:
    service = FakeService([(step, [("_step", str(step)), ("a", "1")]) for step in range(40)])
    return BetaHistoryScan(service, RunName(), 0, 40, ["_step"], page_size=7)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    table = histscan.LogRun(EXAMPLE).to_arrow(KEYS)
    pyarrow.parquet.write_table(table.slice(0, 2_000), folder / "a.parquet")
    pyarrow.parquet.write_table(table.slice(2_000), folder / "b.parquet")
    return folder


LOCAL_SCANS: dict[str, Callable[[Path], Any]] = {
    "log": lambda files: histscan.LogRun(EXAMPLE).scan_history(),
    "log, keys and range": lambda files: histscan.LogRun(EXAMPLE).scan_history(KEYS, min_step=5, max_step=900),
    "parquet": lambda files: histscan.ParquetRun(files).scan_history(),
    "parquet, keys and range": lambda files: histscan.ParquetRun(files).scan_history(["loss"], min_step=5, max_step=90),
    "pages": lambda files: memory_scan(),
    "pages ahead": lambda files: memory_scan(prefetch=2, window="adaptive"),
    "sampled": lambda files: SampledHistoryScan(MemoryClient(BACKEND), RunName(), ["_step", "epoch"], 0, 40, 7),
    "service": lambda files: service_scan(),
    "subclass": lambda files: TailScan(MemoryClient(BACKEND), 11),
}


@pytest.mark.parametrize("name", LOCAL_SCANS)
@pytest.mark.parametrize("way", COPIES)
def test_a_scan_is_copied_as_what_it_scans(name: str, way: str, files: Path) -> None:
    expected = repr(list(LOCAL_SCANS[name](files)))
    scan = LOCAL_SCANS[name](files)
    for _ in range(5):
        next(scan)
    again = COPIES[way](scan)
    assert type(again) is type(scan)
    # From the first row on, and without moving the other.
    assert repr([*iter(lambda: next(again, None), None)]) == expected
    rest = list(iter(lambda: next(scan, None), None))
    assert repr([*islice(LOCAL_SCANS[name](files), 5), *rest]) == expected
    assert repr(list(COPIES[way](again))) == expected


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("options", [{"source": "pages"}, {"source": "auto"}, {"keys": KEYS, "any_key": True}])
def test_a_scan_of_a_server_is_copied_as_what_it_scans(
    server: ServerProcess, way: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    scan: Any = histscan.Api(server.url).run(LISSAJOUS).scan_history(min_step=7, max_step=4_990, **options)
    expected = repr(list(scan))
    next(iter(scan))
    assert repr(list(COPIES[way](scan))) == expected


def test_scans_of_wandbs_own_client_say_why_they_are_not_pickled() -> None:
    from wandb.apis.public.api import RetryingClient

    scan = HistoryScan(RetryingClient.__new__(RetryingClient), RunName(), 0, 10)
    for way in ("pickle", "deepcopy"):
        with pytest.raises(TypeError, match=r"wandb's RetryingClient.*histscan\.Api"):
            COPIES[way](scan)


def test_scans_of_a_gql_client_say_why_they_are_not_pickled() -> None:
    import gql
    from gql.transport.requests import RequestsHTTPTransport

    client: Any = gql.Client(transport=RequestsHTTPTransport("http://127.0.0.1:1"))
    with pytest.raises(TypeError, match=r"gql's Client.*histscan\.Api"):
        pickle.dumps(HistoryScan(client, RunName(), 0, 10))


def test_addresses_of_exported_files_are_not_pickled() -> None:
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(FileRequests("https://files.test/run.parquet?signature=5ec3e7"))


# Runs in files


@pytest.mark.parametrize("way", COPIES)
def test_runs_in_files(files: Path, way: str) -> None:
    runs: list[Any] = [histscan.LogRun(EXAMPLE), histscan.ParquetRun(files)]
    for run in runs:
        for _ in range(2):
            again = COPIES[way](run)
            assert repr(again) == repr(run)
            for name in ("entity", "project", "id", "name", "tags", "config", "summary", "lastHistoryStep"):
                assert getattr(again, name) == getattr(run, name)
            assert again.to_arrow(KEYS).equals(run.to_arrow(KEYS))


def test_they_are_found_from_another_folder(
    files: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLE.parent)
    log = histscan.LogRun(EXAMPLE.name)
    monkeypatch.chdir(files)
    parquet = histscan.ParquetRun("*.parquet")
    monkeypatch.chdir(EXAMPLE.parent)
    pickled = pickle.dumps([log, log.scan_history()])
    monkeypatch.chdir(files)
    pickled_parquet = pickle.dumps([parquet, parquet.scan_history()])
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    for run, scan in (pickle.loads(pickled), pickle.loads(pickled_parquet)):
        assert len(list(scan)) == run.to_arrow(KEYS).num_rows == 5_000


def test_files_that_are_gone_are_no_error_of_unpickling(files: Path, tmp_path: Path) -> None:
    log = tmp_path / "run.wandb"
    log.write_bytes(EXAMPLE.read_bytes())
    runs: list[Any] = [histscan.LogRun(log), histscan.ParquetRun(files)]
    pickled = pickle.dumps([*runs, *(run.scan_history() for run in runs)])
    log.unlink()
    for file in files.iterdir():
        file.unlink()
    for thing in pickle.loads(pickled):
        with pytest.raises(FileNotFoundError):
            thing.to_arrow()
