"""install() and uninstall(): replace wandb's history iterators with histscan's, and restore them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan.common.process_lock import ProcessLock
from histscan.errors import InstallError
from histscan.history import BetaHistoryScan
from histscan.installing.exports import ReadsExports
from histscan.installing.raw_responses import raw_responses
from histscan.installing.releases import (
    check_exports,
    describe,
    find_places,
    find_run_class,
    find_stand_ins,
    load_wandb,
)
from histscan.installing.scan_history import find_scan_history, make_scan_history
from histscan.paging.options import PIPELINED_GRAPHQL, PIPELINED_SERVICE, PagingOptions
from histscan.sources.parquet_reader import import_parquet
from histscan.sources.source_option import SourceOption, check_source

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from histscan.paging.options import PagingArguments

__all__ = ["install", "installed", "uninstall"]

# A module or a class, and the name of its attribute.
_Place = tuple[ModuleType | type, str]


class _ClassOptions(NamedTuple):
    """The options of one of our classes, which apply to its new scans.

    Attributes:
        paging: How scans fetch pages.
        source: Where rows come from.
    """

    paging: PagingOptions
    source: SourceOption

    def give_to(self, scan_class: type[ReadsExports]) -> None:
        """Sets these options on a class."""
        scan_class.paging, scan_class.source = self


@dataclass(frozen=True)
class _Installation:
    """What was replaced, and by what, while histscan's classes are in place.

    Attributes:
        wandbs: wandb's own classes, and its methods of runs and of the service's client if those are replaced too.
        ours: The classes and the methods that replace them.
    """

    wandbs: Mapping[_Place, Any]
    ours: Mapping[_Place, Any]

    @property
    def classes(self) -> set[type[ReadsExports]]:
        """Our classes."""
        return {ours for ours in self.ours.values() if isinstance(ours, type)}

    @property
    def options(self) -> Mapping[type[ReadsExports], _ClassOptions]:
        """The options of our classes."""
        return {scan_class: _ClassOptions(scan_class.paging, scan_class.source) for scan_class in self.classes}


_lock = ProcessLock()
_installation: _Installation | None = None
_is_wanted = False  # install() was called last, not uninstall()
_blocks = 0  # how many `with installed()` are running


def install(
    *,
    source: SourceOption = "pages",
    **paging: Unpack[PagingArguments],
) -> None:
    """Makes the wandb client scan history with histscan: ``run.scan_history()`` etc., in unchanged scripts.

    Replaces ``HistoryScan``, ``SampledHistoryScan`` and ``BetaHistoryScan``, if the installed release has them, in
    ``wandb.apis.public`` and ``wandb.apis.public.history``. Constructors and attributes stay those of that release.
    Before wandb 0.27.0, ``Run.scan_history`` is replaced too: it requests the last step and the first page together
    if the run has no more rows than a page. So such a scan has its rows in memory from the start, until they are read.
    Where scans use a wandb service, two methods of wandb's client of the service are replaced: they leave the pages of
    these scans as bytes, which saves parsing and serialising each of them, and handle all other responses as before.
    Existing scans are not changed. Imports wandb if it is not imported yet. Calling it again only changes the options
    of new scans.

    Args:
        source: Where rows come from. ``"pages"``: pages, as wandb's classes request them. ``"parquet"``: the exported
            files of a run's history, which is faster, and pages for the rows that are not in files, or for all rows if
            there are no files. Rows are then those of `histscan.ParquetRun`: whole numbers in float columns stay
            floats, missing values are left out instead of None, and rows for ``keys=`` are those that have all of the
            keys, in every release. ``"auto"``: like ``"parquet"`` if files can be read, else pages; also pages if the
            history fits two of them. Files are fetched without an API key, and cached as by `histscan.Api`.
        **paging: The paging options; see `histscan.paging.options.PagingArguments`. Defaults: ``prefetch`` is 8 through
            GraphQL and 1 through a wandb service; always 0 through the services of wandb before 0.26.0, which can't go
            back to steps that they have passed. ``window`` is ``"adaptive"`` through GraphQL and ``"fixed"`` through a
            wandb service: it returns some rows twice while the export of a run is incomplete, and the windows decide
            which ones. There is no ``deadline`` and no ``progress``.

    Raises:
        WandbMissingError: wandb is not installed; also an ``ImportError``.
        ImportError: `source` is ``"parquet"``, and pyarrow is not installed.
        InstallError: The installed release is unknown, or other code has replaced its classes. Nothing was changed.
        ValueError: An option is out of its range.
    """
    global _is_wanted
    options = _Options(source, paging)
    load_wandb()
    with _lock:
        _put_in_place(options)
        _is_wanted = True


def uninstall() -> None:
    """Restores wandb's own classes. Existing scans are not changed.

    Within ``with installed():``, the classes are restored when the block ends. Does nothing without an earlier
    install().

    Raises:
        InstallError: Other code has replaced the classes since install(). Nothing was changed.
    """
    global _is_wanted
    with _lock:
        if not _blocks:
            _put_back()
        _is_wanted = False


@contextlib.contextmanager
def installed(
    *,
    source: SourceOption = "pages",
    **paging: Unpack[PagingArguments],
) -> Iterator[None]:
    """Installs histscan's classes for a ``with`` block, and restores the previous state after it.

    Blocks may be nested, and may overlap in several threads: all threads see the same classes until the last one ends.

    Args:
        source: As for `install`.
        **paging: As for `install`.

    Yields:
        Nothing.

    Raises:
        ImportError: As `install`.
        WandbMissingError: As `install`.
        InstallError: As `install`; at the end of the block as `uninstall`.
        ValueError: As `install`.
    """
    global _blocks
    options = _Options(source, paging)
    load_wandb()
    with _lock:
        before = {} if _installation is None else _installation.options
        _put_in_place(options)
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if not _blocks and not _is_wanted:
                _put_back()
            else:
                for scan_class, earlier in before.items():
                    earlier.give_to(scan_class)


class _Options:
    """The options of install(), before it is known which classes get them."""

    def __init__(self, source: SourceOption, paging: PagingArguments) -> None:
        self._graphql = PIPELINED_GRAPHQL.replace(**paging)
        self._service = PIPELINED_SERVICE.replace(window="fixed").replace(**paging)
        self._source = check_source(source)
        if source == "parquet":
            import_parquet()

    def set(self, installation: _Installation) -> None:
        """Sets the options of our classes."""
        classes = installation.classes
        if self._source == "parquet":
            check_exports(classes)
        for scan_class in classes:
            paging = self._service if issubclass(scan_class, BetaHistoryScan) else self._graphql
            _ClassOptions(paging, self._source).give_to(scan_class)


def _put_in_place(options: _Options) -> None:
    global _installation
    if _installation is None:
        classes = find_places()
        stand_ins = find_stand_ins(classes)
        wandbs: dict[_Place, Any] = {(module, name): found for (module, name), found in classes.items()}
        ours: dict[_Place, Any] = {(module, name): stand_ins[name] for module, name in classes}
        run_class = find_run_class()
        scan_history = find_scan_history(run_class)
        if scan_history is not None:
            place = run_class, "scan_history"
            wandbs[place], ours[place] = scan_history, make_scan_history(run_class, scan_history)
        if any(issubclass(stand_in, BetaHistoryScan) for stand_in in stand_ins.values()):
            for (client, name), method in raw_responses().items():
                wandbs[client, name], ours[client, name] = vars(client)[name], method
        found = _Installation(wandbs, ours)
        options.set(found)
        _set(found.ours)
        _installation = found
    else:
        _check_in_place(_installation)
        options.set(_installation)


def _put_back() -> None:
    global _installation
    if _installation is not None:
        _check_in_place(_installation)
        _set(_installation.wandbs)
        _installation = None


def _check_in_place(installation: _Installation) -> None:
    for (owner, name), ours in installation.ours.items():
        found = getattr(owner, name, None)
        if found is not ours:
            owner_name = owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}.{owner.__qualname__}"
            raise InstallError(
                f"`{owner_name}.{name}` was replaced after install() by {describe(found)}: undo that first. "
                "Nothing was changed"
            )


def _set(places: Mapping[_Place, Any]) -> None:
    for (owner, name), value in places.items():
        setattr(owner, name, value)
