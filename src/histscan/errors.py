"""Every exception that histscan raises on purpose.

``HistoryError`` is the root, so ``except histscan.HistoryError`` catches them all. This module imports nothing of the
package, so that the compiled core and every layer above it can raise the same classes.
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
    "ResponseShapeError",
    "RunNotFoundError",
    "WandbMissingError",
]


class HistoryError(Exception):
    """Something kept history from being read; says what, where, and what to do.

    Args:
        reason: What was wrong, without the location.
        run: The run's path or file, once known.
        page: The step window of the page, ``"[0, 1000)"``, once known.
        row: Index of the row within its page, from 0, once known.
        step: The row's step, once known.
        byte: Offset of the offending byte within what ``row`` names (or within the file, for logs), once known.
        path: Where in the row, in JSONPath notation (``"$.loss"``), once known.
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
        """Fills in what an outer layer knows about the place; what is known already stays.

        Args:
            run: The run's path or file.
            page: The step window of the page.
            row: Index of the row within its page.
            step: The row's step.
            byte: Offset of the offending byte.
            path: Where in the row, in JSONPath notation.
        """
        self.run = run if self.run is None else self.run
        self.page = page if self.page is None else self.page
        self.row = row if self.row is None else self.row
        self.step = step if self.step is None else self.step
        self.byte = byte if self.byte is None else self.byte
        self.path = path if self.path is None else self.path

    def __str__(self) -> str:
        places = [
            f"{name} {value}"
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
            places.append(f"at `{self.path}`")
        return f"{self.reason} ({', '.join(places)})" if places else self.reason


class HistoryDecodeError(HistoryError, ValueError):
    """The bytes of a row, value or message are not what their format allows."""


class LogFormatError(HistoryDecodeError):
    """A ``.wandb`` file is empty, foreign, or corrupt at the named byte."""


class LogTruncatedWarning(UserWarning):
    """A ``.wandb`` file ends within a record: every complete row was delivered."""


class LogCorruptWarning(UserWarning):
    """Corrupt parts of a ``.wandb`` file were skipped, as requested; rows may be missing."""


class LogStepWarning(UserWarning):
    """Rows of a ``.wandb`` file have a ``_step`` that is not a whole number; they were delivered as they are."""


class LogOverlapWarning(UserWarning):
    """Rows of a run's earlier logs were left out, because a later log has rows of the same steps."""


class ExportWarning(UserWarning):
    """The files that a server has exported a history to can't be had: pages of rows were read instead."""


class CredentialsWarning(UserWarning):
    """A file that may hold the API key can't be read: requests are sent without it, unless another place has one."""


class HistoryRequestError(HistoryError):
    """A request for history failed before an answer could be read (connection, HTTP status, login)."""


class HistoryDeadlineError(HistoryRequestError, TimeoutError):
    """A page did not come within the deadline that the scan was given."""


class GraphQLResponseError(HistoryRequestError):
    """The server answered a GraphQL request with ``errors``."""


class RunNotFoundError(HistoryRequestError, LookupError):
    """The project or the run does not exist, or the key in use may not see it."""


class ResponseShapeError(HistoryError):
    """The server's answer is valid JSON, or a valid message, of the wrong shape."""


class InstallError(HistoryError):
    """wandb's iterators can't be replaced, or not be put back; everything was left as it is."""


class WandbMissingError(InstallError, ImportError):
    """wandb is not installed in this environment."""
