"""``python -m fuzz``: runs targets, and keeps their corpora small (README.md)."""

from __future__ import annotations

import argparse
import sys

from fuzz.builds import ROOT, BuildError
from fuzz.campaign import minimise, replay, run_targets, table_of
from fuzz.targets import HEADER_TARGETS, ORACLE_TARGETS

_ALL = [*HEADER_TARGETS, *ORACLE_TARGETS]


def main() -> int:
    """Does what the arguments ask for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run targets, and print what they did")
    run.add_argument("--seconds", type=int, default=60, help="seconds for each target (default: %(default)s)")
    run.add_argument("--jobs", type=int, default=2, help="targets that run at a time (default: %(default)s)")
    smaller = commands.add_parser("minimise", help="replace the stored corpora by the fewest inputs")
    reached = commands.add_parser("coverage", help="say which lines of the core the stored corpora do not reach")
    reached.add_argument("--tests", nargs="*", default=[], metavar="PATH", help="tests that are counted, too")
    for command in (run, smaller, reached):
        command.add_argument("targets", nargs="*", metavar="TARGET", help=f"one of {', '.join(_ALL)} (default: all)")
    again = commands.add_parser("replay", help="run a target on one input, under the sanitizers")
    again.add_argument("targets", nargs=1, metavar="TARGET", help="the target")
    again.add_argument("input", help="the path of the input")
    arguments = parser.parse_args()
    names = arguments.targets or _ALL
    if unknown := [name for name in names if name not in _ALL]:
        parser.error(f"there is no target {unknown[0]!r}; there are {', '.join(_ALL)}")
    try:
        if arguments.command == "minimise":
            minimise(names)
            return 0
        if arguments.command == "replay":
            return replay(names[0], arguments.input)
        if arguments.command == "coverage":
            # Imported here because it loads the core, which needs the environment of a target if it has sanitizers.
            from fuzz.coverage import coverage_of_inputs, coverage_of_tests, report_of
            from fuzz.reasons import UNREACHED, compare, missed_items, read_reasons

            inputs = coverage_of_inputs(names)
            print(report_of(inputs, coverage_of_tests(arguments.tests) if arguments.tests else None))
            if arguments.targets:
                return 0
            differences = [*compare(missed_items(inputs, ROOT), read_reasons(UNREACHED.read_text()))]
            print(
                "\nfuzz/UNREACHED.md differs in:"
                if differences
                else "\nfuzz/UNREACHED.md has all of it, and nothing else"
            )
            print("\n".join(differences))
            return 1 if differences else 0
        results = run_targets(names, arguments.seconds, arguments.jobs)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    print(table_of(results))
    return 1 if any(result.finding is not None for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
