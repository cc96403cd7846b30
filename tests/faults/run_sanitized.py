"""Runs a program under LeakSanitizer or ThreadSanitizer, with the core built for it, and judges the reports.

    python -m tests.faults.run_sanitized leaks|threads BUILD -- ARGUMENTS OF PYTHON

A report with a function of the core is a finding. Any other must match a line of `leaks.supp` or `races.supp`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.paths import ROOT

__all__ = ["findings", "read_suppressions"]

CORE = re.compile(r"histscan/_core/")
BEGIN = re.compile(
    r"^(?=(?:Direct|Indirect) leak of |WARNING: ThreadSanitizer|==\d+==ERROR: (?!LeakSanitizer))", re.MULTILINE
)
# jemalloc's own threads, in pyarrow and polars, are started behind ThreadSanitizer's back.
ALLOCATORS = {
    "_RJEM_MALLOC_CONF": "background_thread:false",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
KINDS = {
    # Without frame pointers in Python, only the slow unwinder finds the core among the callers.
    "leaks": ("libasan.so", "ASAN_OPTIONS", "detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=60:exitcode=0"),
    # Python is not instrumented: libraries' accesses are left out, but all locks are seen, the GIL's too.
    "threads": (
        "libtsan.so",
        "TSAN_OPTIONS",
        "ignore_noninstrumented_modules=1:die_after_fork=0:detect_deadlocks=0:history_size=5:exitcode=0",
    ),
}


def read_suppressions(path: Path) -> list[str]:
    """Reads the patterns of a file of suppressions, each of which must have a comment before it."""
    patterns = []
    is_explained = False
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            is_explained = True
        elif not line:
            is_explained = False
        else:
            assert is_explained, f"{path}: say why before {line!r}"
            patterns.append(line.partition(":")[2])
    return patterns


def findings(text: str, suppressions: list[str]) -> tuple[list[str], int]:
    """Splits the text of reports.

    Args:
        text: What a sanitizer has written.
        suppressions: Patterns of leaks and races that are not the core's.

    Returns:
        The reports that count, and how many do not.
    """
    reports = BEGIN.split(text)[1:]
    found = [
        report for report in reports if CORE.search(report) or not any(pattern in report for pattern in suppressions)
    ]
    return found, len(reports) - len(found)


def run(kind: str, build: str, arguments: list[str], logs: Path) -> int:
    """Runs Python. Returns its exit code, or 1 if there are findings."""
    library, variable, options = KINDS[kind]
    compiler = shutil.which(os.environ.get("CXX", "g++")) or "g++"
    found = subprocess.run([compiler, f"-print-file-name={library}"], capture_output=True, text=True, check=True)
    settings = {
        "LD_PRELOAD": found.stdout.strip(),
        variable: f"{options}:log_path={logs / 'report'}",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join([os.path.abspath(build), str(ROOT)]),
        **ALLOCATORS,
    }
    # ThreadSanitizer wants the addresses of a process without randomization.
    prefix = ["setarch", "-R"] if kind == "threads" else []
    assignments = [f"{name}={value}" for name, value in settings.items()]
    program = [*prefix, "env", *assignments, sys.executable, *arguments]
    code = subprocess.run(program, check=False, cwd=ROOT).returncode
    suppressions = read_suppressions(Path(__file__).with_name("leaks.supp" if kind == "leaks" else "races.supp"))
    text = "\n".join(path.read_text(errors="replace") for path in sorted(logs.iterdir()))
    counted, left_out = findings(text, suppressions)
    for report in counted:
        sys.stdout.write(report + "\n")
    sys.stdout.write(f"{len(counted)} findings, {left_out} reports suppressed, exit code {code}\n")
    return code or bool(counted)


def main() -> int:
    kind, build = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as logs:
        return run(kind, build, sys.argv[sys.argv.index("--") + 1 :], Path(logs))


if __name__ == "__main__":
    sys.exit(main())
