"""``Run.scan_history`` of wandb, with one request for what it makes two for: the last step and the first page.

wandb's method requests the run's last step before it creates a scan, and the scan then requests its first page. Most
runs are small, so that these are all the requests of a scan. If the run, as wandb's object describes it, has no more
rows than a page, the method that replaces wandb's requests both together. In any other case, it calls wandb's.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan.api.names import RunName
from histscan.api.scan_start import ScanStart, plan_first_page, start_with_page
from histscan.api.scans import StartsWithPage
from histscan.errors import HistoryError
from histscan.installing.exports import ReadsExports
from histscan.paging.windows import Window
from histscan.sources.graphql import is_refusal
from histscan.sources.wandb_client import is_unmodified

if TYPE_CHECKING:
    from typing import TypeGuard

__all__ = ["find_scan_history", "make_scan_history"]

ScanHistory = Callable[..., Iterator[dict[str, Any]]]

_PARAMETERS = {"self": inspect.Parameter.empty, "keys": None, "page_size": 1_000, "min_step": None, "max_step": None}

# Arguments for a run whose last step is 9, and the steps from and before which wandb's method then scans.
_LAST_STEP = 9
_KNOWN_STEPS = (
    ((None, None), (0, 10)),
    ((3, None), (3, 10)),
    ((2, 9), (2, 9)),
    ((2, 10), (2, 10)),
    ((5, 50), (5, 10)),
    ((50, None), (50, 10)),
)


def find_scan_history(run_class: type) -> ScanHistory | None:
    """Finds the ``scan_history`` of a release, if it works in the way that `make_scan_history` knows.

    The method and ``lastHistoryStep``, which it uses, are called with objects that send no requests. wandb's own scan
    classes must be in place.

    Args:
        run_class: wandb's class of runs.

    Returns:
        The method; None if it works in another way, or was replaced.
    """
    method = vars(run_class).get("scan_history")
    if not inspect.isfunction(method) or inspect.unwrap(method).__module__ != run_class.__module__:
        return None
    found = inspect.signature(method).parameters.values()
    if {parameter.name: parameter.default for parameter in found} != _PARAMETERS:
        return None
    try:
        is_known = _reads_last_step(run_class) and _creates_known_scans(method)
    except Exception:
        # Whatever it needs that the objects do not have: it is another method.
        return None
    return method if is_known else None


def _reads_last_step(run_class: type) -> bool:
    """Returns True if ``lastHistoryStep`` is read from the answer to one request."""
    requests: list[object] = []

    def execute(query: object) -> Any:
        requests.append(query)
        return {"project": {"run": {"historyKeys": {"lastStep": _LAST_STEP}}}}

    found = vars(run_class)["lastHistoryStep"].fget(SimpleNamespace(_exec=execute))
    return bool(found == _LAST_STEP and len(requests) == 1)


def _creates_known_scans(method: ScanHistory) -> bool:
    """Returns True if the method creates its scans with the steps that `_steps` returns."""
    from wandb.apis import public

    client = object()
    run = SimpleNamespace(entity="", project="", id="", client=client, lastHistoryStep=_LAST_STEP)
    for keys, scan_class in ((None, public.HistoryScan), (["loss"], public.SampledHistoryScan)):
        for (min_step, max_step), steps in _KNOWN_STEPS:
            scan: Any = method(run, keys, 7, min_step, max_step)
            values = vars(scan)
            # Until 0.25.1, `max_step` is the attribute with the step to stop at.
            found = values["min_step"], values.get("_stop_step", values.get("max_step"))
            if type(scan) is not scan_class or found != steps or _steps(min_step, max_step, _LAST_STEP) != steps:
                return False
            if (scan.run, scan.client, scan.page_size) != (run, client, 7) or values.get("keys") != keys:
                return False
    return True


class _Call(NamedTuple):
    """The arguments of a call of ``scan_history``."""

    run: Any
    keys: Any = None
    page_size: Any = 1_000
    min_step: Any = None
    max_step: Any = None

    def scan_class(self) -> Any:
        """Returns what stands in the place of the class that wandb's method would create."""
        from wandb.apis import public

        return public.HistoryScan if self.keys is None else public.SampledHistoryScan

    def plan(self, scan_class: type[StartsWithPage]) -> Window | None:
        """Plans the page to request; returns None if there is none, or if only wandb knows what the arguments mean."""
        keys, page_size, max_step = self.keys, self.page_size, self.max_step
        first = 0 if self.min_step is None else self.min_step
        if (
            not _is_int(page_size)
            or page_size < 1
            or not _is_int(first)
            or not (max_step is None or _is_int(max_step))
            or not (keys is None or (isinstance(keys, list) and keys and all(isinstance(key, str) for key in keys)))
        ):
            return None
        row_count = getattr(self.run, "historyLineCount", None)
        if not _is_int(row_count):
            return None
        return plan_first_page(first, max_step, page_size, row_count, may_widen=scan_class.paging.window == "adaptive")

    def request(self, window: Window) -> ScanStart:
        """Requests the last step and a page."""
        name = RunName(self.run.entity, self.run.project, self.run.id)
        return start_with_page(self.run.client, name, self.keys, window, self.page_size)

    def scan_from(self, start: ScanStart, scan_class: Callable[..., StartsWithPage]) -> StartsWithPage:
        """Creates the scan, as wandb's method does."""
        first, stop_step = _steps(self.min_step, self.max_step, start.last_step)
        selected = {} if self.keys is None else {"keys": self.keys}
        scan = scan_class(
            run=self.run,
            client=self.run.client,
            page_size=self.page_size,
            min_step=first,
            max_step=stop_step,
            **selected,
        )
        if start.first_page is not None:
            scan.start_with(start.first_page)
        return scan


