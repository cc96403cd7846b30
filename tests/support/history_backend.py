"""A history server's answers, made in memory: what a GraphQL backend returns for the two history operations.

It stands behind an in-memory client and behind the loopback HTTP server alike, so that a scan can be compared over
both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunName:
    """A run with the attributes that scans need."""

    entity: str = "team"
    project: str = "vision"
    id: str = "a1b2c3d4"


RUN = RunName()


def training_rows(steps: Iterable[int]) -> list[dict[str, Any]]:
    """Rows of a small training run; `accuracy` is logged at every third step only."""
    return [
        {
            "loss": 1.0 / (step + 1) if step % 7 else float("nan"),
            "_runtime": step * 0.25,
            **({"accuracy": step / 1000} if step % 3 == 0 else {}),
            "epoch": step // 10,
            "note": f"step {step} ✓",
            "_step": step,
        }
        for step in steps
    ]


# The fields of the run that each operation requests.
_FIELDS = {
    "HistoryPage": ("history",),
    "SampledHistoryPage": ("sampledHistory",),
    "RunHistoryKeys": ("historyKeys",),
    "FirstPage": ("historyKeys", "history"),
    "FirstPageOfKeys": ("historyKeys", "sampledHistory"),
}


class HistoryBackend:
    """Answers the history operations for one run, and those for its last step.

    Args:
        rows: The run's rows, each with `_step`.
        run: The run's name; questions about another get null.
        inclusive: Whether `sampledHistory` takes `maxStep` as inclusive, as W&B's own backend does.
        row_texts: The JSON texts of `history` to give instead of those of `rows`, by step.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        run: RunName = RUN,
        inclusive: bool = True,
        row_texts: Mapping[int, str] | None = None,
    ) -> None:
        self.rows = sorted((dict(row) for row in rows), key=lambda row: row["_step"])
        self.run = run
        self.inclusive = inclusive
        self.row_texts = {row["_step"]: json.dumps(row) for row in self.rows} | dict(row_texts or {})

    def answer(self, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the `data` of the answer."""
        if (variables["entity"], variables["project"]) != (self.run.entity, self.run.project):
            return {"project": None}
        # wandb's own request for the last step has another name for the run.
        if variables.get("run", variables.get("name")) != self.run.id:
            return {"project": {"run": None}}
        return {"project": {"run": {field: self._field(field, variables) for field in _FIELDS[operation]}}}

    def _field(self, name: str, variables: Mapping[str, Any]) -> Any:
        if name == "historyKeys":
            return {"lastStep": self.rows[-1]["_step"], "keys": {}} if self.rows else None
        if name == "history":
            return self._history(variables)
        return [self._sampled_history(json.loads(variables["spec"]))]

    def _history(self, variables: Mapping[str, Any]) -> list[str]:
        within = [step for step in self.row_texts if variables["minStep"] <= step < variables["maxStep"]]
        return [self.row_texts[step] for step in _sample_down(within, variables["pageSize"])]

    def _sampled_history(self, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
        last = spec["maxStep"] if self.inclusive else spec["maxStep"] - 1
        within = [
            {key: value for key, value in row.items() if key in spec["keys"]}
            for row in self.rows
            if spec["minStep"] <= row["_step"] <= last and all(key in row for key in spec["keys"])
        ]
        return _sample_down(within, spec["samples"])


class MemoryClient:
    """A client without a network, which takes any document and returns parsed data.

    Args:
        backend: What answers.
    """

    def __init__(self, backend: HistoryBackend) -> None:
        self.backend = backend
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.documents: list[Any] = []

    def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
        operation = operation_name(document)
        self.documents.append(document)
        self.requests.append((operation, dict(variable_values)))
        return self.backend.answer(operation, variable_values)


def operation_name(document: Any) -> str:
    """The name of a document's operation, for documents of gql 4 and of wandb's own gql."""
    name: str = getattr(document, "document", document).definitions[0].name.value
    return name


def row_texts(rows: Iterable[Any]) -> list[str]:
    """Rows in a form whose equality compares values, types and order of keys, including NaN."""
    return [repr(row) for row in rows]


def collect(rows: Iterable[Any], into: list[Any]) -> None:
    """Appends rows to a list one by one, so that it has those before a failure."""
    for row in rows:
        into.append(row)


def _sample_down(found: list[Any], samples: int) -> list[Any]:
    """Takes evenly spaced samples, including the first row and the last."""
    if len(found) <= samples:
        return found
    return [found[index * (len(found) - 1) // max(1, samples - 1)] for index in range(samples)]
