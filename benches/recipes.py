"""The recipes of the documentation, each against the code in its second tab: `python -m benches.recipes`.

A server on loopback, with a delay before each response, has 200 runs, of which two are large. Each pass is a new
process, in which the code runs twice, each time with an empty cache; the second time counts. Both sides alternate,
after one pass each on smaller runs, of one page each, to compare results: wandb 0.26.1 repeats the row at the boundary
of two pages if keys are given, and loses another.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benches.record_log import DEFAULT_DIRECTORY
from benches.text_table import format_cells
from tests.support.docs_blocks import PEER, Block, find_blocks
from tests.support.docs_project import LIVE_RUN, write_project, write_run
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess, serving
from tests.support.wandb_client import client_environment, leave

PAGE = ROOT / "docs" / "recipes.md"
SIDES = ("histscan", PEER)
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)
RUNS, ROWS, LARGE_ROWS = 200, 500, 20_000
CHECKED_RUNS, CHECKED_ROWS = 20, 900
LATENCY = "20ms"

_LOSSES = "sorted(float(sum(rows{})) for rows in {})"
# What each side must have in the end, by the heading's anchor: an expression, or one for each side.
RESULTS: dict[str, str | tuple[str, str]] = {
    "last-values": "frame.sort_values('name').to_numpy().tolist()",
    "seeds": (
        "curves[['config.lr', '_step', 'loss.mean', 'loss.std']].dropna().to_numpy().tolist()",
        "curves[['lr', '_step', 'mean', 'std']].dropna().to_numpy().tolist()",
    ),
    "join": "frame[['_step', 'loss', 'val/accuracy']].dropna().to_numpy().tolist()",
    "mirror": (
        "duckdb.sql(\"SELECT count(*), sum(loss) FROM 'mirror/history/*.parquet'\").fetchall()",
        "duckdb.sql(\"SELECT count(*), sum(loss) FROM 'export/*.parquet'\").fetchall()",
    ),
    "sql": "best",
    "follow": "printed",
    "system-metrics": "frame.to_numpy().tolist()",
    "patterns": "frame[['run_id', '_step', 'val/loss', 'val/accuracy']].dropna().to_numpy().tolist()",
    "histograms": "image.tolist()",
    "clusters": "best.sort_index().tolist()",
    "dataloader": _LOSSES.format("[0]", "curves"),
    "asyncio": _LOSSES.format("['loss']", "frames"),
}


@dataclass(frozen=True)
class RecipeOutcome:
    """The measurements of a recipe.

    Attributes:
        anchor: The anchor of its heading.
        heading: Its heading.
        our_seconds: The median of its passes.
        peer_seconds: The median of those of the other way.
        our_requests: HTTP requests of one pass.
        peer_requests: The same, of the other way.
    """

    anchor: str
    heading: str
    our_seconds: float
    peer_seconds: float
    our_requests: int
    peer_requests: int

    @property
    def ratio(self) -> float:
        """The time of the other way divided by that of the recipe."""
        return self.peer_seconds / self.our_seconds


def main() -> int:
    """Measures the recipes, and prints a table.

    Returns:
        The exit code: 1 if a recipe takes longer than the other way.
    """
    parser = argparse.ArgumentParser(prog="python -m benches.recipes", description=__doc__)
    parser.add_argument("recipe", nargs="*", choices=[[], *RESULTS], help="which (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="passes of each side (default: %(default)s)")
    parser.add_argument("--markdown", action="store_true", help="print the table of the documentation")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to a file")
    options = parser.parse_args()
    chosen = options.recipe or list(RESULTS)
    with serving(_written_runs(CHECKED_RUNS, CHECKED_ROWS, CHECKED_ROWS)) as server:
        for anchor in chosen:
            _compare(server.url, anchor)
    with serving(_written_runs(RUNS, ROWS, LARGE_ROWS), "--latency", LATENCY) as server:
        outcomes = [_measure(server, anchor, options.rounds) for anchor in chosen]
    print("\n".join(_markdown(outcomes) if options.markdown else _table(outcomes)))
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n")
    return int(any(outcome.ratio < 1 for outcome in outcomes))


def _compare(url: str, anchor: str) -> None:
    """Compares the results of both sides of a recipe."""
    print(f"{anchor}: comparing …", file=sys.stderr, flush=True)
    ours, peers = (
        _pass(url, anchor, side, block, with_result=True)["result"] for side, block in enumerate(_blocks_of(anchor))
    )
    if not _are_close(ours, peers):
        raise AssertionError(f"{anchor}: the results differ: {str(ours)[:300]} and {str(peers)[:300]}")


def _measure(server: ServerProcess, anchor: str, rounds: int) -> RecipeOutcome:
    """Measures both sides of a recipe."""
    blocks = _blocks_of(anchor)
    seconds: tuple[list[float], list[float]] = [], []
    requests = [0, 0]
    for number in range(rounds):
        print(f"{anchor}: round {number + 1} of {rounds} …", file=sys.stderr, flush=True)
        for side, block in enumerate(blocks):
            server.forget_traffic()
            seconds[side].append(_pass(server.url, anchor, side, block)["seconds"])
            requests[side] = sum(server.traffic()["operations"].values()) // 2
    return RecipeOutcome(anchor, blocks[0].heading, median(seconds[0]), median(seconds[1]), *requests)


def _blocks_of(anchor: str) -> tuple[Block, Block]:
    """Returns the code of both sides."""
    (heading,) = re.findall(rf"^## (.+) \{{ #{anchor} \}}$", PAGE.read_text(), re.M)
    found = {block.tab: block for block in find_blocks(PAGE) if block.heading == heading}
    return found[SIDES[0]], found[SIDES[1]]


def _pass(url: str, anchor: str, side: int, block: Block, *, with_result: bool = False) -> Any:
    with tempfile.TemporaryDirectory(prefix="histscan-recipes-") as folder:
        environment = client_environment(url, Path(folder)) | {"MPLBACKEND": "agg"}
        environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'src'}:{ROOT / 'tests' / 'docs' / 'stand_ins'}"
        wanted = RESULTS[anchor]
        result = wanted if isinstance(wanted, str) else wanted[side]
        parcel = json.dumps([block.code, result if with_result else "None"])
        command = [sys.executable, "-m", "benches.recipes", "--pass", parcel]
        finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"{anchor}, {SIDES[side]} failed:\n{finished.stdout}{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])


def _run_pass(parcel: str) -> None:
    """Runs a block, and prints its time and result; in a process of its own."""
    code, result = json.loads(parcel)
    imports = [line for line in code.splitlines() if line.startswith(("import ", "from "))]
    rest = "\n".join(line for line in code.splitlines() if line not in imports)
    names: dict[str, Any] = sys.modules["__main__"].__dict__
    exec("\n".join(["import duckdb", *imports]), names)
    compiled = compile(rest, "recipe", "exec")
    for place in ("warm-up", "timed"):
        # Modules are imported in the first pass, when they are first used. Nothing else is kept.
        os.mkdir(place)
        os.chdir(place)
        os.environ["HISTSCAN_CACHE_DIR"] = os.path.abspath("cache")
        printed = io.StringIO()
        # A collection of all imported modules would take longer than some recipes.
        gc.collect()
        gc.freeze()
        with contextlib.redirect_stdout(printed):
            started = perf_counter()
            exec(compiled, names)
            seconds = perf_counter() - started
    names["printed"] = printed.getvalue()
    print(json.dumps({"seconds": seconds, "result": eval(result, names)}, default=float))
    leave()


def _are_close(one: Any, other: Any) -> bool:
    """Returns True if values are equal, numbers up to rounding."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_are_close, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)
    return bool(one == other)


