"""A local server of run histories that speaks W&B's API; ``histscan serve`` runs it.

It answers from ``.wandb`` logs and exported Parquet files what ``wandb.Api()`` and the real ``wandb-core`` ask when
they list, open and scan runs. From the outside in: `startup` makes the process, `app` the HTTP, `execution` and
`schema` the GraphQL, `resolvers` the answers, `catalogue` which runs there are, and `history_rows` what is kept of
each. Needs the extra ``serve``; Parquet files also need ``arrow``.
"""
