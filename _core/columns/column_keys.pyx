"""Which column each key of a scan belongs to, decided when the key is first seen."""

import json

from libc.stdint cimport int32_t
from libcpp.string cimport string

from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.bytes.cursor cimport Cursor, byte_ptr
from histscan._core.wire.item_format cimport PARQUET_ITEM, RECORD_ITEM, ItemSchema, add_item_key
from histscan._core.keys.item_selection cimport ItemSelection
from histscan._core.keys.key_table cimport (
    TARGET_COLUMN, TARGET_OBJECT, TARGET_PATH, TARGET_SHARED, TARGET_SPARSE, TARGET_UNREAD, UNKNOWN_KEY, KeyTable,
    KeyTarget, prefix_of,
)
from histscan._core.rows.message_rows cimport MessageRowDecoder
from histscan._core.columns.nested_items cimport NestedPath


cdef enum:
    # Each key is a column, which costs more than what the table has of it.
    KEY_LIMIT = 1 << 20


cdef KeyTarget shared_target() noexcept nogil:
    """The target of a key whose rows take the slow path."""
    cdef KeyTarget target
    target.column = NULL
    target.kind = TARGET_SHARED
    target.path = -1
    return target


cdef void note_sparse_targets(KeyTable& table) noexcept nogil:
    cdef size_t index
    cdef KeyTarget* target
    for index in range(table.size()):
        target = &table.target(<int32_t> index)
        if target.kind == TARGET_COLUMN and not target.column.is_dense:
            target.kind = TARGET_SPARSE


cdef class ColumnKeys:
    """The keys of one chunk's rows. A `ColumnBuilder` makes new ones for each chunk."""

    def __cinit__(self, ColumnChunk chunk not None, ItemSelection selection, bint flatten):
        self.chunk = chunk
        self.selection = selection
        self.flatten = flatten
        self.record_keys = MessageRowDecoder(RECORD_ITEM)
        self.parquet_keys = MessageRowDecoder(PARQUET_ITEM)
        self.members.table.key_limit = self.items.table.key_limit = KEY_LIMIT
        self.seen_paths = {}
        self.parent_paths = set()
        if selection is not None and not flatten:
            for key in selection.keys:
                chunk.column_named(key)
            chunk.requested = len(chunk.names)

    cdef int note_sparse(self) noexcept nogil:
        """Notes that columns have become sparse."""
        note_sparse_targets(self.members.table)
        note_sparse_targets(self.items.table)
        return 0

    cdef int32_t learn_member_key(self, byte_ptr begin, byte_ptr end) except -2:
        """Interns a key of a JSON row that is written in [begin, end); -1 if it can't be interned."""
        cdef int32_t index
        cdef object key = None
        try:
            key = (<char*> begin)[:end - begin].decode()
            if key[0] == "\\":
                key = key.replace('\\"', '"')
            key = json.loads(key.rstrip().rstrip(":"))
        except ValueError:
            key = None
        if key is None:
            return -1
        index = self.members.table.add(begin, end - begin, prefix_of(begin, end - begin))
        if index != UNKNOWN_KEY:
            (&self.members.table.target(index))[0] = self.resolve(key, False)
        return index

    cdef int32_t learn_item_key(self, Cursor* cursor, ItemSchema schema, byte_ptr begin, byte_ptr end) except -2:
        """Interns the key of an item that is spelt from `begin` to `end`; -1 if it can't be interned."""
        cdef int32_t index
        cdef KeyTarget target
        cdef MessageRowDecoder decoder = self.record_keys if schema == RECORD_ITEM else self.parquet_keys
        cdef object key = None
        try:
            key = decoder.item_key(cursor, begin, end)
        except ValueError:
            pass
        if key is None:
            return -1
        index = add_item_key(self.items.table, begin, end - begin)
        if index != UNKNOWN_KEY:
            # Until its target is set, rows with the key take the slow path; then its path must be known.
            target = self.resolve(key, True)
            self.seen_paths[key if type(key) is tuple else (key,)] = index
            (&self.items.table.target(index))[0] = target
        return index

    cdef KeyTarget resolve(self, object key, bint is_item) except *:
        """The target of the values of a key, or of a path of keys."""
        cdef KeyTarget target = shared_target()
        cdef tuple path = key if type(key) is tuple else (key,)
        cdef tuple places
        cdef object column = path[0]
        cdef tuple below = path[1:]
        cdef int32_t index
        if self.selection is not None:
            places = self.selection.resolve(key)
            if not places:
                if not self.leads_to_wanted(path):
                    target.kind = TARGET_UNREAD
                elif not is_item:
                    target.kind = TARGET_OBJECT
                # An item that is not an object may still replace requested nested ones.
                return target
            if len(places) > 1 or self.leads_to_wanted(path):
                return target
            column = self.selection.keys[places[0][0]]
            below = places[0][1]
        if is_item and (len(path) > 1 or self.parent_paths) and self.has_overlap(path):
            return target
        if self.flatten and below:
            column = ".".join((column, *below))
            below = ()
        index = self.chunk.column_named(column)
        if below:
            target.kind = TARGET_PATH
            target.path = self.add_path(index, below)
        else:
            target.column = &self.chunk.cells.columns[index]
            target.kind = TARGET_COLUMN if target.column.is_dense else TARGET_SPARSE
        return target

    cdef int32_t add_path(self, int32_t column, tuple below) except -1:
        """Records where in its column a nested item belongs."""
        cdef NestedPath path
        path.column = column
        for name in below:
            path.names.push_back(<string> json.dumps(name, ensure_ascii=False).encode())
        self.paths.push_back(path)
        return <int32_t> self.paths.size() - 1

    cdef bint leads_to_wanted(self, tuple path) except -1:
        """Returns True if an object under this path may hold a key that was requested by its dotted name."""
        return ".".join(path) in self.selection.keys_below

    cdef bint has_overlap(self, tuple path) except -1:
        """Returns True if a path of names extends another one that was seen, or another extends it.

        Which of the two a row ends up with depends on their order, so rows with either now take the slow path.
        """
        cdef Py_ssize_t depth
        cdef int32_t index
        cdef bint overlaps = path in self.parent_paths
        for depth in range(1, len(path)):
            overlaps |= path[:depth] in self.seen_paths
            self.parent_paths.add(path[:depth])
        if overlaps:
            for other, index in self.seen_paths.items():
                if other == path[:len(other)] or path == other[:len(path)]:
                    (&self.items.table.target(index))[0] = shared_target()
        return overlaps
