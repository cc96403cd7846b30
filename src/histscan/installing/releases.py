"""Selects the classes that replace those of the installed wandb, by inspecting it.

Version numbers are not used. The constructors select our classes; then everything else that these rely on is checked:
the members of the replaced classes, the code that creates scans, and the service's messages. A release that differs in
any of these is rejected, so that scans only ever run on tested combinations.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from histscan.errors import InstallError, WandbMissingError
from histscan.history import BetaHistoryScan
from histscan.installing import scans
from histscan.installing.exports import ReadsExports
from histscan.installing.messages import find_difference

__all__ = ["Places", "check_exports", "describe", "find_places", "find_run_class", "find_stand_ins", "load_wandb"]

# Module and attribute name, and the class at that place.
Places = Mapping[tuple[ModuleType, str], type]

_HISTORY = "wandb.apis.public.history"

_FAMILIES: tuple[Mapping[str, type[ReadsExports]], ...] = (
    {  # until 0.23.0
        "HistoryScan": scans.ExclusiveGraphQLScan,
        "SampledHistoryScan": scans.ExclusiveSampledScan,
    },
    {  # 0.23.1 to 0.25.0
        "HistoryScan": scans.ExclusiveGraphQLScan,
        "SampledHistoryScan": scans.ExclusiveSampledScan,
        "BetaHistoryScan": scans.ApiScan,
    },
    {  # 0.25.1
        "HistoryScan": scans.ExclusiveGraphQLScan,
        "SampledHistoryScan": scans.ExclusiveSampledScan,
        "BetaHistoryScan": scans.ExclusiveServiceScan,
    },
    {  # 0.26.0 and 0.26.1
        "HistoryScan": scans.GraphQLScan,
        "SampledHistoryScan": scans.SampledScan,
        "BetaHistoryScan": scans.ServiceScan,
    },
    {  # 0.27.0
        "HistoryScan": scans.ServiceGraphQLScan,
        "SampledHistoryScan": scans.ServiceSampledScan,
        "BetaHistoryScan": scans.KeywordBetaScan,
    },
    {  # since 0.27.1
        "HistoryScan": scans.KeywordServiceScan,
    },
)

_NAMES = frozenset(name for family in _FAMILIES for name in family)


class _DifferenceError(Exception):
    """The release differs from all known releases; the message says how."""


def load_wandb() -> None:
    """Imports wandb. Callers must not hold a lock: another thread that imports wandb may be waiting for it.

    Raises:
        WandbMissingError: wandb is not installed.
        InstallError: The installed wandb has no module ``wandb.apis.public.history``.
    """
    _wandb_module(_HISTORY)


def find_places() -> Places:
    """Finds wandb's classes in all modules where code looks them up.

    Returns:
        The classes in ``wandb.apis.public``, where wandb itself looks them up, and in the module that defines them.

    Raises:
        WandbMissingError: wandb is not installed.
        InstallError: The classes are missing, or have been replaced.
    """
    public, history = _wandb_module("wandb.apis.public"), _wandb_module(_HISTORY)
    places = {
        (module, name): getattr(module, name)
        for name in sorted(_NAMES)
        for module in (public, history)
        if hasattr(module, name)
    }
    if not places:
        raise _refusal("it has no `HistoryScan`")
    for (module, name), found in places.items():
        if not isinstance(found, type) or (found.__module__, found.__qualname__) != (_HISTORY, name):
            raise InstallError(
                f"`{module.__name__}.{name}` was replaced by {describe(found)}: undo that replacement first"
            )
        if getattr(history, name, None) is not found:
            raise _refusal(f"`{name}` is not the same class in both modules")
        if (public, name) not in places:
            raise _refusal(f"`{name}` is not in `{public.__name__}`")
    return places


def find_stand_ins(places: Places) -> Mapping[str, type[ReadsExports]]:
    """Selects our classes for the installed release.

    Args:
        places: wandb's classes.

    Returns:
        A class for each name in `places`.

    Raises:
        InstallError: The release is unknown.
    """
    wandbs = {name: found for (_, name), found in places.items()}
    try:
        for family in _FAMILIES:
            if family.keys() == wandbs.keys() and all(_fits(family[name], wandbs[name]) for name in family):
                break
        else:
            raise _DifferenceError("; ".join(f"`{name}` takes {_shape(wandbs[name])}" for name in sorted(wandbs)))
        for name, ours in family.items():
            _check_members(ours, wandbs[name])
        _check_callers(family)
        _check_clients(family)
    except _DifferenceError as difference:
        raise _refusal(str(difference)) from None
    return family


def find_run_class() -> type:
    """Finds wandb's class of runs; `find_stand_ins` has checked that there is one."""
    run_class: type = _wandb_module("wandb.apis.public").Run
    return run_class


def check_exports(stand_ins: Iterable[type[ReadsExports]]) -> None:
    """Checks that the installed release can request the URLs of exported files.

    Args:
        stand_ins: Our classes for the release.

    Raises:
        InstallError: It can't, or not in a known way.
    """
    if not any(issubclass(ours, scans.KeywordServiceScan) for ours in stand_ins):
        # The other classes use GraphQL anyway, which `find_stand_ins` has checked.
        return
    try:
        _member("wandb.apis.public.service_api", "ServiceApi", "execute_graphql")
        found = find_difference(graphql=True)
        if found is not None:
            raise _DifferenceError(found)
    except _DifferenceError as difference:
        raise _refusal(f"it can't request exported files: {difference}") from None


