"""The history messages of the wandb service, for programs without wandb.

The classes are built at import, from the table below, in their own descriptor pool. Names and numbers of the fields
are those of wandb (from 0.25.1), so each side can read the other's bytes. Nothing is registered in protobuf's default
pool, so wandb may be imported before, after, or not at all. Building the classes at import also supports every version
of the protobuf runtime; generated modules need the runtime for which they were generated.

``RawApiResponse`` is ``ApiResponse`` with the page left as bytes: a service that answers with it saves one parse and
one serialisation of each page. One that answers with what ``read_response`` returns saves the copies, too.
"""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from histscan.proto.responses import PageResponse, only_page

__all__ = [
    "ApiErrorResponse",
    "ApiRequest",
    "ApiResponse",
    "EnvironmentRecord",
    "HeaderRecord",
    "HistoryRow",
    "MetricRecord",
    "OutputRecord",
    "PageResponse",
    "ParquetHistoryItem",
    "RawApiResponse",
    "RawReadRunHistoryResponse",
    "ReadRunHistoryRequest",
    "ReadRunHistoryResponse",
    "RunExitRecord",
    "RunHistoryResponse",
    "RunRecord",
    "ScanRunHistory",
    "ScanRunHistoryCleanup",
    "ScanRunHistoryCleanupResponse",
    "ScanRunHistoryInit",
    "ScanRunHistoryInitResponse",
    "StatsRecord",
    "TelemetryRecord",
    "read_response",
]

_PACKAGE = "histscan.proto"

_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
}

# Message name → its fields as (type, name, number); "*" marks a repeated field, "|" a member of the message's oneof.
_MESSAGES: dict[str, list[tuple[str, str, int]]] = {
    "ApiRequest": [
        ("string", "api_id", 1),
        ("|ReadRunHistoryRequest", "read_run_history_request", 2),
    ],
    "ApiResponse": [
        ("|ReadRunHistoryResponse", "read_run_history_response", 1),
        ("|ApiErrorResponse", "api_error_response", 2),
    ],
    "RawApiResponse": [
        ("|RawReadRunHistoryResponse", "read_run_history_response", 1),
        ("|ApiErrorResponse", "api_error_response", 2),
    ],
    "ApiErrorResponse": [("string", "message", 1)],
    "ReadRunHistoryRequest": [
        ("|ScanRunHistoryInit", "scan_run_history_init", 1),
        ("|ScanRunHistory", "scan_run_history", 2),
        ("|ScanRunHistoryCleanup", "scan_run_history_cleanup", 3),
    ],
    "ReadRunHistoryResponse": [
        ("|ScanRunHistoryInitResponse", "scan_run_history_init", 1),
        ("|RunHistoryResponse", "run_history", 2),
        ("|ScanRunHistoryCleanupResponse", "scan_run_history_cleanup", 3),
    ],
    "RawReadRunHistoryResponse": [
        ("|ScanRunHistoryInitResponse", "scan_run_history_init", 1),
        ("|bytes", "run_history", 2),
        ("|ScanRunHistoryCleanupResponse", "scan_run_history_cleanup", 3),
    ],
    "ScanRunHistoryInit": [
        ("string", "entity", 1),
        ("string", "project", 2),
        ("string", "run_id", 3),
        ("*string", "keys", 4),
        ("bool", "use_cache", 5),
    ],
    "ScanRunHistoryInitResponse": [("int32", "request_id", 1)],
    "ScanRunHistory": [
        ("int64", "min_step", 1),
        ("int64", "max_step", 2),
        ("int32", "request_id", 3),
    ],
    "ScanRunHistoryCleanup": [("int32", "request_id", 1)],
    "ScanRunHistoryCleanupResponse": [],
    "RunHistoryResponse": [("*HistoryRow", "history_rows", 1)],
    "HistoryRow": [("*ParquetHistoryItem", "history_items", 1)],
    "ParquetHistoryItem": [
        ("string", "key", 1),
        ("string", "value_json", 16),
    ],
    # The fields of a log's run record that describe the run. Its initial config and summary are left as bytes.
    "RunRecord": [
        ("string", "run_id", 1),
        ("string", "entity", 2),
        ("string", "project", 3),
        ("bytes", "config", 4),
        ("bytes", "summary", 5),
        ("string", "run_group", 6),
        ("string", "job_type", 7),
        ("string", "display_name", 8),
        ("string", "notes", 9),
        ("*string", "tags", 10),
        ("string", "sweep_id", 12),
        ("string", "host", 13),
        ("Timestamp", "start_time", 17),
        ("TelemetryRecord", "telemetry", 19),
        ("GitRepoRecord", "git", 21),
    ],
    # Other records of a log. Printed lines are left as bytes, because they may not be UTF-8.
    "Timestamp": [("int64", "seconds", 1), ("int32", "nanos", 2)],
    "GitRepoRecord": [("string", "remote_url", 1), ("string", "commit", 2)],
    "TelemetryRecord": [
        ("string", "python_version", 4),
        ("string", "cli_version", 5),
        ("string", "platform", 13),
    ],
    "RunExitRecord": [("int32", "exit_code", 1), ("int32", "runtime", 2), ("bool", "not_complete", 3)],
    "HeaderRecord": [("VersionInfo", "version_info", 1)],
    "VersionInfo": [("string", "producer", 1)],
    "MetricRecord": [
        ("string", "name", 1),
        ("string", "glob_name", 2),
        ("string", "step_metric", 4),
        ("int32", "step_metric_index", 5),
        ("MetricControl", "_control", 9),
    ],
    "MetricControl": [("bool", "overwrite", 1)],
    "OutputRecord": [("int32", "output_type", 1), ("Timestamp", "timestamp", 2), ("bytes", "line", 3)],
    "StatsRecord": [("int32", "stats_type", 1), ("Timestamp", "timestamp", 2), ("*StatsItem", "item", 3)],
    "StatsItem": [("string", "key", 1), ("string", "value_json", 16)],
    # Only the fields that describe how the program was run, not those about the machine's user.
    "EnvironmentRecord": [
        ("string", "os", 1),
        ("string", "python", 2),
        ("Timestamp", "started_at", 3),
        ("string", "docker", 4),
        ("*string", "args", 5),
        ("string", "program", 6),
        ("string", "code_path", 7),
        ("GitRepoRecord", "git", 9),
        ("string", "colab", 15),
        ("uint32", "cpu_count", 16),
        ("uint32", "cpu_count_logical", 17),
        ("string", "gpu_type", 18),
        ("uint32", "gpu_count", 19),
        ("string", "cuda_version", 25),
    ],
}


