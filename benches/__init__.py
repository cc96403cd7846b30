"""Measurements side by side: histscan against what people use today, in time and in memory.

`python -m benches` prints the table; `pytest benches --benchmark-enable` runs the timings alone. A measurement is a
`Case`, listed in `benches.cases`: what goes in, the peer, ours, and by how much ours must be faster. Adding one is
adding an entry to the module of its subject.
"""
