"""Many runs as one: collections of runs, their tables and frames.

`runs` has the contract of collections, `local_runs` the runs in files; `reading` reads their pages, several runs at
once, and `run_frames` makes tables of them.
"""