def _describe_field(declared: str, name: str, number: int) -> FieldDescriptorProto:
    kind = declared.lstrip("*|")
    field = FieldDescriptorProto(
        name=name,
        number=number,
        label=FieldDescriptorProto.LABEL_REPEATED if declared[0] == "*" else FieldDescriptorProto.LABEL_OPTIONAL,
        type=_SCALARS.get(kind, FieldDescriptorProto.TYPE_MESSAGE),
    )
    if kind not in _SCALARS:
        field.type_name = f".{_PACKAGE}.{kind}"
    if declared[0] == "|":
        field.oneof_index = 0
    return field


def _describe_message(name: str, fields: list[tuple[str, str, int]]) -> DescriptorProto:
    message = DescriptorProto(name=name, field=[_describe_field(*field) for field in fields])
    if any(declared[0] == "|" for declared, _, _ in fields):
        message.oneof_decl.add(name="request" if name.endswith("Request") else "response")
    return message


def _describe_file() -> FileDescriptorProto:
    return FileDescriptorProto(
        name="histscan/proto/history.proto",
        package=_PACKAGE,
        syntax="proto3",
        message_type=[_describe_message(name, fields) for name, fields in _MESSAGES.items()],
    )


_pool = DescriptorPool()
_pool.AddSerializedFile(_describe_file().SerializeToString())


def _message_class(name: str) -> type:
    message_class = GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
    message_class.__module__ = __name__
    return message_class


ApiErrorResponse = _message_class("ApiErrorResponse")
ApiRequest = _message_class("ApiRequest")
ApiResponse = _message_class("ApiResponse")
EnvironmentRecord = _message_class("EnvironmentRecord")
HeaderRecord = _message_class("HeaderRecord")
HistoryRow = _message_class("HistoryRow")
MetricRecord = _message_class("MetricRecord")
OutputRecord = _message_class("OutputRecord")
ParquetHistoryItem = _message_class("ParquetHistoryItem")
RawApiResponse = _message_class("RawApiResponse")
RawReadRunHistoryResponse = _message_class("RawReadRunHistoryResponse")
ReadRunHistoryRequest = _message_class("ReadRunHistoryRequest")
ReadRunHistoryResponse = _message_class("ReadRunHistoryResponse")
RunExitRecord = _message_class("RunExitRecord")
RunHistoryResponse = _message_class("RunHistoryResponse")
RunRecord = _message_class("RunRecord")
ScanRunHistory = _message_class("ScanRunHistory")
ScanRunHistoryCleanup = _message_class("ScanRunHistoryCleanup")
ScanRunHistoryCleanupResponse = _message_class("ScanRunHistoryCleanupResponse")
ScanRunHistoryInit = _message_class("ScanRunHistoryInit")
ScanRunHistoryInitResponse = _message_class("ScanRunHistoryInitResponse")
StatsRecord = _message_class("StatsRecord")
TelemetryRecord = _message_class("TelemetryRecord")


def read_response(data: bytes) -> PageResponse | ApiResponse:
    """Reads an ``ApiResponse`` without copying its page.

    Args:
        data: The bytes of the response.

    Returns:
        A ``PageResponse`` if the response has a page and nothing else; an ``ApiResponse`` for all others.

    Raises:
        google.protobuf.message.DecodeError: The bytes are malformed.
    """
    page = only_page(data)
    if page is not None:
        return PageResponse(page)
    response = ApiResponse()
    response.ParseFromString(data)
    return response
