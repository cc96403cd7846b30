"""Every case, in the order of the table."""

from __future__ import annotations

from typing import Any

from benches.case import Case
from benches.columns import COLUMN_CASES
from benches.decoding import DECODING_CASES
from benches.graphql import GRAPHQL_CASES
from benches.logs import LOG_CASES
from benches.parquet import PARQUET_CASES
from benches.series import SERIES_CASES
from benches.service import SERVICE_CASES

__all__ = ["CASES"]

_ALL: tuple[Case[Any], ...] = (
    *SERVICE_CASES,
    *DECODING_CASES,
    *GRAPHQL_CASES,
    *LOG_CASES,
    *PARQUET_CASES,
    *COLUMN_CASES,
    *SERIES_CASES,
)

CASES = {case.name: case for case in _ALL}