def describe(thing: object) -> str:
    """Describes an object that was found in place of a class of wandb's or ours.

    Args:
        thing: The object.
    """
    if isinstance(thing, type) or inspect.isroutine(thing):
        return f"`{thing.__module__}.{thing.__qualname__}`"
    return f"a `{type(thing).__module__}.{type(thing).__qualname__}`"


def _refusal(difference: str) -> InstallError:
    import wandb

    version = getattr(wandb, "__version__", "of unknown version")
    return InstallError(
        f"install() does not support wandb {version}: {difference}. Nothing was replaced; "
        "upgrade histscan, or install an older wandb"
    )


def _wandb_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # If wandb's own import fails, show wandb's error.
        if not f"{name}.".startswith(f"{error.name}."):
            raise
    if _is_missing():
        raise WandbMissingError(
            "wandb is not installed in this environment: pip install wandb, or read runs without it: histscan.open()"
        )
    raise _refusal(f"there is no module `{name}`")


def _is_missing() -> bool:
    try:
        spec = importlib.util.find_spec("wandb")
    except ValueError:
        return False
    # A folder of runs named `wandb` can be imported as a namespace package, which has no origin.
    return spec is None or spec.origin is None


def _parameters(scan_class: type) -> list[tuple[str, Any, Any]]:
    declared = inspect.signature(scan_class).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in declared]


def _is_of_wandb(parameter: tuple[str, Any, Any]) -> bool:
    """Returns True unless the parameter is ``**paging``, which wandb's classes do not have."""
    _, kind, _ = parameter
    return kind is not inspect.Parameter.VAR_KEYWORD


def _ends_with_max_step(wandbs: type) -> bool:
    return isinstance(inspect.getattr_static(wandbs, "max_step", None), property)


def _fits(ours: type, wandbs: type) -> bool:
    taken = list(filter(_is_of_wandb, _parameters(ours)))
    return taken == _parameters(wandbs) and scans.ends_with_max_step(ours) == _ends_with_max_step(wandbs)


def _shape(wandbs: type) -> str:
    parameters = [
        parameter.replace(annotation=parameter.empty) for parameter in inspect.signature(wandbs).parameters.values()
    ]
    return f"{inspect.Signature(parameters)}{' and has max_step' if _ends_with_max_step(wandbs) else ''}"


def _check_members(ours: type, wandbs: type) -> None:
    """Checks that our class has every member of wandb's."""
    ready_made = {name for base in (object, Iterator) for name in dir(base)} | {"__orig_bases__", "__parameters__"}
    for name in sorted(vars(wandbs).keys() - ready_made - set(dir(ours))):
        raise _DifferenceError(f"`{wandbs.__name__}` has a member `{name}`")


def _check_callers(family: Mapping[str, type]) -> None:
    """Checks that wandb's runs create their scans from the names that are replaced."""
    run_class = _member("wandb.apis.public", "Run")
    made = set()
    for method in ("scan_history", "beta_scan_history"):
        code = getattr(inspect.unwrap(getattr(run_class, method, None)), "__code__", None)  # type: ignore[arg-type]
        used = {name for name in code.co_names if name.endswith("Scan")} if code is not None else set()
        if method == "scan_history" and not used:
            raise _DifferenceError("`Run.scan_history` creates no scan")
        made |= used
    if made != family.keys():
        raise _DifferenceError(f"its runs create {', '.join(sorted(made))}")


def _check_clients(family: Mapping[str, type]) -> None:
    """Checks that wandb has the functions that our classes use to send requests."""
    classes = family.values()
    asks_service = any(issubclass(ours, BetaHistoryScan) for ours in classes)
    asks_graphql_service = scans.ServiceGraphQLScan in classes
    if any(issubclass(ours, (scans.GraphQLScan, scans.ServiceGraphQLScan)) for ours in classes):
        _member("wandb.apis.normalize", "normalize_exceptions")
    if any(issubclass(ours, scans.GraphQLScan) for ours in classes):
        _member("wandb.apis.public.api", "RetryingClient", "execute")
        _member("wandb_gql", "gql")
    if scans.ApiScan in classes:
        _member("wandb.apis.public", "Api", "_send_api_request")
    elif asks_service:
        _member("wandb.apis.public.service_api", "ServiceApi", "send_api_request")
    if asks_graphql_service:
        _member("wandb.apis.public.service_api", "ServiceApi", "execute_graphql")
    if asks_service:
        difference = find_difference(graphql=asks_graphql_service)
        if difference is not None:
            raise _DifferenceError(difference)


def _member(module: str, *path: str) -> Any:
    """Returns a member of a module of wandb by its path."""
    try:
        found: Any = importlib.import_module(module)
        for name in path:
            found = getattr(found, name)
    except (ImportError, AttributeError):
        raise _DifferenceError(f"there is no `{'.'.join((module, *path))}`") from None
    return found
