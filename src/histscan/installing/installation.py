"""install(): wandb's own history iterators, replaced by those of histscan."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

from histscan.common.process_lock import ProcessLock
from histscan.errors import InstallError
from histscan.history import BetaHistoryScan
from histscan.installing.exports import ReadsExports
from histscan.installing.releases import (
    Places,
    check_exports,
    describe,
    find_places,
    find_stand_ins,
    load_wandb,
)
from histscan.paging.options import (
    PIPELINED_GRAPHQL,
    PIPELINED_SERVICE,
    PagingOptions,
    ProgressOption,
    WindowOption,
)
from histscan.sources.parquet import import_parquet
from histscan.sources.source_option import SourceOption, check_source

__all__ = ["install", "installed", "uninstall"]


class _ClassOptions(NamedTuple):
    """What a class of ours has its scans do.

    Attributes:
        paging: How they go through pages.
        source: Where their rows come from.
    """

    paging: PagingOptions
    source: SourceOption

    def give_to(self, scan_class: type[ReadsExports]) -> None:
        """Sets the options of a class."""
        scan_class.paging, scan_class.source = self


@dataclass(frozen=True)
class _Installation:
    """What stands where, while histscan's classes are in place.

    Attributes:
        wandbs: wandb's own classes.
        ours: The classes that replace them.
    """

    wandbs: Places
    ours: Mapping[tuple[ModuleType, str], type[ReadsExports]]

    @property
    def options(self) -> Mapping[type[ReadsExports], _ClassOptions]:
        """The options of our classes."""
        return {scan_class: _ClassOptions(scan_class.paging, scan_class.source) for scan_class in self.ours.values()}


_lock = ProcessLock()
_installation: _Installation | None = None
_is_wanted = False  # install() was called last, not uninstall()
_blocks = 0  # how many `with installed()` are running


def install(
    *,
    prefetch: int | None = None,
    window: WindowOption | None = None,
    deadline: float | None = None,
    progress: ProgressOption | None = None,
    source: SourceOption = "pages",
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
        source: ``"pages"`` of rows, as wandb's classes ask for them. ``"parquet"`` reads the files that the server has
            exported a run's history to, which is faster, and asks for pages of what is in none of them, or of all if
            there are none. Rows are then as `histscan.ParquetRun` has them: whole numbers of columns of floats stay
            floats, what has no value is absent instead of None, and rows of ``keys=`` are those that have all of them,
            whichever way the release reads history. ``"auto"`` does so where nothing stands in the way, and reads pages
            else, and where the history fits one or two of them. Files are fetched without an API key, and kept as
            `histscan.Api` keeps them.

    Raises:
        WandbMissingError: wandb is not installed; also an ``ImportError``.
        ImportError: `source` is ``"parquet"``, and pyarrow is not installed.
        InstallError: The installed release is not like any that is known, or something else has replaced its classes.
            Nothing was changed.
        ValueError: An option is out of its range.
    """
    global _is_wanted
    options = _Options(prefetch, window, deadline, progress, source)
    load_wandb()
    with _lock:
        _put_in_place(options)
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
    source: SourceOption = "pages",
) -> Iterator[None]:
    """Has histscan's classes in place while a block runs; what was there before it is there after it.

    Blocks may be nested, and may overlap in several threads: all threads see the same classes, until the last ends.

    Args:
        prefetch: As for `install`, and so the others.
        window: As for `install`.
        deadline: As for `install`.
        progress: As for `install`.
        source: As for `install`.

    Yields:
        Nothing.

    Raises:
        ImportError: As `install`.
        WandbMissingError: As `install`.
        InstallError: As `install`; at the end of the block as `uninstall`.
        ValueError: As `install`.
    """
    global _blocks
    options = _Options(prefetch, window, deadline, progress, source)
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
    """The options of install(), for whichever classes there will be."""

    def __init__(
        self,
        prefetch: int | None,
        window: WindowOption | None,
        deadline: float | None,
        progress: ProgressOption | None,
        source: SourceOption,
    ) -> None:
        self._graphql = PIPELINED_GRAPHQL.but(prefetch, window, deadline, progress)
        self._service = PIPELINED_SERVICE.but(prefetch, window or "fixed", deadline, progress)
        self._source = check_source(source)
        if source == "parquet":
            import_parquet()

    def set(self, installation: _Installation) -> None:
        """Sets the options of our classes."""
        classes = set(installation.ours.values())
        if self._source == "parquet":
            check_exports(classes)
        for scan_class in classes:
            paging = self._service if issubclass(scan_class, BetaHistoryScan) else self._graphql
            _ClassOptions(paging, self._source).give_to(scan_class)


def _put_in_place(options: _Options) -> None:
    global _installation
    if _installation is None:
        wandbs = find_places()
        stand_ins = find_stand_ins(wandbs)
        found = _Installation(wandbs, {(module, name): stand_ins[name] for module, name in wandbs})
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
