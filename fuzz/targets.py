"""All targets, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CORPUS", "FINDINGS", "FOLDER", "HEADER_TARGETS", "ORACLE_TARGETS", "OracleTarget", "oracle_of"]

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus"
"""Inputs, in a folder for each target: together they reach all that was reached."""

FINDINGS = FOLDER / "findings"
"""Inputs that failed once, likewise."""


@dataclass(frozen=True)
class OracleTarget:
    """A target in Python: a module of `fuzz.oracles` with a function `check`, for the core built with clang.

    Attributes:
        module: The module.
        longest: Bytes that an input may have.
        repair: The module has a function `repair`, which is applied to most mutated inputs.
    """

    module: str
    longest: int = 2_048
    repair: bool = False


ORACLE_TARGETS = {
    "texts": OracleTarget("texts"),
    "graphql": OracleTarget("graphql_bodies", longest=16_000),
    "protobuf": OracleTarget("protobuf_pages"),
    "logs": OracleTarget("logs", longest=40_000, repair=True),
    "histories": OracleTarget("histories"),
    "updates": OracleTarget("updates"),
    "selections": OracleTarget("selections", longest=600),
    "columns": OracleTarget("columns", longest=600),
    "arrow": OracleTarget("arrow_tables"),
}

HEADER_TARGETS = {path.stem: path for path in sorted((FOLDER / "headers").glob("*.cc")) if path.stem != "replay"}
"""Targets in C++ over the core's headers, with their sources."""


def oracle_of(name: str) -> Callable[[bytes], None]:
    """Imports the oracle of a target in Python.

    Args:
        name: The target.

    Returns:
        Its function, which raises AssertionError if the core is wrong.
    """
    check: Callable[[bytes], None] = importlib.import_module(f"fuzz.oracles.{ORACLE_TARGETS[name].module}").check
    return check
