"""All targets, by name."""

from __future__ import annotations

import importlib
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CORPUS",
    "FINDINGS",
    "FOLDER",
    "HEADER_TARGETS",
    "ORACLE_TARGETS",
    "OracleTarget",
    "oracle_of",
    "pack_corpus",
    "unpack_corpus",
]

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus"
"""Inputs, in an archive for each target: together they reach all that was reached."""

FINDINGS = FOLDER / "findings"
"""Inputs that failed once, in a folder for each target."""


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


def unpack_corpus(name: str, folder: Path) -> list[Path]:
    """Unpacks the stored inputs of a target.

    Args:
        name: The target.
        folder: Where to; made if it does not exist.

    Returns:
        The files; none for a new target.
    """
    folder.mkdir(parents=True, exist_ok=True)
    packed = _packed(name)
    if not packed.exists():
        return []
    paths = []
    with tarfile.open(packed) as inputs:
        for member in inputs:
            content = inputs.extractfile(member)
            assert content is not None
            paths.append(folder / Path(member.name).name)
            paths[-1].write_bytes(content.read())
    return paths


def pack_corpus(name: str, folder: Path) -> None:
    """Stores the inputs of a target. The same inputs give the same bytes.

    Args:
        name: The target.
        folder: Has the inputs.
    """
    CORPUS.mkdir(exist_ok=True)
    with tarfile.open(_packed(name), "w:xz") as inputs:
        for number, path in enumerate(sorted(folder.iterdir())):
            # Without a time and an owner.
            member = tarfile.TarInfo(f"{number:04}")
            member.size = path.stat().st_size
            with path.open("rb") as content:
                inputs.addfile(member, content)


def _packed(name: str) -> Path:
    return CORPUS / f"{name}.tar.xz"
