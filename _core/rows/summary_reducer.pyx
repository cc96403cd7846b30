"""The latest value of each key, over updates that replace and remove.

A log holds a summary as the updates that made it, two for every row of history. Only the last of each key is ever
decoded.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.bytes.cursor cimport Cursor, byte_ptr, open_cursor
from histscan._core.bytes.faults cimport raise_fault, raise_too_deep
from histscan._core.wire.item_format cimport UPDATE_ITEM
from histscan._core.pages.log_page cimport LogPage, OtherRecord
from histscan._core.rows.message_rows cimport MessageRowDecoder, put_member


cdef class SummaryReducer:
    """Reduces ``SummaryRecord`` or ``ConfigRecord`` messages to the values they leave behind."""

    def __cinit__(self):
        self.decoder = MessageRowDecoder(UPDATE_ITEM)

    def add(self, bytes message not None):
        """Add one message.

        Args:
            message: The bytes of a ``SummaryRecord`` or ``ConfigRecord``.

        Raises:
            HistoryDecodeError: The message is malformed.
        """
        cdef CriticalSection section
        section.enter(self)
        cdef Cursor cursor
        open_cursor(&cursor, <byte_ptr> PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
        self.reduce(&cursor)

    def add_page(self, LogPage page not None, int field):
        """Add all of a page's records of one kind.

        Args:
            page: A page of a log.
            field: The kind, as its field number in ``Record``: 3 summary, 5 config.

        Raises:
            HistoryDecodeError: A record is malformed.
        """
        cdef CriticalSection section
        section.enter(self)
        cdef Cursor cursor
        cdef OtherRecord record
        for record in page.others:
            if record.field == <uint32_t> field:
                open_cursor(&cursor, page.span_data(record.span.begin), record.span.end - record.span.begin)
                self.reduce(&cursor)

    def values(self):
        """Decode the values that remain after the messages so far.

        Returns:
            A new dict; nested keys make nested dicts.

        Raises:
            HistoryDecodeError: A value is malformed.
        """
        cdef CriticalSection section
        section.enter(self)
        cdef dict values = {}
        cdef Cursor cursor
        cdef size_t index
        cdef list events = []
        cdef bytes message
        for index in range(self.items.known.size()):
            put_events(self.items.known[index], events)
        for index in range(self.items.others.size()):
            put_events(self.items.others[index], events)
        events.sort()
        for _, is_removed, message in events:
            open_cursor(&cursor, <byte_ptr> PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
            key = self.decoder.item_key_anywhere(&cursor)
            if is_removed:
                remove_member(values, key)
            else:
                try:
                    put_member(values, key, self.decoder.odd_item_value(&cursor))
                except RecursionError:
                    raise_too_deep(&cursor)
        return values

    cdef int reduce(self, Cursor* cursor) except -1:
        """Reads a whole message."""
        if not read_updates(cursor, self.items):
            raise_fault(cursor)
        return 0


cdef int put_events(const LatestItem& item, list events) except -1:
    """Adds the latest events of one key, as their number, True for a removal, and the message."""
    if item.updated:
        events.append((item.updated, False, item.message.data()[:item.message.size()]))
    if item.removed:
        events.append((item.removed, True, item.message.data()[:item.message.size()]))
    return 0


cdef int remove_member(dict values, object key) except -1:
    """Removes the member under a key, or under a path of keys, if it exists, and dicts that become empty."""
    cdef tuple path = key if type(key) is tuple else (key,)
    cdef object below = values.get(path[0])
    if len(path) == 1:
        values.pop(path[0], None)
    elif type(below) is dict:
        remove_member(below, path[1:])
        if not below:
            del values[path[0]]
    return 0
