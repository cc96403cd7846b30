"""Runs targets for some time, and counts what they did."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benches.text_table import format_cells
from fuzz.builds import WORK, environment_of, program_of
from fuzz.targets import ORACLE_TARGETS, pack_corpus, unpack_corpus

__all__ = ["Result", "make_seeds", "minimise", "replay", "run_targets", "stored_inputs", "table_of"]

_SECONDS_FOR_AN_INPUT = 60
_MEGABYTES = 4_096
_LONGEST = 4_096


@dataclass
class Result:
    """What one target did.

    Attributes:
        name: The target.
        executions: How many inputs it executed.
        bytes: The size of them all.
        edges: How many of the core's edges were reached.
        all_edges: How many there are in what the target loads.
        features: Edges with how often they were taken, and what was compared.
        seconds: How long it ran.
        finding: What failed, with the path of the input; None if nothing did.
    """

    name: str
    executions: int = 0
    bytes: int = 0
    edges: int = 0
    all_edges: int = 0
    features: int = 0
    seconds: int = 0
    finding: str | None = None


def run_targets(names: Sequence[str], seconds: int, jobs: int) -> list[Result]:
    """Runs targets, each for some time.

    Args:
        names: The targets.
        seconds: Seconds for each target.
        jobs: Targets that run at a time.

    Returns:
        What each did, in the same order.

    Raises:
        BuildError: A target cannot be built.
    """
    with ThreadPoolExecutor(jobs) as pool:
        programs = list(pool.map(program_of, names))
        return list(pool.map(lambda name, program: _run(name, program, seconds), names, programs))


def _run(name: str, program: Path, seconds: int) -> Result:
    grown, stored = corpus_of(name)
    findings = WORK / "findings" / name
    findings.mkdir(parents=True, exist_ok=True)
    options: tuple[str, ...] = (
        *(f"-max_total_time={seconds}", f"-timeout={_SECONDS_FOR_AN_INPUT}", f"-rss_limit_mb={_MEGABYTES}"),
        *(f"-artifact_prefix={findings}/", "-print_final_stats=1"),
    )
    if name not in ORACLE_TARGETS:
        options += (f"-max_len={_LONGEST}",)
    log = WORK / f"{name}.log"
    start = time.monotonic()
    with log.open("w") as output:
        ended = subprocess.run(
            [program, *options, grown, stored],
            env=environment_of(name),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    result = read_log(name, log.read_text(errors="replace"))
    result.seconds = round(time.monotonic() - start)
    if ended.returncode and result.finding is None:
        result.finding = f"ended with status {ended.returncode}"
    if result.finding is not None:
        result.finding += f"; see {log}"
    return result


def corpus_of(name: str) -> tuple[Path, Path]:
    """Returns the folder that a target's corpus grows in, which has the seeds, and one with the stored inputs."""
    grown = WORK / "corpus" / name
    make_seeds(name, grown)
    return grown, stored_inputs(name)


def stored_inputs(name: str) -> Path:
    """Returns a folder with the stored inputs of a target."""
    folder = empty_folder(WORK / "stored" / name)
    unpack_corpus(name, folder)
    return folder


def make_seeds(name: str, folder: Path) -> None:
    """Writes the first inputs of a target. They are made with the core, so that takes the environment of a target."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = environment_of(next(iter(ORACLE_TARGETS)))
    subprocess.run([sys.executable, "-m", "fuzz.seeds", name, str(folder)], env=environment, check=True)


def read_log(name: str, log: str) -> Result:
    """Reads what libFuzzer printed.

    Args:
        name: The target.
        log: The output.
    """
    result = Result(name)

    def last(pattern: str) -> int:
        found = re.findall(pattern, log)
        return int(found[-1]) if found else 0

    result.executions = last(r"stat::number_of_executed_units: (\d+)") or last(r"#(\d+)\t")
    result.bytes = last(r"fuzz: executed (\d+) bytes")
    result.edges = last(r"\bcov: (\d+)")
    result.features = last(r"\bft: (\d+)")
    result.all_edges = last(r"INFO: Loaded \d+ modules +\((\d+) inline 8-bit counters\)")
    if written := re.findall(r"Test unit written to (\S+)", log):
        reason = re.findall(r"(?:\w+(?:Error|Exception)\b.*|CHECK\(.*|SUMMARY: .*)", log)
        result.finding = f"{reason[0] if reason else 'failed'}: {written[-1]}"
    return result


def replay(name: str, path: str) -> int:
    """Runs a target on one input; returns the exit code of its process.

    Args:
        name: The target.
        path: The input.

    Raises:
        BuildError: The target cannot be built.
    """
    return subprocess.run([program_of(name), path], env=environment_of(name), check=False).returncode


def minimise(names: Sequence[str]) -> None:
    """Replaces the stored corpora of targets by the fewest short inputs that reach all that the grown ones reach.

    What the first inputs reach is left to them: they are run with the stored ones.

    Args:
        names: The targets.

    Raises:
        BuildError: A target cannot be built.
        CalledProcessError: An input fails.
    """
    for name in names:
        grown, stored = corpus_of(name)
        short, fewest = (empty_folder(WORK / kind / name) for kind in ("short", "fewest"))
        for path in (path for folder in (grown, stored) for path in folder.iterdir()):
            if path.stat().st_size <= _LONGEST:
                shutil.copy(path, short)
        # libFuzzer keeps what is in the first folder, and adds to it.
        make_seeds(name, fewest)
        seeds = [*fewest.iterdir()]
        command: list[str | Path] = [program_of(name), "-merge=1", fewest, short]
        subprocess.run(command, env=environment_of(name), check=True, capture_output=True)
        for seed in seeds:
            seed.unlink()
        pack_corpus(name, fewest)


def empty_folder(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def table_of(results: Sequence[Result]) -> str:
    """Writes results as a table.

    Args:
        results: The results.
    """
    headings = ("target", "executions", "per second", "bytes", "edges", "of", "features")
    rows = [
        (
            result.name,
            f"{result.executions:,}",
            f"{result.executions // max(result.seconds, 1):,}",
            f"{result.bytes:,}",
            f"{result.edges:,}",
            f"{result.all_edges:,}",
            f"{result.features:,}",
        )
        for result in results
    ]
    executions, size = sum(result.executions for result in results), sum(result.bytes for result in results)
    rows.append(("all", f"{executions:,}", "", f"{size:,}", "", "", ""))
    lines = format_cells(headings, rows, range(1, len(headings)))
    lines += [f"{result.name}: {result.finding}" for result in results if result.finding is not None]
    return "\n".join(lines)
