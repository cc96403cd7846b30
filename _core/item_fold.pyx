"""The latest value of each key, over updates that replace and remove.

A log holds a summary as the updates that made it, two for every row of history. Only the last of each key is ever
decoded.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, uint32_t, uint64_t

from histscan._core.cursor cimport Cursor, byte_ptr, hash_bytes, open_cursor
from histscan._core.faults cimport raise_fault, raise_too_deep
from histscan._core.key_memory cimport NOT_REMEMBERED, KeyMemory
from histscan._core.log_page cimport LogPage, OtherRecord
from histscan._core.message_items cimport ITEM_TAG, RECORD_ITEM, skip_keys
from histscan._core.message_rows cimport MessageRowDecoder, put_member
from histscan._core.wire cimport WIRE_BYTES, read_length, read_tag, skip_field

cdef enum:
    REMOVE_TAG = 2 << 3 | WIRE_BYTES    # SummaryRecord.remove, ConfigRecord.remove


cdef class ItemFold:
    """Folds ``SummaryRecord`` or ``ConfigRecord`` messages into the values they leave behind."""

    def __init__(self):
        self.decoder = MessageRowDecoder(RECORD_ITEM)
        self.items = KeyMemory()
        self.others = []

    def add(self, bytes message not None):
        """Fold one message.

        Args:
            message: The bytes of a ``SummaryRecord`` or ``ConfigRecord``.

        Raises:
            HistoryDecodeError: The message is malformed.
        """
        cdef Cursor cursor
        open_cursor(&cursor, <byte_ptr> PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
        self.fold(&cursor)

    def add_page(self, LogPage page not None, int field):
        """Fold all of a page's records of one kind.

        Args:
            page: A page of a log.
            field: The kind, as its field number in ``Record``: 3 summary, 5 config.

        Raises:
            HistoryDecodeError: A record is malformed.
        """
        cdef Cursor cursor
        cdef OtherRecord record
        for record in page.others:
            if record.field == field:
                open_cursor(&cursor, page.span_data(record.span), record.span.end - record.span.begin)
                self.fold(&cursor)

    def values(self):
        """Decode what the messages so far leave behind.

        Returns:
            A new dict; nested keys make nested dicts.

        Raises:
            HistoryDecodeError: A value is malformed.
        """
        cdef dict values = {}
        cdef Cursor cursor
        cdef FoldedItem item
        cdef bytes message
        cdef list events = self.others[:]
        for item in self.latest:
            message = <bytes> item.message
            if item.updated:
                events.append((item.updated, False, message))
            if item.removed:
                events.append((item.removed, True, message))
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

    cdef int fold(self, Cursor* cursor) except -1:
        """Takes a whole message."""
        cdef uint32_t tag = 0
        cdef byte_ptr item_end = NULL
        while cursor.pos < cursor.end:
            if not read_tag(cursor, &tag):
                raise_fault(cursor)
            if tag == ITEM_TAG or tag == REMOVE_TAG:
                if not read_length(cursor, &item_end):
                    raise_fault(cursor)
                self.fold_item(cursor.pos, item_end, tag == REMOVE_TAG)
                cursor.pos = item_end
            elif not skip_field(cursor, tag):
                raise_fault(cursor)
        return 0

    cdef int fold_item(self, byte_ptr begin, byte_ptr end, bint is_removed) except -1:
        """Keeps one item as its key's latest update or removal."""
        cdef Cursor item
        cdef uint64_t hash
        cdef int32_t index
        cdef FoldedItem* latest
        open_cursor(&item, begin, end - begin)
        if not skip_keys(&item, True):
            raise_fault(&item)
        hash = hash_bytes(begin, item.pos - begin)
        index = self.items.find(begin, item.pos - begin, hash)
        if index == NOT_REMEMBERED:
            index = self.items.remember(begin, item.pos - begin, hash, None)
            if index != NOT_REMEMBERED:
                self.latest.resize(index + 1)
        self.count += 1
        if index == NOT_REMEMBERED:
            self.others.append((self.count, is_removed, (<char*> begin)[:end - begin]))
            return 0
        latest = &self.latest[index]
        if is_removed:
            latest.removed = self.count
        else:
            latest.updated = self.count
        if not is_removed or not latest.updated:
            latest.message.assign(<const char*> begin, end - begin)
        return 0


cdef int remove_member(dict values, object key) except -1:
    """Takes away the member under a key, or under a path of keys, if it is there, and dicts that this leaves empty."""
    cdef tuple path = key if type(key) is tuple else (key,)
    cdef object below = values.get(path[0])
    if len(path) == 1:
        values.pop(path[0], None)
    elif type(below) is dict:
        remove_member(below, path[1:])
        if not below:
            del values[path[0]]
    return 0
