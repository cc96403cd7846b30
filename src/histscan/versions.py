"""The releases of everything that a bug report should name, for ``histscan --version``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from histscan._core.bytes.processor import vector_instructions
from histscan._version import __version__

__all__ = ["describe_versions"]

PACKAGES = (
    "orjson",
    "protobuf",
    "gql",
    "requests",
    "numpy",
    "pyarrow",
    "pandas",
    "polars",
    "duckdb",
    "matplotlib",
    "wandb",
)


def describe_versions() -> str:
    """Lists releases, one on each line. Imports none of the packages.

    Returns:
        histscan first, then the core with its vector instructions, Python, and each package or ``not installed``.
    """
    system = f"{platform.system()} {platform.machine()}"
    facts = {
        "core": f"{vector_instructions()}, {system}",
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        **{name: _release(name) for name in PACKAGES},
    }
    width = max(map(len, facts))
    return "\n".join([f"histscan {__version__}", *(f"  {name:<{width}}  {fact}" for name, fact in facts.items())])


def _release(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
