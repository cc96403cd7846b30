"""Only the requested keys: rows that lack one are skipped, and other values are not decoded."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t
from libcpp cimport bool as cpp_bool

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.rows.called_sink cimport ROW_DONE, CalledSink, read_item_row
from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.bytes.faults cimport raise_fault
from histscan._core.wire.item_format cimport RECORD_ITEM
from histscan._core.json.json_value cimport decode_document
from histscan._core.keys.key_objects cimport KeyObjects
from histscan._core.keys.key_table cimport UNKNOWN_KEY
from histscan._core.rows.message_rows cimport MessageRowDecoder, put_member
from histscan._core.keys.row_template cimport RowTemplate


cdef class SelectedRow:
    """A row while it is read for a selection."""
    cdef ItemSelection selection
    cdef dict row           # the row being decoded; None where the row is only searched for its keys
    cdef list missing       # for each of the keys, True while the row lacks it
    cdef tuple new_places   # of the latest new key

    cdef int read(self, ItemSelection selection, Cursor* cursor) except -1:
        """Reads the row that is the cursor's message."""
        cdef CalledSink sink
        cdef RowTemplate unused
        cdef RowTemplate* row_template
        cdef bint was_busy = selection.busy
        sink.self = <void*> self
        sink.put_value = put_item
        sink.learn_key = learn_key
        sink.put_rare_member = put_rare_item
        sink.leave = leave_template
        self.selection = selection
        self.missing = [True] * len(selection.keys)
        selection.busy = True
        try:
            # Freeing an object within a row may run code that reads another row; that one does not use the template.
            row_template = &unused if was_busy else &selection.row_template
            if read_item_row(cursor, RECORD_ITEM, selection.items.table, row_template[0], sink) != ROW_DONE:
                raise_fault(cursor)
        finally:
            selection.busy = was_busy
        return 0

    cdef int put(self, tuple places, Cursor* item, bint is_odd) except -1:
        """Reads the value of a requested item, and records which keys it has."""
        for slot, _ in places:
            self.missing[slot] = False
        if self.row is None or not places:
            return ROW_DONE
        decoder = self.selection.decoder
        value = decoder.odd_item_value(item) if is_odd else decode_document(item, decoder.context)
        for slot, path in places:
            if path:
                put_member(self.row, (self.selection.keys[slot], *path), value)
            else:
                self.row[self.selection.keys[slot]] = value
        return ROW_DONE


cdef int put_item(void* self, int32_t index, Cursor* value) except -1:
    cdef SelectedRow row = <SelectedRow> self
    return row.put(row.new_places if index == UNKNOWN_KEY else row.selection.items.object_at(index), value, False)


cdef int learn_key(void* self, Cursor* value, byte_ptr begin, byte_ptr end, int32_t* index) except -1:
    cdef SelectedRow row = <SelectedRow> self
    cdef ItemSelection selection = row.selection
    row.new_places = selection.resolve(selection.decoder.item_key(value, begin, end))
    index[0] = selection.items.add(begin, end - begin, row.new_places)
    return ROW_DONE


cdef int put_rare_item(void* self, Cursor* item, cpp_bool is_removal) except -1:
    cdef SelectedRow row = <SelectedRow> self
    return row.put(row.selection.resolve(row.selection.decoder.item_key_anywhere(item)), item, True)


cdef int leave_template(void* self, size_t count) except -1:
    return ROW_DONE


cdef class ItemSelection:
    """The requested keys, and the items that they refer to.

    A key means the item of that name. Where names are nested it may be dotted (``"validation.loss"``), or name the
    dict that several items make up (``"validation"``).

    Args:
        keys: The requested keys; rows have only these, in this order.
    """

    def __cinit__(self, keys):
        self.keys = tuple(dict.fromkeys(keys))
        self.slots = {key: slot for slot, key in enumerate(self.keys)}
        self.keys_below = {}
        for key in self.keys:
            dot = key.find(".")
            while dot >= 0:
                self.keys_below.setdefault(key[:dot], []).append(key)
                dot = key.find(".", dot + 1)
        self.decoder = MessageRowDecoder(RECORD_ITEM)
        self.items = KeyObjects(are_items=True)

    cdef tuple resolve(self, object key):
        """The places of a name, or of a path of names: for each requested key that it belongs to, the key's index in
        `keys` and the path below it. More than one only where the requested keys overlap."""
        cdef Py_ssize_t depth
        cdef list places = []
        if type(key) is str:
            key = (key,)
        for depth in range(1, len(key) + 1):
            slot = self.slots.get(".".join(key[:depth]))
            if slot is not None:
                places.append((slot, tuple(key[depth:])))
        return tuple(places)

    cdef bint has_all(self, Cursor* cursor) except -1:
        """Returns True if the row that is the cursor's message has every requested key; decodes nothing."""
        cdef CriticalSection section
        section.enter(self)
        cdef SelectedRow row = SelectedRow()
        row.read(self, cursor)
        return not any(row.missing)

    cdef dict decode_row(self, Cursor* cursor):
        """Decodes the row that is the cursor's message, with only the requested keys; the row must have all of them."""
        cdef CriticalSection section
        section.enter(self)
        cdef SelectedRow row = SelectedRow()
        row.row = dict.fromkeys(self.keys)
        row.read(self, cursor)
        return row.row


MISSING = object()


cdef object find_below(object value, str dotted):
    """Finds the value nested under a dotted name, whose parts may have dots themselves; MISSING if there is none."""
    cdef object found
    if type(value) is not dict:
        return MISSING
    if dotted in value:
        return (<dict> value)[dotted]
    for name, below in (<dict> value).items():
        if dotted.startswith(f"{name}."):
            found = find_below(below, dotted[len(name) + 1:])
            if found is not MISSING:
                return found
    return MISSING
