"""The text of nested values, as the writer of a row wrote them."""

from histscan._core.bytes.cursor cimport Cursor
from histscan._core.rows.message_rows cimport MessageRowDecoder


cdef bint needs_texts(dict values, bint flatten) except -1
cdef dict member_texts(bytes text)
cdef dict item_texts(Cursor* cursor, MessageRowDecoder decoder)