def _written_runs(runs: int, rows: int, large_rows: int) -> Path:
    """Returns the folder of logs; writes them on first use."""
    folder = DEFAULT_DIRECTORY / f"recipes-{runs}-{rows}-{large_rows}"
    if not folder.is_dir():
        print("writing logs …", file=sys.stderr, flush=True)
        unfinished = folder.with_suffix(f".{os.getpid()}")
        write_project(unfinished, RATES, runs // len(RATES), rows, 64, large={0: large_rows})
        write_run(unfinished, runs, LIVE_RUN, "live", 0.01, 9, large_rows, 64)
        unfinished.rename(folder)
    return folder


def _table(outcomes: Sequence[RecipeOutcome]) -> list[str]:
    headings = ("recipe", "histscan s", "wandb s", "ratio", "requests")
    return format_cells(headings, [(outcome.anchor, *_numbers(outcome)) for outcome in outcomes], {1, 2, 3, 4})


def _markdown(outcomes: Sequence[RecipeOutcome]) -> list[str]:
    rows = [f"| [{outcome.heading}](#{outcome.anchor}) | {' | '.join(_numbers(outcome))} |" for outcome in outcomes]
    return ["| recipe | histscan, s | wandb, s | ratio | requests |", "|---|---:|---:|---:|---:|", *rows]


def _numbers(outcome: RecipeOutcome) -> tuple[str, str, str, str]:
    requests = f"{outcome.peer_requests:,} → {outcome.our_requests:,}"
    return f"{outcome.our_seconds:.3g}", f"{outcome.peer_seconds:.3g}", f"{outcome.ratio:.2g}x", requests


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pass"]:
        _run_pass(sys.argv[2])
    sys.exit(main())
