"""install() replaces wandb's classes with histscan's, uninstall() restores them; the client is wandb 0.26.1's."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from wandb.apis import public
from wandb.apis.public import history as public_history
from wandb.errors import CommError

import histscan
from histscan.errors import InstallError, WandbMissingError
from histscan.installing.installation import install, installed, uninstall
from histscan.paging.options import PagingOptions, ScanProgress
from tests.support.fake_service import FakeService, service_rows
from tests.support.graphql_server import GraphQLServer, answer_from
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient, row_texts, training_rows
from tests.support.install_places import WANDBS, found, is_installed
from tests.support.interpreter import run_python
from tests.support.retrying_client import retrying_client

BACKEND = HistoryBackend(training_rows(range(50)))

GRAPHQL_DEFAULTS = PagingOptions(prefetch=8, window="adaptive")
SERVICE_DEFAULTS = PagingOptions(prefetch=1, window="fixed")


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    assert not is_installed()
    yield
    uninstall()
    assert not is_installed()


def graphql_scan(**arguments: Any) -> Any:
    given = {"client": MemoryClient(BACKEND), "run": RUN, "min_step": 0, "max_step": 50}
    return public.HistoryScan(**given | arguments)


def service_scan(**arguments: Any) -> Any:
    given = {"service_api": FakeService(service_rows(BACKEND.rows)), "run": RUN, "min_step": 0, "max_step": 50}
    return public.BetaHistoryScan(**given | arguments)


# Places


def test_all_classes_are_replaced_and_restored() -> None:
    install()
    assert is_installed()
    for (module, name), ours in found().items():
        assert ours is getattr(sys.modules[module], name)
        assert ours is found()["wandb.apis.public", name]
        assert (ours.__name__, ours.__qualname__) == (name, name)
        assert ours is not WANDBS[module, name]
    uninstall()
    assert found() == WANDBS


def test_histscan_exports_the_functions() -> None:
    assert (histscan.install, histscan.installed, histscan.uninstall) == (install, installed, uninstall)
    assert (histscan.InstallError, histscan.WandbMissingError) == (InstallError, WandbMissingError)


def test_scans_are_instances_of_the_installed_classes() -> None:
    before = graphql_scan()
    with installed():
        assert isinstance(graphql_scan(), public.HistoryScan)
        assert isinstance(graphql_scan(), public_history.HistoryScan)
        assert isinstance(service_scan(), public.BetaHistoryScan)
        assert not isinstance(before, public.HistoryScan)
        within = graphql_scan()
    assert not isinstance(within, public.HistoryScan)
    # Existing scans keep their class.
    assert row_texts(before) == row_texts(within) == row_texts(BACKEND.rows)


def test_real_requests(server: GraphQLServer) -> None:
    server.respond = answer_from(BACKEND)
    client = retrying_client(server.url)
    theirs = row_texts(graphql_scan(client=client, page_size=10))
    asked = sorted(str(request.payload["variables"]) for request in server.received)
    server.received.clear()
    with installed():
        assert row_texts(graphql_scan(client=client, page_size=10)) == theirs
    assert sorted(str(request.payload["variables"]) for request in server.received) == asked
    assert {request.operation for request in server.received} == {"HistoryPage"}


def test_installing_again_and_uninstalling_again_change_nothing() -> None:
    uninstall()
    assert not is_installed()
    install()
    ours = found()
    install()
    assert found() == ours
    uninstall()
    uninstall()
    assert not is_installed()


# Options


def test_default_prefetch() -> None:
    with installed():
        assert graphql_scan().options == GRAPHQL_DEFAULTS
        assert service_scan().options == SERVICE_DEFAULTS


def test_options_apply_to_new_scans() -> None:
    install(prefetch=3, window="fixed", deadline=60)
    early = graphql_scan()
    install(prefetch=0)
    late = graphql_scan()
    assert early.options == PagingOptions(prefetch=3, window="fixed", deadline=60)
    assert late.options == PagingOptions(prefetch=0, window="adaptive")
    assert service_scan().options == PagingOptions(prefetch=0, window="fixed")
    assert graphql_scan(prefetch=2).options.prefetch == 2
    install(window="adaptive")
    assert service_scan().options == PagingOptions(prefetch=1, window="adaptive")


@pytest.mark.parametrize("option", [{"prefetch": -1}, {"window": "wide"}, {"deadline": 0}], ids=str)
def test_an_option_out_of_range_changes_nothing(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        install(**option)
    assert not is_installed()
    with pytest.raises(ValueError, match=next(iter(option))), installed(**option):
        pass
    assert not is_installed()


def test_progress_is_reported() -> None:
    told: list[ScanProgress] = []
    with installed(progress=told.append):
        list(graphql_scan(page_size=25))
    assert [(progress.rows, progress.pages) for progress in told] == [(25, 1), (50, 2)]


# Blocks


def test_blocks_may_be_nested() -> None:
    with installed(prefetch=5):
        with installed(prefetch=2):
            assert graphql_scan().options.prefetch == 2
        assert is_installed()
        assert graphql_scan().options.prefetch == 5
    assert not is_installed()


def test_a_block_within_an_installation_restores_it() -> None:
    install(prefetch=5)
    with installed(prefetch=2):
        assert graphql_scan().options.prefetch == 2
    assert is_installed()
    assert graphql_scan().options.prefetch == 5


def test_an_installation_within_a_block_stays() -> None:
    with installed(prefetch=2):
        install(prefetch=5)
    assert is_installed()
    assert graphql_scan().options.prefetch == 5


def test_uninstalling_within_a_block_takes_effect_after_it() -> None:
    install()
    with installed():
        uninstall()
        assert is_installed()
    assert not is_installed()


def test_a_failing_block_restores_wandbs_classes() -> None:
    with pytest.raises(ZeroDivisionError), installed():
        raise ZeroDivisionError
    assert not is_installed()


def test_blocks_of_threads_may_overlap() -> None:
    first_is_in, second_is_in, first_is_out = threading.Event(), threading.Event(), threading.Event()
    seen: dict[str, bool] = {}

    def first() -> None:
        with installed():
            first_is_in.set()
            assert second_is_in.wait(30)
        first_is_out.set()

    def second() -> None:
        assert first_is_in.wait(30)
        with installed():
            second_is_in.set()
            assert first_is_out.wait(30)
            seen["after the first"] = is_installed()

    threads = [threading.Thread(target=run) for run in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == {"after the first": True}
    assert not is_installed()


def test_many_threads_at_once() -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(6)

    def use() -> None:
        try:
            start.wait(30)
            for _ in range(50):
                with installed():
                    assert is_installed()
                    assert len(list(graphql_scan(prefetch=0))) == 50
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert not is_installed()


# Errors of scans


class Broken:
    """A custom client that fails."""

    def execute(self, document: Any, variable_values: Any) -> Any:
        raise ZeroDivisionError("of my own")


@pytest.mark.parametrize("prefetch", [0, 3])
def test_errors_of_any_client_are_raised_as_by_wandb(prefetch: int) -> None:
    with pytest.raises(CommError) as theirs:
        list(graphql_scan(client=Broken()))
    with installed(prefetch=prefetch), pytest.raises(CommError) as ours:
        list(graphql_scan(client=Broken()))
    assert str(ours.value) == str(theirs.value)
    assert type(ours.value.exc) is type(theirs.value.exc) is ZeroDivisionError


def test_a_custom_client_gets_one_request_at_a_time() -> None:
    at_once = threading.Lock()
    threads: set[int] = set()

    class Unshared(MemoryClient):
        def execute(self, document: Any, variable_values: Any) -> Any:
            assert at_once.acquire(blocking=False), "two threads ask at once"
            try:
                threads.add(threading.get_ident())
                return super().execute(document, variable_values)
            finally:
                at_once.release()

    with installed():
        assert row_texts(graphql_scan(client=Unshared(BACKEND), page_size=2)) == row_texts(BACKEND.rows)
    assert threads


# Imports


def test_nothing_is_imported_before_it_is_needed() -> None:
    program = """
