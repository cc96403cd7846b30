"""Records of a log other than its history: system metrics, console output, axes of metrics, and the run's end."""

from __future__ import annotations

from tests.support import wire

OUTPUT, STATS, METRIC, OUTPUT_RAW, EXIT = 4, 7, 12, 13, 18
"""Numbers of fields in wandb's `Record`."""


def timestamp(seconds: int) -> bytes:
    """A `Timestamp`."""
    return wire.varint_field(1, seconds)


def stats_record(values: dict[str, str], seconds: int = 10, *, kind: int = 0) -> bytes:
    """A record of system metrics: the JSON texts of their values, at a time in seconds."""
    items = b"".join(wire.field(3, wire.field(1, key) + wire.field(16, text)) for key, text in values.items())
    return wire.field(STATS, wire.varint_field(1, kind) + wire.field(2, timestamp(seconds)) + items)


def output_record(text: str | bytes, *, stdout: bool = True, field: int = OUTPUT_RAW, seconds: int = 10) -> bytes:
    """A record of console output."""
    content = wire.varint_field(1, int(stdout)) + wire.field(2, timestamp(seconds)) + wire.field(3, text)
    return wire.field(field, content)


def metric(name: str, axis: str = "", *, overwrite: bool = False, glob: bool = False) -> bytes:
    """A record that says what a metric is plotted over."""
    content = wire.field(2 if glob else 1, name)
    content += wire.field(4, axis) if axis else b""
    return wire.field(METRIC, content + (wire.field(9, wire.varint_field(1, 1)) if overwrite else b""))


def exit_record(code: int = 0, runtime: int = 0, *, not_complete: bool = False) -> bytes:
    """A record of a run's end; if it is not complete, of a run that continues elsewhere."""
    content = wire.varint_field(1, code) if code else b""
    content += wire.varint_field(2, runtime) if runtime else b""
    return wire.field(EXIT, content + (wire.varint_field(3, 1) if not_complete else b""))
