"""Mirrors: folders with the histories of many runs as Parquet files, which later calls bring up to date.

`state` knows what a mirror has, `names` how its files are called, and `lock` lets one process write at a time.
`update` brings a mirror up to date: `run_task` reads a run, `layouts` chooses the types of its columns, and
`history_file` writes them. `mirrored_runs` reads a mirror.
"""
