"""SampledHistoryScan returns the rows that have all of the keys: each once, in the order of steps, none lost."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb.apis.public.history import SampledHistoryScan as WandbSampledHistoryScan
from wandb.errors import CommError

from histscan.errors import GraphQLResponseError, HistoryDecodeError, ResponseShapeError, RunNotFoundError
from histscan.history import SampledHistoryScan
from histscan.sources.client import Client
from tests.support.graphql_server import Answer, GraphQLServer, answer_from, data_answer, json_answer
from tests.support.history_backend import RUN, HistoryBackend, MemoryClient, RunName, collect, row_texts, training_rows
from tests.support.retrying_client import retrying_client

KEYS = ["loss", "accuracy"]


def rows_with(keys: list[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The expected rows of a scan of the keys."""
    return [{key: row[key] for key in row if key in keys} for row in rows if all(key in row for key in keys)]


@pytest.mark.parametrize("inclusive", [True, False])
@given(
    steps=st.sets(st.integers(0, 200)),
    min_step=st.integers(0, 200),
    max_step=st.integers(0, 220),
    page_size=st.integers(1, 90),
    keys=st.sampled_from([["loss"], ["accuracy", "loss"], ["_step", "loss"], ["note", "_step", "accuracy"], ["none"]]),
)
def test_gives_each_row_once_however_the_server_reads_max_step(
    inclusive: bool, steps: set[int], min_step: int, max_step: int, page_size: int, keys: list[str]
) -> None:
    client = MemoryClient(HistoryBackend(training_rows(steps), inclusive=inclusive))
    within = training_rows(sorted(step for step in steps if min_step <= step < max_step))
    scan = SampledHistoryScan(client, RUN, keys, min_step, max_step, page_size)
    assert row_texts(scan) == row_texts(rows_with(keys, within))


@pytest.mark.parametrize("raw", [True, False])
def test_rows_are_those_of_wandb_where_wandb_is_right(server: GraphQLServer, raw: bool) -> None:
    backend = HistoryBackend(training_rows(range(500)), inclusive=False)
    server.respond = answer_from(backend)
    theirs = WandbSampledHistoryScan(MemoryClient(backend), RUN, KEYS, 0, 500, 100)
    ours = SampledHistoryScan(Client(server.url) if raw else MemoryClient(backend), RUN, KEYS, 0, 500, 100)
    assert row_texts(ours) == row_texts(theirs)


def test_requests_are_those_of_wandb_but_for_the_boundary() -> None:
    backend = HistoryBackend(training_rows(range(500)))
    ours, theirs = MemoryClient(backend), MemoryClient(backend)
    list(SampledHistoryScan(ours, RUN, KEYS, 0, 450, 200))
    list(WandbSampledHistoryScan(theirs, RUN, KEYS, 0, 450, 200))

    def specs(client: MemoryClient) -> list[dict[str, Any]]:
        return [json.loads(variables.pop("spec")) for _, variables in client.requests]

    our_specs, their_specs = specs(ours), specs(theirs)
    assert ours.requests == theirs.requests
    for ours_, theirs_, width in zip(our_specs, their_specs, (200, 200, 50), strict=True):
        assert theirs_ == ours_ | {"keys": KEYS, "samples": 200}
        assert ours_["keys"] == [*KEYS, "_step"]
        assert ours_["samples"] == width + 1


def test_the_wire_carries_the_operation_of_wandb(server: GraphQLServer) -> None:
    server.respond = answer_from(HistoryBackend(training_rows(range(10))))
    client = retrying_client(server.url)
    list(WandbSampledHistoryScan(client, RUN, KEYS, 0, 10))
    list(SampledHistoryScan(client, RUN, KEYS, 0, 10))
    list(SampledHistoryScan(Client(server.url), RUN, KEYS, 0, 10))

    def words(query: str) -> list[str]:
        return sorted(query.replace(",", " ").replace("(", " ").replace(")", " ").split())

    first, *others = [words(request.payload["query"]) for request in server.received]
    assert others == [first, first]


def test_attributes_are_those_of_wandb() -> None:
    client = MemoryClient(HistoryBackend(training_rows(range(100)), inclusive=False))
    ours: Any = SampledHistoryScan(client, RUN, ["loss"], 5, 90, 10)
    theirs: Any = WandbSampledHistoryScan(client, RUN, ["loss"], 5, 90, 10)
    names = ("client", "run", "keys", "page_size", "min_step", "_stop_step", "max_step", "page_offset", "scan_offset")

    def state(scan: Any) -> list[Any]:
        return [getattr(scan, name) for name in names] + row_texts(scan.rows)

    assert state(ours) == state(theirs)
    for _ in range(13):
        assert repr(ours.next()) == repr(theirs.next())
        assert state(ours) == state(theirs)
    iter(ours)
    iter(theirs)
    assert state(ours) == state(theirs)


def test_leaves_the_clients_own_objects_alone() -> None:
    class Remembering(MemoryClient):
        """Returns the same objects for equal requests."""

        answers: dict[str, Any] = {}  # noqa: RUF012

        def execute(self, document: Any, variable_values: dict[str, Any]) -> dict[str, Any]:
            answer = self.answers.setdefault(variable_values["spec"], super().execute(document, variable_values))
            assert isinstance(answer, dict)
            return answer

    client = Remembering(HistoryBackend(training_rows(range(30))))
    scan = SampledHistoryScan(client, RUN, ["loss"], 0, 30, 10)
    first = row_texts(scan)
    answers = copy.deepcopy(client.answers)
    assert row_texts(scan) == first
    assert repr(client.answers) == repr(answers)