def make_scan_history(run_class: type, stock: ScanHistory) -> ScanHistory:
    """Makes the method that replaces ``scan_history``.

    Args:
        run_class: wandb's class of runs.
        stock: wandb's method, from `find_scan_history`.

    Returns:
        The method, with the name, the signature and the docstring of wandb's.
    """
    # Clients whose server has refused a query for both, but none for the last step.
    refused: weakref.WeakSet[Any] = weakref.WeakSet()
    members = {name: vars(run_class)[name] for name in ("lastHistoryStep", "_exec")}

    def is_known(run: Any) -> bool:
        """Returns True if the run requests its last step as wandb's runs do, through wandb's client."""
        return (
            all(getattr(type(run), name, None) is member for name, member in members.items())
            and is_unmodified(run.client)
            and run.client not in refused
        )

    @functools.wraps(stock)
    def scan_history(*arguments: Any, **options: Any) -> Iterator[dict[str, Any]]:
        is_refused = False
        try:
            call = _Call(*arguments, **options)
        except TypeError:
            # wandb's method raises its own error.
            return stock(*arguments, **options)
        scan_class = call.scan_class()
        window = call.plan(scan_class) if _reads_pages(scan_class) and is_known(call.run) else None
        if window is not None:
            try:
                start = call.request(window)
            except Exception as error:
                if _is_unreachable(error):
                    raise
                # wandb's own requests follow: for the last step now, and for the page when the scan needs it. So the
                # error is raised where wandb raises it, if it persists.
                is_refused = is_refusal(error) and not isinstance(getattr(error, "exc", None), HistoryError)
            else:
                return call.scan_from(start, scan_class)
        scan = stock(*call)
        if is_refused:
            refused.add(call.run.client)
        return scan

    return scan_history


def _reads_pages(scan_class: Any) -> bool:
    """Returns True if new scans of a class, found in wandb's module, are ours, and begin with a page of GraphQL."""
    return (
        isinstance(scan_class, type)
        and issubclass(scan_class, StartsWithPage)
        and issubclass(scan_class, ReadsExports)
        and scan_class.source != "parquet"
        # With a deadline, the scan itself must fetch each page.
        and scan_class.paging.deadline is None
    )


def _steps(min_step: int | None, max_step: int | None, last_step: int) -> tuple[int, int]:
    """Returns the steps from which and before which wandb's method scans."""
    stop_step = last_step + 1
    return 0 if min_step is None else min_step, stop_step if max_step is None else min(max_step, stop_step)


def _is_int(value: object) -> TypeGuard[int]:
    # Numbers of NumPy, bools and fractions are left to wandb's method.
    return type(value) is int


def _is_unreachable(error: Exception) -> bool:
    """Returns True if there is no connection, so that another request would only wait as long again."""
    import requests

    return isinstance(getattr(error, "exc", None), requests.ConnectionError)