import sys
import histscan
print(sorted({"wandb", "gql", "requests", "histscan.installing.installation"} & sys.modules.keys()))
histscan.install
print(sorted({"wandb", "wandb_gql"} & sys.modules.keys()))
histscan.install()
print(sys.modules["wandb"].apis.public.HistoryScan.__module__)
"""
    assert run_python(program).splitlines() == ["[]", "[]", "histscan.installing.scans"]


MISSING = {
    "no wandb": "sys.modules['wandb'] = None",
    # A folder named wandb, with recorded runs, beside the script.
    "a folder of runs": """
wandb = types.ModuleType("wandb")
wandb.__path__ = []
wandb.__spec__ = importlib.machinery.ModuleSpec("wandb", None, is_package=True)
sys.modules["wandb"] = wandb
""",
}


@pytest.mark.parametrize("setting", MISSING.values(), ids=MISSING)
def test_error_without_wandb(setting: str) -> None:
    program = f"""
import importlib.machinery, sys, types
{setting}
import histscan
histscan.uninstall()
for attempt in (histscan.install, lambda: histscan.installed().__enter__()):
    try:
        attempt()
    except ImportError as error:
        print(type(error).__name__, isinstance(error, histscan.InstallError), str(error)[:46])
"""
    expected = "WandbMissingError True wandb is not installed in this environment: pi"
    assert run_python(program).splitlines() == [expected] * 2


def test_scans_beyond_the_last_step_request_it_once() -> None:
    """`Run.beta_scan_history` passes any `max_step` on; wandb's class stops at the first page without rows."""
    service = FakeService(service_rows(BACKEND.rows))
    asked: list[int] = []

    class Run(SimpleNamespace):
        @property
        def lastHistoryStep(self) -> int:
            asked.append(1)
            return 49

    run = Run(entity=RUN.entity, project=RUN.project, id=RUN.id)
    with installed(prefetch=0):
        scan = service_scan(service_api=service, run=run, max_step=10**9, page_size=20)
    for times in (1, 2):
        assert len(list(scan)) == 50
        assert len(asked) == times
    assert len(service.windows) == 8