@pytest.mark.parametrize("keys", [[], "loss", None])
def test_keys_that_are_no_list_of_names_go_out_as_they_are(keys: Any) -> None:
    class Fixed:
        specs: list[Any] = []  # noqa: RUF012

        def execute(self, document: Any, variable_values: dict[str, Any]) -> Any:
            self.specs.append(json.loads(variable_values["spec"]))
            return {"project": {"run": {"sampledHistory": [[{"_step": 2, "loss": 1}, {"_step": 10}, {"loss": 2}]]}}}

    client = Fixed()
    assert list(SampledHistoryScan(client, RUN, keys, 0, 10)) == [{"_step": 2, "loss": 1}, {"loss": 2}]
    assert client.specs[-1]["keys"] == keys


def test_keys_may_be_a_tuple() -> None:
    client = MemoryClient(HistoryBackend(training_rows(range(5))))
    keys: Any = ("epoch",)
    assert list(SampledHistoryScan(client, RUN, keys, 0, 5)) == [{"epoch": 0}] * 5


def test_a_subclass_may_load_pages_in_its_own_way() -> None:
    class Countdown(SampledHistoryScan):
        def _load_next(self) -> None:
            self.rows = [{"_step": self.page_offset}]
            self.page_offset += self.page_size
            self.scan_offset = 0

    client = MemoryClient(HistoryBackend([]))
    assert list(Countdown(client, RUN, ["loss"], 0, 30, 10)) == [{"_step": 0}, {"_step": 10}, {"_step": 20}]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("run", [RunName(project="none"), RunName(id="none")], ids=["project", "run"])
def test_says_which_run_was_not_found(server: GraphQLServer, run: RunName, raw: bool) -> None:
    backend = HistoryBackend([])
    server.respond = answer_from(backend)
    client = Client(server.url) if raw else MemoryClient(backend)
    with pytest.raises(RunNotFoundError, match=rf"run team/{run.project}/{run.id}, page \[0, 10\)"):
        list(SampledHistoryScan(client, run, KEYS, 0, 10))


def test_passes_on_what_the_server_complains_of(server: GraphQLServer) -> None:
    server.respond = lambda request: json_answer({"errors": [{"message": "no such key"}], "data": None})
    with pytest.raises(GraphQLResponseError, match=r"no such key.*run team/vision/a1b2c3d4"):
        list(SampledHistoryScan(Client(server.url), RUN, KEYS, 0, 10))
    client = retrying_client(server.url)
    with pytest.raises(CommError, match=r"^no such key$"):
        list(SampledHistoryScan(client, RUN, KEYS, 0, 10))


WRONG_RUNS: list[Any] = [{}, {"sampledHistory": None}, {"sampledHistory": {}}, {"sampledHistory": [None]}]


@pytest.mark.parametrize("run", [*WRONG_RUNS, {"sampledHistory": []}], ids=json.dumps)
def test_says_when_an_answer_has_another_shape(server: GraphQLServer, run: Any) -> None:
    class Fixed:
        def execute(self, document: Any, variable_values: Any) -> Any:
            return {"project": {"run": run}}

    server.respond = lambda request: data_answer({"project": {"run": run}})
    for client in (Fixed(), Client(server.url)):
        with pytest.raises(ResponseShapeError, match=r"run team/vision/a1b2c3d4, page \[0, 9\)"):
            next(SampledHistoryScan(client, RUN, KEYS, 0, 9))


def body_with(row_13: bytes) -> Any:
    """Answers windows of ten steps; one row of the second window is as given."""

    def respond(request: Any) -> Answer:
        spec = json.loads(request.payload["variables"]["spec"])
        rows = [b'{"loss": %d, "_step": %d}' % (step * 2, step) for step in range(spec["minStep"], spec["maxStep"] + 1)]
        if spec["minStep"] == 10:
            rows[3] = row_13
        return Answer(b'{"data": {"project": {"run": {"sampledHistory": [[' + b",".join(rows) + b"]]}}}}")

    return respond


def test_rows_before_a_malformed_one_are_delivered(server: GraphQLServer) -> None:
    server.respond = body_with(b'{"loss": "\xff", "_step": 13}')
    scan = SampledHistoryScan(Client(server.url), RUN, ["loss"], 0, 20, 10)
    for _ in range(2):
        delivered: list[Any] = []
        with pytest.raises(HistoryDecodeError, match=r"run team/vision/a1b2c3d4, page \[10, 20\), row 3"):
            collect(scan, delivered)
        assert delivered == [{"loss": step * 2} for step in range(13)]
        with pytest.raises(HistoryDecodeError):
            next(scan)


def test_starting_over_forgets_a_malformed_row_not_reached_yet(server: GraphQLServer) -> None:
    server.respond = body_with(b'{"loss": "\xff", "_step": 13}')
    scan = SampledHistoryScan(Client(server.url), RUN, ["loss"], 0, 20, 10)
    assert [next(scan)["loss"] for _ in range(12)] == [step * 2 for step in range(12)]
    server.respond = body_with(b'{"loss": 26, "_step": 13}')
    assert [row["loss"] for row in scan] == [step * 2 for step in range(20)]


def test_a_body_that_breaks_off_gives_its_whole_rows_first(server: GraphQLServer) -> None:
    whole = body_with(b'{"loss": 26, "_step": 13}')

    def break_off(request: Any) -> Answer:
        body = whole(request).body
        return Answer(body[: body.index(b'"_step": 16')])

    server.respond = break_off
    scan = SampledHistoryScan(Client(server.url, retries=0), RUN, ["loss"], 10, 20, 10)
    assert [next(scan)["loss"] for _ in range(6)] == [step * 2 for step in range(10, 16)]
    with pytest.raises(HistoryDecodeError, match=r"run team/vision/a1b2c3d4, page \[10, 20\)"):
        next(scan)
