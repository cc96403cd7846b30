"""Benchmarks of histscan against other tools, in time and memory.

`python -m benches` prints the table; `pytest benches --benchmark-enable` runs only the timings. A benchmark is a
`Case`, listed in `benches.cases`: the input, the peer, our side, and the minimum ratio. To add one, add an entry to the
module of its subject.
"""

from __future__ import annotations

import os

# polars reads this at import. It makes comparisons fair: with one thread on our side, the peer also has one.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
