"""Compares the protobuf messages of the installed wandb with those that histscan reads and writes."""

from __future__ import annotations

from typing import Any

__all__ = ["find_difference"]

# These must have exactly the same fields: any difference could lose data or change rows.
_CONTENTS = (
    "HistoryRow",
    "ParquetHistoryItem",
    "RunHistoryResponse",
    "ScanRunHistory",
    "ScanRunHistoryCleanup",
    "ScanRunHistoryInit",
    "ScanRunHistoryInitResponse",
)

# These also carry other messages, and have been renumbered: only the names of fields and of their oneofs must match.
_ENVELOPES = {
    "ApiRequest": (("read_run_history_request", "request"),),
    "ApiResponse": (("read_run_history_response", "response"), ("api_error_response", "response")),
    "ApiErrorResponse": (("message", None),),
    "ReadRunHistoryRequest": (
        ("scan_run_history_init", "request"),
        ("scan_run_history", "request"),
        ("scan_run_history_cleanup", "request"),
    ),
    "ReadRunHistoryResponse": (("scan_run_history_init", "response"), ("run_history", "response")),
}

_GRAPHQL_ENVELOPES = {
    "ApiRequest": (("graphql_request", "request"),),
    "ApiResponse": (("graphql_response", "response"),),
    "GraphQLRequest": (("query", None), ("variables_json", None)),
    "GraphQLResponse": (("data_json", None),),
}


def find_difference(*, graphql: bool) -> str | None:
    """Finds a difference between the messages.

    Args:
        graphql: True to compare the messages that carry GraphQL, too.

    Returns:
        A description of the first difference; None if there is none.
    """
    from wandb.proto import wandb_api_pb2 as wandbs

    from histscan import proto

    for name in _CONTENTS:
        if not hasattr(wandbs, name):
            return f"there is no message `{name}`"
        if _fields(getattr(wandbs, name)) != _fields(getattr(proto, name)):
            return f"the message `{name}` has other fields"
    for envelopes in (_ENVELOPES, _GRAPHQL_ENVELOPES) if graphql else (_ENVELOPES,):
        for name, members in envelopes.items():
            if not hasattr(wandbs, name):
                return f"there is no message `{name}`"
            for member, oneof in members:
                field = getattr(wandbs, name).DESCRIPTOR.fields_by_name.get(member)
                if field is None or (field.containing_oneof and field.containing_oneof.name) != oneof:
                    return f"the message `{name}` has no `{member}`"
    return None


def _fields(message_class: Any) -> set[tuple[str, int, int, int]]:
    """Returns a message's fields as name, number, type and label, by an API that every protobuf runtime has."""
    from google.protobuf.descriptor_pb2 import DescriptorProto

    described = DescriptorProto()
    message_class.DESCRIPTOR.CopyToProto(described)
    return {(field.name, field.number, field.type, field.label) for field in described.field}
