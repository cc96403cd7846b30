"""Responses of the service whose page stays a view of their bytes.

A protobuf message copies its fields when it is parsed, and a bytes field once more at each access. Copying a page takes
longer than making columns of it.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["PageReadRunHistoryResponse", "PageResponse", "only_page"]

# Numbers and wire types of `ApiResponse.read_run_history_response` and `ReadRunHistoryResponse.run_history`.
_HISTORY_TAG: Final = 1 << 3 | 2
_PAGE_TAG: Final = 2 << 3 | 2

_LONGEST_LENGTH: Final = 10


class PageReadRunHistoryResponse:
    """A ``ReadRunHistoryResponse`` that has a page.

    Args:
        run_history: The bytes of the page, a ``RunHistoryResponse``.

    Attributes:
        run_history: The same.
    """

    def __init__(self, run_history: memoryview) -> None:
        self.run_history = run_history

    def HasField(self, field_name: str) -> bool:  # noqa: N802 - protobuf's name
        """Returns True for the page's field."""
        return field_name == "run_history"

    def WhichOneof(self, _oneof_group: str) -> str:  # noqa: N802 - protobuf's name
        """Returns the name of the page's field."""
        return "run_history"


class PageResponse:
    """An ``ApiResponse`` that has a page, and nothing else.

    Args:
        run_history: The bytes of the page, a ``RunHistoryResponse``.

    Attributes:
        read_run_history_response: Holds the page.
    """

    def __init__(self, run_history: memoryview) -> None:
        self.read_run_history_response = PageReadRunHistoryResponse(run_history)

    @property
    def api_error_response(self) -> Any:
        """No response with a page has an error.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError("a response with a page has no api_error_response")

    def WhichOneof(self, _oneof_group: str) -> str:  # noqa: N802 - protobuf's name
        """Returns the name of the field that holds the page."""
        return "read_run_history_response"


def only_page(response: bytes) -> memoryview | None:
    """Finds the page in a response that has nothing else.

    Args:
        response: The bytes of an ``ApiResponse``.

    Returns:
        A view of the page's bytes; None if the response has other fields, or is malformed.
    """
    history = _only_field(memoryview(response), _HISTORY_TAG)
    return None if history is None else _only_field(history, _PAGE_TAG)


def _only_field(message: memoryview, tag: int) -> memoryview | None:
    """Returns the value of the message's only field, or None if it has another one."""
    if not message or message[0] != tag:
        return None
    length = 0
    for place, byte in enumerate(message[1 : 1 + _LONGEST_LENGTH].tobytes()):
        length |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            value = message[place + 2 :]
            return value if len(value) == length else None
    return None
