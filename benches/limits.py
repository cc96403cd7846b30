"""How fast dict rows can be made at all: `marshal.loads` of the same rows, where nothing is parsed.

Python's own format has numbers as 8 bytes each, texts as UTF-8, and each key only once: what is left is to make the
dicts and their values by Python's C API, without knowing that the rows have the same keys. So a minimum ratio that
is higher than that of `marshal.loads` could only be kept by a reader that needs less time for text than Python for
rows without any. The times are those of the processor, which other work on the machine changes little.

python -m benches limits            all shapes
python -m benches limits floats     one of them
"""

from __future__ import annotations

import argparse
import json
import marshal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from benches.shapes.encodings import ENCODINGS
from benches.shapes.inputs import ShapeInputs, make_inputs
from benches.shapes.rows import SHAPES
from benches.text_table import format_cells

__all__ = ["LIMITS", "main"]

LIMITS = "limits"
"""The name on the command line."""

_ROUNDS = 31
_PEERS = ("orjson, joined", "orjson, each row", "msgspec, joined", "msgspec, each row")

Rows = Callable[[], Iterable[Any]]


def _works(inputs: ShapeInputs) -> dict[str, Rows]:
    encoding = ENCODINGS["protobuf rows"]
    # The same key in all rows is one object, so that it is written once for each page.
    pages = [
        [{sys.intern(key): value for key, value in json.loads(text).items()} for text in page] for page in inputs.texts
    ]
    packed = [marshal.dumps(page) for page in pages]
    del pages
    works: dict[str, Rows] = {
        "": lambda: encoding.ours(inputs),
        "marshal": lambda: chain.from_iterable(map(marshal.loads, packed)),
    }
    for name in _PEERS:
        works[name] = lambda name=name: encoding.peers[name](inputs)  # type: ignore[misc]
    return works


def _best_times(works: dict[str, Rows]) -> dict[str, float]:
    """Returns the seconds of the fastest quarter's slowest round of each; those that refuse the rows are left out."""
    times: dict[str, list[float]] = {}
    for name, work in works.items():
        try:
            deque(work(), maxlen=0)
            times[name] = []
        except ValueError:
            continue
    for _ in range(_ROUNDS):
        for name, found in times.items():
            started = time.process_time()
            deque(works[name](), maxlen=0)
            found.append(time.process_time() - started)
    return {name: sorted(found)[_ROUNDS // 4] for name, found in times.items()}


def main(arguments: Sequence[str]) -> int:
    """Measures the limits, and prints a table.

    Args:
        arguments: The command line after ``limits``.

    Returns:
        The exit code: 0.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benches {LIMITS}", description=__doc__.partition("\n")[0])
    parser.add_argument("shape", nargs="*", choices=[*SHAPES, []], metavar="shape", help=", ".join(SHAPES))
    options = parser.parse_args(arguments)
    lines = []
    for name in options.shape or SHAPES:
        print(f"shape {name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            inputs = make_inputs(SHAPES[name], Path(folder))
            seconds = _best_times(_works(inputs))
        ours, limit = seconds.pop(""), seconds.pop("marshal")
        cells = [f"{each / len(inputs.rows) * 1e6:,.2f}" for each in (ours, limit)]
        if not seconds:
            lines.append([name, *cells, "-", "", "", ""])
            continue
        peer = min(seconds, key=seconds.__getitem__)
        ratios = [f"{seconds[peer] / each:.2f}x" for each in (ours, limit)]
        lines.append([name, *cells, f"{seconds[peer] / len(inputs.rows) * 1e6:,.2f}", peer, *ratios])
    headings = ["rows", "histscan µs", "marshal µs", "peer µs", "fastest peer", "histscan", "marshal"]
    print("\n".join(format_cells(headings, lines, {1, 2, 3, 5, 6})))
    return 0
