"""Types of the history messages; the classes themselves are built from descriptors in `__init__.py`."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message

from histscan.proto.responses import PageResponse

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

# A message field is set from a message or from a mapping of its fields, as everywhere in protobuf.
_Fields = Mapping[str, Any]

class ApiRequest(Message):
    api_id: str
    def __init__(
        self,
        *,
        api_id: str | None = ...,
        read_run_history_request: ReadRunHistoryRequest | _Fields | None = ...,
    ) -> None: ...
    @property
    def read_run_history_request(self) -> ReadRunHistoryRequest: ...

class ApiResponse(Message):
    def __init__(
        self,
        *,
        read_run_history_response: ReadRunHistoryResponse | _Fields | None = ...,
        api_error_response: ApiErrorResponse | _Fields | None = ...,
    ) -> None: ...
    @property
    def read_run_history_response(self) -> ReadRunHistoryResponse: ...
    @property
    def api_error_response(self) -> ApiErrorResponse: ...

class RawApiResponse(Message):
    def __init__(
        self,
        *,
        read_run_history_response: RawReadRunHistoryResponse | _Fields | None = ...,
        api_error_response: ApiErrorResponse | _Fields | None = ...,
    ) -> None: ...
    @property
    def read_run_history_response(self) -> RawReadRunHistoryResponse: ...
    @property
    def api_error_response(self) -> ApiErrorResponse: ...

class ApiErrorResponse(Message):
    message: str
    def __init__(self, *, message: str | None = ...) -> None: ...

class ReadRunHistoryRequest(Message):
    def __init__(
        self,
        *,
        scan_run_history_init: ScanRunHistoryInit | _Fields | None = ...,
        scan_run_history: ScanRunHistory | _Fields | None = ...,
        scan_run_history_cleanup: ScanRunHistoryCleanup | _Fields | None = ...,
    ) -> None: ...
    @property
    def scan_run_history_init(self) -> ScanRunHistoryInit: ...
    @property
    def scan_run_history(self) -> ScanRunHistory: ...
    @property
    def scan_run_history_cleanup(self) -> ScanRunHistoryCleanup: ...

class ReadRunHistoryResponse(Message):
    def __init__(
        self,
        *,
        scan_run_history_init: ScanRunHistoryInitResponse | _Fields | None = ...,
        run_history: RunHistoryResponse | _Fields | None = ...,
        scan_run_history_cleanup: ScanRunHistoryCleanupResponse | _Fields | None = ...,
    ) -> None: ...
    @property
    def scan_run_history_init(self) -> ScanRunHistoryInitResponse: ...
    @property
    def run_history(self) -> RunHistoryResponse: ...
    @property
    def scan_run_history_cleanup(self) -> ScanRunHistoryCleanupResponse: ...

class RawReadRunHistoryResponse(Message):
    run_history: bytes
    def __init__(
        self,
        *,
        scan_run_history_init: ScanRunHistoryInitResponse | _Fields | None = ...,
        run_history: bytes | None = ...,
        scan_run_history_cleanup: ScanRunHistoryCleanupResponse | _Fields | None = ...,
    ) -> None: ...
    @property
    def scan_run_history_init(self) -> ScanRunHistoryInitResponse: ...
    @property
    def scan_run_history_cleanup(self) -> ScanRunHistoryCleanupResponse: ...

class ScanRunHistoryInit(Message):
    entity: str
    project: str
    run_id: str
    use_cache: bool
    def __init__(
        self,
        *,
        entity: str | None = ...,
        project: str | None = ...,
        run_id: str | None = ...,
        keys: Iterable[str] | None = ...,
        use_cache: bool | None = ...,
    ) -> None: ...
    @property
    def keys(self) -> RepeatedScalarFieldContainer[str]: ...

class ScanRunHistoryInitResponse(Message):
    request_id: int
    def __init__(self, *, request_id: int | None = ...) -> None: ...

class ScanRunHistory(Message):
    min_step: int
    max_step: int
    request_id: int
    def __init__(
        self, *, min_step: int | None = ..., max_step: int | None = ..., request_id: int | None = ...
    ) -> None: ...

class ScanRunHistoryCleanup(Message):
    request_id: int
    def __init__(self, *, request_id: int | None = ...) -> None: ...

class ScanRunHistoryCleanupResponse(Message):
    def __init__(self) -> None: ...

class RunHistoryResponse(Message):
    def __init__(self, *, history_rows: Iterable[HistoryRow | _Fields] | None = ...) -> None: ...
    @property
    def history_rows(self) -> RepeatedCompositeFieldContainer[HistoryRow]: ...

class HistoryRow(Message):
    def __init__(self, *, history_items: Iterable[ParquetHistoryItem | _Fields] | None = ...) -> None: ...
    @property
    def history_items(self) -> RepeatedCompositeFieldContainer[ParquetHistoryItem]: ...

class ParquetHistoryItem(Message):
    key: str
    value_json: str
    def __init__(self, *, key: str | None = ..., value_json: str | None = ...) -> None: ...

class RunRecord(Message):
    run_id: str
    entity: str
    project: str
    config: bytes
    summary: bytes
    run_group: str
    job_type: str
    display_name: str
    notes: str
    @property
    def tags(self) -> RepeatedScalarFieldContainer[str]: ...
    sweep_id: str
    host: str
    @property
    def start_time(self) -> Timestamp: ...
    @property
    def telemetry(self) -> TelemetryRecord: ...
    @property
    def git(self) -> GitRepoRecord: ...

class Timestamp(Message):
    seconds: int
    nanos: int

class GitRepoRecord(Message):
    remote_url: str
    commit: str

class TelemetryRecord(Message):
    python_version: str
    cli_version: str
    platform: str

class RunExitRecord(Message):
    exit_code: int
    runtime: int
    not_complete: bool

class HeaderRecord(Message):
    @property
    def version_info(self) -> VersionInfo: ...

class VersionInfo(Message):
    producer: str

class MetricRecord(Message):
    name: str
    glob_name: str
    step_metric: str
    step_metric_index: int
    @property
    def _control(self) -> MetricControl: ...

class MetricControl(Message):
    overwrite: bool

class OutputRecord(Message):
    output_type: int
    line: bytes
    @property
    def timestamp(self) -> Timestamp: ...

class StatsRecord(Message):
    stats_type: int
    @property
    def timestamp(self) -> Timestamp: ...
    @property
    def item(self) -> RepeatedCompositeFieldContainer[StatsItem]: ...

class StatsItem(Message):
    key: str
    value_json: str

class EnvironmentRecord(Message):
    os: str
    python: str
    docker: str
    program: str
    code_path: str
    colab: str
    cpu_count: int
    cpu_count_logical: int
    gpu_type: str
    gpu_count: int
    cuda_version: str
    @property
    def started_at(self) -> Timestamp: ...
    @property
    def args(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def git(self) -> GitRepoRecord: ...

def read_response(data: bytes) -> PageResponse | ApiResponse: ...
