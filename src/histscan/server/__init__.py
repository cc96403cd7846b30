"""A local server of run histories that speaks W&B's API; ``histscan serve`` runs it.

It serves ``.wandb`` logs and exported Parquet files to ``wandb.Api()`` and the real ``wandb-core``, which list, open
and scan runs. From the outside in: `startup` starts the process, `protocol` limits connections, `app` handles HTTP,
`reply_cache` repeats responses, `work` runs queries in threads and cancels them, `query_limits` and `query_cost` refuse
queries, `execution` and `schema` handle GraphQL, `resolvers` resolves the fields, `catalogue` finds the runs, and
`history_rows` caches their rows. All limits are in `limits`. Needs the extra ``serve``; Parquet files also need
``arrow``.
"""
