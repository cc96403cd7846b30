"""Every exception and warning that histscan raises.

``HistoryError`` is the root of the exceptions, so ``except histscan.HistoryError`` catches them all. This module
imports nothing from the package, so that the compiled core and every layer above it can raise the same classes.
"""

from __future__ import annotations

__all__ = [
    "CredentialsWarning",
    "ExportWarning",
    "GraphQLResponseError",
    "HistoryDeadlineError",
    "HistoryDecodeError",
    "HistoryError",
    "HistoryRequestError",
    "InstallError",
    "LogCorruptWarning",
    "LogFormatError",
    "LogOverlapWarning",
    "LogStepWarning",
    "LogTruncatedWarning",
    "MirrorWarning",
    "ResponseShapeError",
    "RunNotFoundError",
    "RunSkippedWarning",
    "UnknownKeyError",
    "WandbMissingError",
]

# Characters of an error's text: names in a log or an answer may have any length.
_LONGEST_REASON, _LONGEST_PLACE = 2_000, 400


class HistoryError(Exception):
    """History could not be read. The message says what is wrong, where, and what to do.

    Args:
        reason: What is wrong, without the location.
        run: The run's path or file, once known.
        page: The step window of the page, ``"[0, 1000)"``, once known.
        row: Index of the row within its page, from 0, once known.
        step: The row's step, once known.
        byte: Offset of the offending byte within the row (within the file, for logs), once known.
        path: The place in the row, in JSONPath notation (``"$.loss"``), once known.
    """

    def __init__(
        self,
        reason: str,
        *,
        run: str | None = None,
        page: str | None = None,
        row: int | None = None,
        step: int | None = None,
        byte: int | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.run = run
        self.page = page
        self.row = row
        self.step = step
        self.byte = byte
        self.path = path

    def add_location(
        self,
        *,
        run: str | None = None,
        page: str | None = None,
        row: int | None = None,
        step: int | None = None,
        byte: int | None = None,
        path: str | None = None,
    ) -> None:
        """Adds what an outer layer knows about the location. Parts that are already set are kept.

        Args:
            run: The run's path or file.
            page: The step window of the page.
            row: Index of the row within its page.
            step: The row's step.
            byte: Offset of the offending byte.
            path: The place in the row, in JSONPath notation.
        """
        self.run = run if self.run is None else self.run
        self.page = page if self.page is None else self.page
        self.row = row if self.row is None else self.row
        self.step = step if self.step is None else self.step
        self.byte = byte if self.byte is None else self.byte
        self.path = path if self.path is None else self.path

    def __str__(self) -> str:
        places = [
            f"{name} {_shown(value, _LONGEST_PLACE)}"
            for name, value in (
                ("run", self.run),
                ("page", self.page),
                ("row", self.row),
                ("step", self.step),
                ("byte", self.byte),
            )
            if value is not None
        ]
        if self.path is not None:
            places.append(f"at `{_shown(self.path, _LONGEST_PLACE)}`")
        reason = _shown(self.reason, _LONGEST_REASON)
        return f"{reason} ({', '.join(places)})" if places else reason


def _shown(value: object, longest: int) -> str:
    """Makes one line of a text that may come from a log or a server: printable, with its middle left out if it is long.

    Args:
        value: The text, or a number.
        longest: The largest number of characters before unprintable ones are escaped.
    """
    text = str(value)
    if len(text) > longest:
        text = f"{text[: longest // 2]} … {text[-longest // 2 :]}"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class HistoryDecodeError(HistoryError, ValueError):
    """The bytes of a row, value or message are not valid in their format."""


class LogFormatError(HistoryDecodeError):
    """A ``.wandb`` file is empty, not a log, or corrupt at the given byte."""


class LogTruncatedWarning(UserWarning):
    """A ``.wandb`` file ends in the middle of a record. Every complete row was read."""


class LogCorruptWarning(UserWarning):
    """Corrupt parts of a ``.wandb`` file were skipped, as requested. Rows may be missing."""


class LogStepWarning(UserWarning):
    """Rows of a ``.wandb`` file have a ``_step`` that is not a whole number. They were read unchanged."""


class LogOverlapWarning(UserWarning):
    """Rows of a run's earlier logs were skipped, because a later log has rows of the same steps."""


class ExportWarning(UserWarning):
    """The Parquet files to which a server exported a history could not be read. Pages of rows were read instead."""


class RunSkippedWarning(UserWarning):
    """A run of many can't be read, and was left out."""


class MirrorWarning(UserWarning):
    """A mirror is being written by another process, whose end is awaited."""


class CredentialsWarning(UserWarning):
    """A file that may hold the API key can't be read. Requests are sent without a key unless one is found elsewhere."""


class HistoryRequestError(HistoryError):
    """A request failed before an answer could be read (connection, HTTP status, login)."""


class HistoryDeadlineError(HistoryRequestError, TimeoutError):
    """A page did not arrive within the scan's deadline."""


class GraphQLResponseError(HistoryRequestError):
    """The server answered a GraphQL request with ``errors``."""


class RunNotFoundError(HistoryRequestError, LookupError):
    """The project or the run does not exist, or the API key has no access to it."""


class UnknownKeyError(HistoryError, LookupError):
    """No row has a requested key, or a key that matches a requested pattern. The message names similar keys."""


class ResponseShapeError(HistoryError):
    """The server's answer is valid JSON, or a valid message, of the wrong shape."""


class InstallError(HistoryError):
    """wandb's iterators can't be replaced or restored. Nothing was changed."""


class WandbMissingError(InstallError, ImportError):
    """wandb is not installed in this environment."""
