"""Measurements side by side: histscan against what people use today, in time and in memory.

`python -m benches` prints the table; `pytest benches --benchmark-enable` runs the timings alone. A measurement is a
`Case`, listed in `benches.cases`: what goes in, the peer, ours, and by how much ours must be faster. Adding one is
adding an entry to the module of its subject.
"""

from __future__ import annotations

import os

# polars reads it when it is imported. Where one side of a comparison has one thread, so has the other.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
