"""install(): wandb's own history iterators, replaced by those of histscan."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

from histscan.errors import InstallError
from histscan.history import BetaHistoryScan
from histscan.installing.releases import Places, describe, find_places, find_stand_ins, load_wandb
from histscan.paging.options import (
    PIPELINED_GRAPHQL,
    PIPELINED_SERVICE,
    PagingOptions,
    ProgressOption,
    WindowOption,
)
from histscan.paging.paged_scan import PagedScan

__all__ = ["install", "installed", "uninstall"]


@dataclass(frozen=True)
class _Installation:
    """What stands where, while histscan's classes are in place.

    Attributes:
        wandbs: wandb's own classes.
        ours: The classes that replace them.
    """

    wandbs: Places
    ours: Mapping[tuple[ModuleType, str], type[PagedScan]]

    @property
    def paging(self) -> Mapping[type[PagedScan], PagingOptions]:
        """The options of our classes."""
        return {scan_class: scan_class.paging for scan_class in self.ours.values()}


_lock = threading.RLock()
_installation: _Installation | None = None
_is_wanted = False  # install() was called last, not uninstall()
_blocks = 0  # how many `with installed()` are running


def install(
    *,
    prefetch: int | None = None,
    window: WindowOption | None = None,
    deadline: float | None = None,
    progress: ProgressOption | None = None,
) -> None:
    """Has the wandb client scan history with histscan: ``run.scan_history()`` and its like, in unchanged scripts.

    Replaces ``HistoryScan``, ``SampledHistoryScan`` and ``BetaHistoryScan``, as far as the installed release has them,
    in ``wandb.apis.public`` and ``wandb.apis.public.history``. Constructors and attributes stay those of that release;
    scans that exist already go on as they are. Imports wandb if nobody has. To be called again only for other options,
    which hold for the scans made from then on.

    Args:
        prefetch: Pages fetched ahead while rows are being taken. Default: 8 through GraphQL, 1 through a wandb service.
            Always 0 through the services of wandb before 0.26.0, which can't go back to steps they have read past.
        window: ``"adaptive"`` asks for more steps at a time where rows are few, ``"fixed"`` for as many as the script
            says, always. The rows of a finished run are the same. Default: ``"adaptive"`` through GraphQL, ``"fixed"``
            through a wandb service, which gives some rows twice while the export of a run is behind: which ones depends
            on the windows.
        deadline: Seconds that the script may be kept waiting for one page, with all retries. Default: any time.
        progress: True for a progress bar on a terminal, or a function to be called with a `ScanProgress` for each page.

    Raises:
        WandbMissingError: wandb is not installed; also an ``ImportError``.
        InstallError: The installed release is not like any that is known, or something else has replaced its classes.
            Nothing was changed.
        ValueError: An option is out of its range.
    """
    global _is_wanted
    paging = _Paging(prefetch, window, deadline, progress)
    load_wandb()
    with _lock:
        _put_in_place(paging)
        _is_wanted = True


def uninstall() -> None:
    """Puts wandb's own classes back, exactly as they were. Scans that exist already go on as they are.

    Within ``with installed():`` they are put back when the block ends. Without an install() before, does nothing.

    Raises:
        InstallError: Something else has replaced the classes since. Nothing was changed.
    """
    global _is_wanted
    with _lock:
        if not _blocks:
            _put_back()
        _is_wanted = False


@contextlib.contextmanager
def installed(
    *,
    prefetch: int | None = None,
    window: WindowOption | None = None,
    deadline: float | None = None,
    progress: ProgressOption | None = None,
) -> Iterator[None]:
    """Has histscan's classes in place while a block runs; what was there before it is there after it.

    Blocks may be nested, and may overlap in several threads: all threads see the same classes, until the last ends.

    Args:
        prefetch: As for `install`, and so the others.
        window: As for `install`.
        deadline: As for `install`.
        progress: As for `install`.

    Yields:
        Nothing.

    Raises:
        WandbMissingError: As `install`.
        InstallError: As `install`; at the end of the block as `uninstall`.
        ValueError: As `install`.
    """
    global _blocks
    paging = _Paging(prefetch, window, deadline, progress)
    load_wandb()
    with _lock:
        before = {} if _installation is None else _installation.paging
        _put_in_place(paging)
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if not _blocks and not _is_wanted:
                _put_back()
            else:
                for scan_class, options in before.items():
                    scan_class.paging = options


class _Paging:
    """The options of install(), for whichever classes there will be."""

    def __init__(
        self,
        prefetch: int | None,
        window: WindowOption | None,
        deadline: float | None,
        progress: ProgressOption | None,
    ) -> None:
        self._graphql = PIPELINED_GRAPHQL.but(prefetch, window, deadline, progress)
        self._service = PIPELINED_SERVICE.but(prefetch, window or "fixed", deadline, progress)

    def of(self, scan_class: type) -> PagingOptions:
        return self._service if issubclass(scan_class, BetaHistoryScan) else self._graphql


def _put_in_place(paging: _Paging) -> None:
    global _installation
    if _installation is None:
        wandbs = find_places()
        stand_ins = find_stand_ins(wandbs)
        found = _Installation(wandbs, {(module, name): stand_ins[name] for module, name in wandbs})
        _set_paging(found, paging)
        _set(found.ours)
        _installation = found
    else:
        _check_in_place(_installation)
        _set_paging(_installation, paging)


def _set_paging(installation: _Installation, paging: _Paging) -> None:
    for scan_class in installation.ours.values():
        scan_class.paging = paging.of(scan_class)


def _put_back() -> None:
    global _installation
    if _installation is not None:
        _check_in_place(_installation)
        _set(_installation.wandbs)
        _installation = None


def _check_in_place(installation: _Installation) -> None:
    for (module, name), ours in installation.ours.items():
        found = getattr(module, name, None)
        if found is not ours:
            raise InstallError(
                f"`{module.__name__}.{name}` has been replaced since install(), by {describe(found)}: undo that first. "
                "Nothing was changed"
            )


def _set(places: Places) -> None:
    for (module, name), scan_class in places.items():
        setattr(module, name, scan_class)
