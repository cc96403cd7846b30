"""The history messages of `histscan.proto` are wandb's, on the wire and beside it."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st
from wandb.proto import wandb_api_pb2, wandb_internal_pb2, wandb_telemetry_pb2

from histscan import proto
from tests.support.interpreter import run_python

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
rows = st.lists(st.lists(st.tuples(texts, texts), max_size=4), max_size=4)
int32s = st.integers(-(2**31), 2**31 - 1)
int64s = st.integers(-(2**63), 2**63 - 1)


def name_of(descriptor: Any) -> str | None:
    return None if descriptor is None else descriptor.name.removeprefix("Raw")


NAMED = [(name, getattr(proto, name)) for name in proto.__all__]
MESSAGES = [name for name, named in NAMED if isinstance(named, type) and issubclass(named, Message)]


@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_is_as_wandb_declares_it(name: str) -> None:
    ours = getattr(proto, name).DESCRIPTOR
    homes = [wandb_api_pb2, wandb_internal_pb2, wandb_telemetry_pb2]
    wanted = name.removeprefix("Raw")
    theirs = next(getattr(home, wanted) for home in homes if hasattr(home, wanted)).DESCRIPTOR
    for field in ours.fields:
        twin = theirs.fields_by_name[field.name]
        assert (field.number, field.is_repeated) == (twin.number, twin.is_repeated)
        assert name_of(field.containing_oneof) == name_of(twin.containing_oneof)
        if field.type == field.TYPE_BYTES:
            # A liberty that the wire allows: a message, or text that may be anything, left as it is.
            assert twin.type in (twin.TYPE_MESSAGE, twin.TYPE_STRING)
        elif twin.type == twin.TYPE_ENUM:
            assert field.type == field.TYPE_INT32
        else:
            assert field.type == twin.type
            assert name_of(field.message_type) == name_of(twin.message_type)


@pytest.mark.parametrize(
    "name", ["ScanRunHistoryInit", "ScanRunHistory", "RunHistoryResponse", "HistoryRow", "ParquetHistoryItem"]
)
def test_no_field_of_a_history_message_is_missing(name: str) -> None:
    ours = {field.name for field in getattr(proto, name).DESCRIPTOR.fields}
    assert ours == {field.name for field in getattr(wandb_api_pb2, name).DESCRIPTOR.fields}


def page_of(messages: Any, page_rows: list[list[tuple[str, str]]]) -> Any:
    return messages.RunHistoryResponse(
        history_rows=[
            messages.HistoryRow(
                history_items=[messages.ParquetHistoryItem(key=key, value_json=text) for key, text in row]
            )
            for row in page_rows
        ]
    )


@given(rows)
def test_pages_have_the_same_bytes(page_rows: list[list[tuple[str, str]]]) -> None:
    def response(messages: Any) -> Any:
        answer = messages.ReadRunHistoryResponse(run_history=page_of(messages, page_rows))
        return messages.ApiResponse(read_run_history_response=answer)

    ours, theirs = response(proto), response(wandb_api_pb2)
    assert ours.SerializeToString() == theirs.SerializeToString()
    assert proto.ApiResponse.FromString(theirs.SerializeToString()) == ours
    assert wandb_api_pb2.ApiResponse.FromString(ours.SerializeToString()) == theirs
    raw = proto.RawApiResponse.FromString(theirs.SerializeToString())
    page = theirs.read_run_history_response.run_history.SerializeToString()
    assert raw.read_run_history_response.run_history == page
    view = proto.read_response(theirs.SerializeToString())
    assert isinstance(view, proto.PageResponse)
    assert view.WhichOneof("response") == "read_run_history_response"
    assert view.read_run_history_response.WhichOneof("response") == "run_history"
    assert view.read_run_history_response.HasField("run_history")
    assert view.read_run_history_response.run_history == page


@pytest.mark.parametrize("page_rows", [[], [[("loss", "1")]], [[("loss", "1" * 200)] * 40]])
def test_only_a_page_alone_is_left_in_the_response(page_rows: list[list[tuple[str, str]]]) -> None:
    page = page_of(wandb_api_pb2, page_rows)
    response = wandb_api_pb2.ApiResponse(
        read_run_history_response=wandb_api_pb2.ReadRunHistoryResponse(run_history=page)
    ).SerializeToString()
    error = wandb_api_pb2.ApiResponse(api_error_response=wandb_api_pb2.ApiErrorResponse(message="no"))
    # A field of a later release, and a page in two parts, which protobuf joins.
    for other in (response + b"\x18\x01", response + response, b"\x18\x01" + response, error.SerializeToString(), b""):
        ours, theirs = proto.read_response(other), wandb_api_pb2.ApiResponse.FromString(other)
        assert not isinstance(ours, proto.PageResponse)
        assert ours.SerializeToString() == theirs.SerializeToString()
    for cut in range(1, len(response)):
        with pytest.raises(DecodeError):
            proto.read_response(response[:cut])


@given(texts, texts, texts, st.lists(texts), st.booleans(), int64s, int64s, int32s)
def test_requests_have_the_same_bytes(
    entity: str, project: str, run_id: str, keys: list[str], use_cache: bool, first: int, stop: int, scan: int
) -> None:
    def requests(messages: Any) -> list[Any]:
        return [
            messages.ApiRequest(api_id="api", read_run_history_request=messages.ReadRunHistoryRequest(**request))
            for request in (
                {
                    "scan_run_history_init": messages.ScanRunHistoryInit(
                        entity=entity, project=project, run_id=run_id, keys=keys, use_cache=use_cache
                    )
                },
                {"scan_run_history": messages.ScanRunHistory(min_step=first, max_step=stop, request_id=scan)},
                {"scan_run_history_cleanup": messages.ScanRunHistoryCleanup(request_id=scan)},
            )
        ]

    for ours, theirs in zip(requests(proto), requests(wandb_api_pb2), strict=True):
        assert ours.SerializeToString() == theirs.SerializeToString()
        assert proto.ApiRequest.FromString(theirs.SerializeToString()) == ours
        assert wandb_api_pb2.ApiRequest.FromString(ours.SerializeToString()) == theirs


def test_fields_unknown_to_histscan_are_kept() -> None:
    theirs = wandb_api_pb2.ApiRequest(features_request=wandb_api_pb2.FeaturesRequest(features=[1]))
    ours = proto.ApiRequest.FromString(theirs.SerializeToString())
    assert ours.WhichOneof("request") is None
    assert ours.SerializeToString() == theirs.SerializeToString()


USE_BOTH = """
row = proto.HistoryRow(history_items=[proto.ParquetHistoryItem(key='loss', value_json='1')])
print(wandb_api_pb2.HistoryRow.FromString(row.SerializeToString()).history_items[0].key)
"""


@pytest.mark.parametrize("implementation", ["upb", "python"])
@pytest.mark.parametrize(
    "imports",
    [
        "from histscan import proto\nfrom wandb.proto import wandb_api_pb2",
        "from wandb.proto import wandb_api_pb2\nfrom histscan import proto",
    ],
    ids=["histscan first", "wandb first"],
)
def test_lives_beside_wandb(imports: str, implementation: str) -> None:
    program = imports + USE_BOTH
    assert run_python(program, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=implementation) == "loss"


def test_needs_no_wandb() -> None:
    program = """
import sys
sys.modules['wandb'] = None
from histscan import proto
page = proto.RunHistoryResponse(history_rows=[{'history_items': [{'key': 'loss', 'value_json': '1'}]}])
print(proto.RunHistoryResponse.FromString(page.SerializeToString()).history_rows[0].history_items[0].value_json)
"""
    assert run_python(program) == "1"


def test_is_not_imported_before_it_is_needed() -> None:
    program = """
import sys
import histscan
import histscan.history
heavy = {'google.protobuf', 'gql', 'graphql', 'requests', 'wandb'}
print(sorted(heavy & set(sys.modules)))
"""
    assert run_python(program) == "[]"
