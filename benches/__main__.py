"""Benchmark histscan against other tools, and print a table of times, ratios and peak memory."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benches.apart import can_measure_memory
from benches.axes import main as measure_axes
from benches.case import FULL, QUICK, Scale
from benches.cases import CASES
from benches.end_to_end import END_TO_END, end_to_end_as_json, format_end_to_end, measure_end_to_end
from benches.large_logs import LARGE_LOGS
from benches.large_logs import main as measure_large_logs
from benches.limits import LIMITS
from benches.limits import main as measure_limits
from benches.memory import peak_memory
from benches.mirrors import MIRRORS, format_mirrors, measure_mirror
from benches.outcome import CaseOutcome, StreamOutcome, as_json
from benches.projects import PROJECTS, format_projects, measure_project
from benches.report import REPORT
from benches.report import main as write_report
from benches.serve import SERVE
from benches.serve import main as measure_serve
from benches.shapes.encodings import ENCODINGS
from benches.shapes.matrix import MATRIX, ShapeOutcome, format_matrix, measure_shapes
from benches.shapes.rows import SHAPES
from benches.small_runs import SMALL_RUNS, format_small_runs, measure_small_runs
from benches.streaming import STREAMS, watch_stream
from benches.table import format_table

_ROOT = Path(__file__).resolve().parent.parent

_AXES = "axes"
_ALL_END_TO_END = "end-to-end"
_ALL_SMALL_RUNS = "small-runs"
_ALL_PROJECTS = "projects"
_ROUNDS_END_TO_END = 3
_ROUNDS_SMALL_RUNS = 5
_ROUNDS_PROJECTS = 3


class _TimingError(Exception):
    """The timings failed; pytest has printed the reason."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks.

    Args:
        arguments: The command line; None for that of the process.

    Returns:
        The exit code: 0, even if a ratio is below its floor; 1 if a benchmark failed or rows differed.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] == REPORT:
        return write_report(arguments[1:], lambda numbers: main(["--json", str(numbers)]))
    if arguments and arguments[0] == _AXES:
        return measure_axes(arguments[1:])
    if arguments and arguments[0] == LARGE_LOGS:
        return measure_large_logs(arguments[1:])
    if arguments and arguments[0] == LIMITS:
        return measure_limits(arguments[1:])
    if arguments and arguments[0] == SERVE:
        return measure_serve(arguments[1:])
    options = _parser().parse_args(arguments)
    if options.json is not None:
        # A place that cannot be written to is an error before minutes of work, not after.
        options.json.open("a", encoding="utf-8").close()
    scale = QUICK if options.quick else FULL
    chosen = options.case or [*CASES, *STREAMS, MATRIX]
    rounds = 1 if options.quick else _ROUNDS_END_TO_END
    with_memory = not options.no_memory
    if with_memory and not can_measure_memory():
        _say("peak memory can't be measured on this system (no /proc/self/clear_refs): measuring only times")
        with_memory = False
    try:
        cases = _measure_cases([name for name in CASES if name in chosen], scale, with_memory=with_memory)
        shapes: list[ShapeOutcome] = []
        if MATRIX in chosen:
            shapes += measure_shapes(options.shape or list(SHAPES), options.encoding or list(ENCODINGS), scale, _say)
        streams = [_measure_stream(name, scale) for name in STREAMS if name in chosen and with_memory]
        scans = [
            measure_end_to_end(scan, rounds, _say)
            for name, scan in END_TO_END.items()
            if name in chosen or _ALL_END_TO_END in chosen
        ]
        small_runs = [
            outcome
            for name, small in SMALL_RUNS.items()
            if name in chosen or _ALL_SMALL_RUNS in chosen
            for outcome in measure_small_runs(small, 1 if options.quick else _ROUNDS_SMALL_RUNS, _say)
        ]
        projects = [
            measure_project(name, 1 if options.quick else _ROUNDS_PROJECTS, _say)
            for name in PROJECTS
            if name in chosen or _ALL_PROJECTS in chosen
        ]
        mirrors = [measure_mirror(name, _say) for name in MIRRORS if name in chosen]
    except _TimingError:
        return 1
    if cases or streams:
        print(format_table(cases, streams, scale))
    if shapes:
        print(format_matrix(shapes))
    if scans:
        print(format_end_to_end(scans))
    if small_runs:
        print(format_small_runs(small_runs))
    if projects:
        print(format_projects(projects))
    if mirrors:
        print(format_mirrors(mirrors))
    if options.json is not None:
        numbers = as_json(cases, streams) | {
            "shapes": [outcome.as_json() for outcome in shapes],
            "end_to_end": end_to_end_as_json(scans),
            "small_runs": [outcome.as_json() for outcome in small_runs],
            "projects": [outcome.as_json() for outcome in projects],
            "mirrors": [outcome.as_json() for outcome in mirrors],
        }
        options.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    return 0


