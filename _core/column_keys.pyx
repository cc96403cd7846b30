"""Which column each key of a scan belongs to, decided when the key is seen first."""

import json

from libc.stdint cimport int32_t, uint64_t
from libcpp.string cimport string

from histscan._core.column_chunk cimport ColumnChunk
from histscan._core.cursor cimport Cursor, byte_ptr
from histscan._core.expected_items cimport expect_item
from histscan._core.expected_keys cimport OTHER_COLUMN, UNREAD_COLUMN
from histscan._core.expected_members cimport expect_member
from histscan._core.item_selection cimport ItemSelection
from histscan._core.key_memory cimport NOT_REMEMBERED, KeyMemory, RememberedKey
from histscan._core.message_items cimport ITEM_TAG, PARQUET_ITEM, RECORD_ITEM, ItemSchema
from histscan._core.message_rows cimport MessageRowDecoder
from histscan._core.nested_items cimport NestedPath


cdef int32_t expected_column(KeyTarget target) noexcept nogil:
    """Where the value of an expected key goes, in the terms of those who read it."""
    if target.column == SKIPPED_COLUMN:
        return UNREAD_COLUMN
    return OTHER_COLUMN if target.column < 0 or target.path >= 0 else target.column


cdef KeyTarget undecided_target() noexcept nogil:
    """What a key stands for if the search for its column fails: every key that is remembered has some target."""
    cdef KeyTarget target
    target.column = SHARED_COLUMN
    target.path = -1
    return target


cdef class ColumnKeys:
    """The keys of one chunk's rows. Made by a `ColumnBuilder`, for each chunk anew."""

    def __cinit__(self, ColumnChunk chunk not None, ItemSelection selection, bint flatten):
        self.chunk = chunk
        self.selection = selection
        self.flatten = flatten
        self.record_keys = MessageRowDecoder(RECORD_ITEM)
        self.parquet_keys = MessageRowDecoder(PARQUET_ITEM)
        self.json_keys = KeyMemory()
        self.items = KeyMemory()
        self.seen_paths = {}
        self.parent_paths = set()
        if selection is not None and not flatten:
            for key in selection.keys:
                chunk.column_named(key)

    cdef int32_t remember_json_key(self, byte_ptr begin, byte_ptr end, uint64_t hash, bint is_quoted) except -2:
        """Makes a key of a JSON row known that was passed over from `begin` to `end`; -1 if it can't be."""
        cdef int32_t index
        cdef object key
        try:
            key = (<char*> begin)[:end - begin].decode()
            if is_quoted:
                key = key.replace('\\"', '"')
            key = json.loads(key.rstrip().rstrip(":"))
        except ValueError:
            return -1
        index = self.json_keys.remember(begin, end - begin, hash, key)
        if index != NOT_REMEMBERED:
            self.note_json_order(False)
            self.json_order.targets.push_back(undecided_target())
            self.json_order.targets[index] = self.resolve(key, False)
        return index

    cdef int32_t remember_item_key(
        self, Cursor* cursor, ItemSchema schema, byte_ptr begin, byte_ptr end, uint64_t hash
    ) except -2:
        """Makes the key of an item known that is spelt from `begin` to `end`; -1 if it can't be."""
        cdef int32_t index
        cdef const RememberedKey* entry
        cdef KeyTarget target
        cdef MessageRowDecoder decoder = self.record_keys if schema == RECORD_ITEM else self.parquet_keys
        cdef object key
        try:
            key = decoder.item_key(cursor, begin, end)
        except ValueError:
            return -1
        index = self.items.remember(begin, end - begin, hash, key)
        if index != NOT_REMEMBERED:
            # What is expected was said of the targets as they were; a key that overlaps with others changes theirs.
            self.note_item_order(False)
            self.item_order.targets.push_back(undecided_target())
            target = self.item_order.targets[index] = self.resolve(key, True)
            entry = &self.items.entries[index]
            self.known_items.add(index, expect_item(entry.text, entry.length, ITEM_TAG, expected_column(target)))
            self.seen_paths[key if type(key) is tuple else (key,)] = index
        return index

    cdef int note_json_order(self, bint repeats) except -1 nogil:
        """Says of a row whether its keys came in the order of the row before: then the next row's are expected."""
        cdef const RememberedKey* key
        cdef int32_t index
        if self.json_order.repeats == repeats:
            return 0
        self.json_order.repeats = repeats
        self.expected_members.forget()
        if repeats:
            for index in self.json_order.order:
                key = &self.json_keys.entries[index]
                self.expected_members.keys.push_back(
                    expect_member(key.text, key.length, expected_column(self.json_order.targets[index]))
                )
        return 0

    cdef int note_item_order(self, bint repeats) except -1 nogil:
        """Says the same of a row of items."""
        cdef const RememberedKey* key
        cdef int32_t index
        cdef int32_t column
        if self.item_order.repeats == repeats:
            return 0
        self.item_order.repeats = repeats
        self.expected_items.forget()
        self.has_plain_items = False
        if repeats:
            self.has_plain_items = not self.item_order.order.empty()
            for index in self.item_order.order:
                key = &self.items.entries[index]
                column = expected_column(self.item_order.targets[index])
                self.has_plain_items &= column != OTHER_COLUMN
                self.expected_items.keys.push_back(expect_item(key.text, key.length, ITEM_TAG, column))
        return 0

    cdef KeyTarget resolve(self, object key, bint is_item) except *:
        """The column of a key, or of a path of keys, and what the path is within it."""
        cdef KeyTarget target
        cdef tuple path = key if type(key) is tuple else (key,)
        cdef tuple places
        cdef object column = path[0]
        cdef tuple below = path[1:]
        target.path = -1
        if self.selection is not None:
            places = self.selection.resolve(key)
            if not places:
                if not self.leads_to_wanted(path):
                    target.column = SKIPPED_COLUMN
                else:
                    # An item that is no object may still replace nested ones that were asked for.
                    target.column = SHARED_COLUMN if is_item else OBJECT_COLUMN
                return target
            if len(places) > 1 or self.leads_to_wanted(path):
                target.column = SHARED_COLUMN
                return target
            column = self.selection.keys[places[0][0]]
            below = places[0][1]
        if is_item and self.has_overlap(path):
            target.column = SHARED_COLUMN
            return target
        if self.flatten and below:
            column = ".".join((column, *below))
            below = ()
        target.column = self.chunk.column_named(column)
        if below:
            target.path = self.add_path(target.column, below)
        return target

    cdef int32_t add_path(self, int32_t column, tuple below) except -1:
        """Makes it known where in its column a nested item belongs."""
        cdef NestedPath path
        path.column = column
        for name in below:
            path.names.push_back(<string> json.dumps(name, ensure_ascii=False).encode())
        self.paths.push_back(path)
        return <int32_t> self.paths.size() - 1

    cdef bint leads_to_wanted(self, tuple path) except -1:
        """Whether an object under this path may hold a key that was asked for by its dotted name."""
        cdef str prefix = ".".join(path) + "."
        cdef str wanted
        for wanted in self.selection.keys:
            if wanted.startswith(prefix):
                return True
        return False

    cdef bint has_overlap(self, tuple path) except -1:
        """Whether a path of names goes on from another one that was seen, or another from it.

        Which of the two a row has at last depends on their order, so rows with either take care from now on.
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
                    self.item_order.targets[index].column = SHARED_COLUMN
                    self.item_order.targets[index].path = -1
                    self.known_items.leave(index)
        return overlaps
