"""install() rejects unknown releases of wandb, and classes that other code has replaced, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import wandb
from wandb.apis import public
from wandb.apis.public import history as public_history
from wandb.apis.public.service_api import ServiceApi
from wandb.proto import wandb_api_pb2

from histscan.errors import InstallError
from histscan.installing.installation import install, installed, uninstall
from tests.support.install_places import NAMES, found, is_installed


def enter_block() -> None:
    with installed():
        pass


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    uninstall()
    assert not is_installed()


def new_parameter(patch: pytest.MonkeyPatch) -> None:
    wandbs = public_history.HistoryScan.__init__

    def init(
        self: Any, client: Any, run: Any, min_step: int, max_step: int, page_size: int = 1_000, shard: int = 0
    ) -> None:
        wandbs(self, client, run, min_step, max_step, page_size)

    patch.setattr(public_history.HistoryScan, "__init__", init)


def other_default(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(public_history.SampledHistoryScan.__init__, "__defaults__", (500,))


def new_member(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(public_history.HistoryScan, "rows_left", lambda self: 0, raising=False)


def plain_max_step(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(public_history.BetaHistoryScan, "max_step")


def a_class_less(patch: pytest.MonkeyPatch) -> None:
    for module in (public, public_history):
        patch.delattr(module, "SampledHistoryScan")


def no_class(patch: pytest.MonkeyPatch) -> None:
    for module in (public, public_history):
        for name in NAMES:
            patch.delattr(module, name)


def not_in_the_package(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(public, "HistoryScan")


def two_of_a_name(patch: pytest.MonkeyPatch) -> None:
    twin = type("HistoryScan", (), {"__module__": "wandb.apis.public.history"})
    patch.setattr(public, "HistoryScan", twin)


def other_callers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(public.Run, "scan_history", lambda self, **arguments: public.StreamedScan(self, **arguments))


def callers_of_none(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(public.Run, "scan_history", lambda self, **arguments: [])


def no_service(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(ServiceApi, "send_api_request")


def no_client(patch: pytest.MonkeyPatch) -> None:
    patch.delattr("wandb.apis.public.api.RetryingClient.execute")


def renumbered_message(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wandb_api_pb2, "ScanRunHistory", wandb_api_pb2.ScanRunHistoryInit)


def no_message(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(wandb_api_pb2, "ParquetHistoryItem")


def other_envelope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wandb_api_pb2, "ApiRequest", wandb_api_pb2.ApiResponse)


UNKNOWN = [
    (new_parameter, "`HistoryScan` takes (client, run, min_step, max_step, page_size=1000, shard=0) and has max_step"),
    (other_default, "`SampledHistoryScan` takes"),
    (new_member, "`HistoryScan` has a member `rows_left`"),
    (plain_max_step, "`BetaHistoryScan` takes"),
    (a_class_less, "`BetaHistoryScan` takes"),
    (no_class, "it has no `HistoryScan`"),
    (not_in_the_package, "`HistoryScan` is not in `wandb.apis.public`"),
    (two_of_a_name, "`HistoryScan` is not the same class in both modules"),
    (other_callers, "its runs create BetaHistoryScan, StreamedScan"),
    (callers_of_none, "`Run.scan_history` creates no scan"),
    (no_service, "there is no `wandb.apis.public.service_api.ServiceApi.send_api_request`"),
    (no_client, "there is no `wandb.apis.public.api.RetryingClient.execute`"),
    (renumbered_message, "the message `ScanRunHistory` has other fields"),
    (no_message, "there is no message `ParquetHistoryItem`"),
    (other_envelope, "the message `ApiRequest` has no `read_run_history_request`"),
]


@pytest.mark.parametrize(("change", "difference"), UNKNOWN, ids=[change.__name__ for change, _ in UNKNOWN])
def test_an_unknown_release_is_rejected(monkeypatch: pytest.MonkeyPatch, change: Any, difference: str) -> None:
    with monkeypatch.context() as patch:
        change(patch)
        before = found()
        for attempt in (install, enter_block):
            with pytest.raises(InstallError) as refusal:
                attempt()
            said = str(refusal.value)
            assert said.startswith(f"install() does not support wandb {wandb.__version__}: ")
            assert difference in said
            assert "Nothing was replaced" in said
            assert found() == before
    # The failed install() does not affect a later one.
    with installed():
        assert is_installed()


# Classes that other code has replaced


class Foreign(public_history.HistoryScan):  # type: ignore[misc]
    """A class of other code in place of wandb's."""


def test_classes_replaced_before_install_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(public, "HistoryScan", Foreign)
        before = found()
        with pytest.raises(InstallError, match=r"wandb.apis.public.HistoryScan` was replaced by `.*Foreign`"):
            install()
        assert found() == before


def test_classes_replaced_after_install_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    install()
    with monkeypatch.context() as patch:
        patch.setattr(public, "HistoryScan", Foreign)
        before = found()
        for attempt in (install, uninstall, enter_block):
            with pytest.raises(InstallError, match=r"was replaced after install\(\) by `.*Foreign`.*Nothing was"):
                attempt()
            assert found() == before
    uninstall()
    assert not is_installed()