def _known_name(name: str) -> str:
    if name not in {
        *CASES,
        *STREAMS,
        MATRIX,
        *END_TO_END,
        _ALL_END_TO_END,
        *SMALL_RUNS,
        _ALL_SMALL_RUNS,
        *PROJECTS,
        _ALL_PROJECTS,
        *MIRRORS,
    }:
        raise argparse.ArgumentTypeError(f"unknown case {name!r}: see --help for the names")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benches",
        description=__doc__,
        epilog=f"Cases: {', '.join([*CASES, *STREAMS, MATRIX])}. These take minutes and run only if "
        f"named: {', '.join(END_TO_END)}, or {_ALL_END_TO_END} for all of these; {', '.join(SMALL_RUNS)}, or "
        f"{_ALL_SMALL_RUNS} for all of these; {', '.join(PROJECTS)}, or {_ALL_PROJECTS} for all of these; "
        f"{', '.join(MIRRORS)}. `{_AXES}`, `{LARGE_LOGS}`, `{LIMITS}` and `{SERVE}` print tables of their own, and "
        f"`{REPORT}` writes an HTML page with charts: see `{REPORT} --help`. A ratio below its "
        "minimum is marked, and the exit code stays 0. The case `log` records its log with the wandb client on first "
        "use, which takes about a minute.",
    )
    parser.add_argument(
        "case",
        nargs="*",
        type=_known_name,
        metavar="case",
        help="what to run; see below",
    )
    parser.add_argument("--shape", action="append", choices=SHAPES, help=f"a shape of {MATRIX}; repeatable")
    parser.add_argument("--encoding", action="append", choices=ENCODINGS, help=f"an encoding of {MATRIX}; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers to a file")
    parser.add_argument("--quick", action="store_true", help="small inputs and few rounds, for a rough check")
    parser.add_argument("--no-memory", action="store_true", help="measure only times")
    return parser


def _measure_cases(names: Sequence[str], scale: Scale, *, with_memory: bool) -> list[CaseOutcome]:
    timings = _take_timings(names, scale)
    outcomes = []
    for name in names:
        case = CASES[name]
        peer_rounds, our_rounds = timings[name]
        peer_peak = our_peak = None
        if with_memory:
            _say(f"memory of {name} …")
            inputs = case.inputs(scale)
            peer_peak, our_peak = peak_memory(case, "peer", inputs), peak_memory(case, "ours", inputs)
        outcomes.append(CaseOutcome(case, peer_rounds, our_rounds, peer_peak, our_peak))
    return outcomes


def _take_timings(names: Sequence[str], scale: Scale) -> dict[str, tuple[list[float], list[float]]]:
    """Returns the times of the peer's and our rounds, in seconds, by case."""
    if not names:
        return {}
    _say(f"timing {len(names)} cases …")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "timings.json"
        command = [sys.executable, "-m", "pytest", *(f"benches/test_cases.py::test_case[{name}]" for name in names)]
        command += ["--benchmark-enable", "--benchmark-quiet", f"--benchmark-json={report}", "-q", "--no-header"]
        command += ["--quick"] if scale is QUICK else []
        # Only the table goes to standard output; pytest's output is progress.
        if subprocess.run(command, cwd=_ROOT, stdout=sys.stderr, check=False).returncode != 0:
            raise _TimingError
        benchmarks: list[dict[str, Any]] = json.loads(report.read_bytes())["benchmarks"]
    return {
        benchmark["extra_info"]["case"]: (benchmark["extra_info"]["peer_rounds"], benchmark["stats"]["data"])
        for benchmark in benchmarks
    }


def _measure_stream(name: str, scale: Scale) -> StreamOutcome:
    _say(f"streaming {scale.streamed_rows:,} rows: {name} …")
    return StreamOutcome(STREAMS[name], scale.streamed_rows, watch_stream(STREAMS[name], scale.streamed_rows))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
