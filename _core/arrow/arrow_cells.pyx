"""Values in Arrow's buffers as cells of columns, without the GIL and without a Python object for any value.

A row that is malformed, or legal but rare (bytes, columns of one name, keys that may mean several members), takes the
slow path, as in ``column_builder``.
"""

import json

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libcpp.string cimport string

from histscan._core.arrow.arrow_batch cimport ArrowBatch
from histscan._core.arrow.arrow_layout cimport (
    ARROW_BINARY, ARROW_BOOL, ARROW_DOUBLE, ARROW_FIXED_BINARY, ARROW_FIXED_LIST, ARROW_HALF, ARROW_INT8, ARROW_JSON,
    ARROW_LARGE_BINARY, ARROW_LARGE_JSON, ARROW_LARGE_LIST, ARROW_LARGE_TEXT, ARROW_LIST, ARROW_NULL, ARROW_STRUCT,
    ARROW_TEXT, ARROW_UINT64, ArrowKind, ArrowTarget,
)
from histscan._core.arrow.arrow_rows cimport ArrowPage
from histscan._core.arrow.arrow_values cimport bit_at
from histscan._core.columns.column_cells cimport (
    CELL_JSON, CELL_NULL, TYPE_JSON, Cell, Column, check_text, is_sound_value, list_type_flags, put_bool, put_document,
    put_double, put_int64, put_uint64, put_utf8, text_bits,
)
from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.bytes.cursor cimport Cursor, byte_ptr, find_invalid_utf8, open_cursor
from histscan._core.keys.item_selection cimport ItemSelection
from histscan._core.memory.text_room cimport TextRoom
from histscan._core.pages.page cimport RowSpan
from histscan._core.json.json_write cimport write_double, write_int64, write_literal, write_string, write_uint64

cdef extern from "arrow/iso_time.hpp" namespace "histscan" nogil:
    const size_t ISO_TEXT_SIZE

cdef extern from "arrow/arrow_values.hpp" namespace "histscan" nogil:
    bint is_step(double number)

cdef enum:
    NO_COLUMN = -1

# Around JSON text.
cdef bytes SPACE = b" \t\n\r"


cdef class ArrowCells:
    """Makes cells of the rows of one batch.

    Args:
        batch: The batch.
        chunk: The chunk whose columns the values become.
        selection: The requested keys; None for all. The chunk has their columns already, unless values are flattened.
        flatten: Nested values become columns with dotted names, instead of one column of JSON text.
    """

    def __cinit__(self, ArrowBatch batch not None, ColumnChunk chunk not None, ItemSelection selection, bint flatten):
        cdef size_t place
        cdef const ArrowTarget* target
        self.batch = batch
        self.chunk = chunk
        self.flatten = flatten
        self.nodes = batch.layout.nodes.data()
        self.columns = batch.columns.data()
        self.names = []
        for place in range(batch.layout.nodes.size()):
            self.member_texts.push_back(
                <string> (json.dumps(<object> self.nodes[place].name, ensure_ascii=False) + ": ").encode()
            )
        for place in range(batch.layout.targets.size()):
            target = &batch.layout.targets[place]
            self.needs_slow_path |= target.json_path != NULL
            self.add_key(<object> target.key, target.node, selection)
        # Of values under one name the last one counts: the slow path handles that.
        self.needs_slow_path |= len(set(self.names)) < len(self.names)

    cdef int add_key(self, str key, int32_t node, ItemSelection selection) except -1:
        """Adds the sources of a key of the rows: of the whole value, or of the requested members."""
        if selection is None:
            return self.add_sources(key, node)
        if key in selection.slots:
            self.add_sources(key, node)
        for wanted in selection.keys_below.get(key, ()):
            members = self.members_named(node, wanted[len(key) + 1:])
            self.needs_slow_path |= len(members) > 1
            for member in members:
                self.add_sources(wanted, member)
        return 0

    cdef list members_named(self, int32_t node, str dotted):
        """The nodes that a dotted name may mean within a struct; the parts may have dots themselves."""
        cdef int32_t child, first
        cdef list found = []
        if self.is_json(node) or self.nodes[node].dictionary >= 0:
            self.needs_slow_path = True
        elif self.nodes[node].kind == ARROW_STRUCT:
            first = self.nodes[node].first_child
            for child in range(first, first + self.nodes[node].child_count):
                name = <object> self.nodes[child].name
                if dotted == name:
                    found.append(child)
                elif dotted.startswith(f"{name}."):
                    found.extend(self.members_named(child, dotted[len(name) + 1:]))
        return found

    cdef int add_sources(self, str name, int32_t node) except -1:
        """Adds the source of a value; if nested values are flattened, those of a struct's members."""
        cdef int32_t child
        if not self.is_writable(node) or (self.flatten and self.is_json(node)):
            # Only a value's text shows if it has members.
            self.needs_slow_path = True
        if not self.flatten or self.nodes[node].kind != ARROW_STRUCT:
            return self.add_source(name, node, False)
        for child in range(self.nodes[node].first_child, self.nodes[node].first_child + self.nodes[node].child_count):
            self.add_sources(f"{name}.{<object> self.nodes[child].name}", child)
        return self.add_source(name, node, True)

    cdef int add_source(self, str name, int32_t node, bint is_empty_struct) except -1:
        cdef CellSource source
        cdef ValueMask mask
        cdef int32_t place = node
        if self.nodes[node].kind == ARROW_NULL:
            return 0
        source.node = node
        source.begin = self.batch.shift_of(node) + self.columns[node].offset
        source.first_mask = self.masks.size()
        source.is_step = node == self.batch.layout.step_node
        source.is_empty_struct = is_empty_struct
        # The batch itself is a struct, too, of which no row is null.
        while place > 0:
            mask.validity = self.columns[place].validity
            mask.begin = self.batch.shift_of(place) + self.columns[place].offset
            if mask.validity != NULL:
                self.masks.push_back(mask)
            place = self.nodes[place].parent
        source.mask_count = self.masks.size() - source.first_mask
        source.column = self.chunk.index_of.get(name, NO_COLUMN)
        self.sources.push_back(source)
        self.names.append(name)
        return 0

    cdef bint is_json(self, int32_t node) noexcept:
        """Returns True if the node's values are JSON text."""
        if self.nodes[node].dictionary >= 0:
            node = self.nodes[node].dictionary
        return self.nodes[node].kind == ARROW_JSON or self.nodes[node].kind == ARROW_LARGE_JSON

    cdef bint is_writable(self, int32_t node) except -1:
        """Returns True if values of the node, and of all that is nested in it, can become cells here: bytes can't."""
        cdef int32_t child
        if self.nodes[node].kind in (ARROW_BINARY, ARROW_LARGE_BINARY, ARROW_FIXED_BINARY):
            return False
        if self.nodes[node].dictionary >= 0 and not self.is_writable(self.nodes[node].dictionary):
            return False
        for child in range(self.nodes[node].first_child, self.nodes[node].first_child + self.nodes[node].child_count):
            if not self.is_writable(child):
                return False
        return True

    cdef bint has_value(self, const CellSource* source, int64_t row) noexcept nogil:
        """Returns True if a row of the batch has the source's value."""
        cdef size_t index
        cdef int32_t child
        cdef double step
        for index in range(source.first_mask, source.first_mask + source.mask_count):
            if not bit_at(self.masks[index].validity, self.masks[index].begin + row):
                return False
        if self.nodes[source.node].dictionary >= 0:
            return not self.batch.is_null(source.node, source.begin + row - self.columns[source.node].offset)
        if source.is_empty_struct:
            child = self.nodes[source.node].first_child
            for child in range(child, child + self.nodes[source.node].child_count):
                if not self.batch.is_null(child, source.begin + row):
                    return False
        elif source.is_step and self.nodes[source.node].kind > ARROW_UINT64:
            step = self.batch.read_float(source.node, source.begin + row)
            # NaN is not a step.
            return step == step
        return True

    cdef Column* column_of(self, CellSource* source, str name) except NULL:
        """The column of a source that has a value now."""
        source.column = self.chunk.column_named(name)
        return &self.chunk.cells.columns[source.column]

    cdef int add_row(self, int64_t row, size_t place, size_t row_limit) except -1 nogil:
        """Makes cells of a row of the batch, in the chunk's row `place`; 0 where it takes the slow path."""
        cdef size_t index
        cdef CellSource* source
        cdef Column* column
        cdef Cell cell
        cdef int done
        for index in range(self.sources.size()):
            source = &self.sources[index]
            if not self.has_value(source, row):
                continue
            if source.column == NO_COLUMN:
                with gil:
                    column = self.column_of(source, self.names[index])
            else:
                column = &self.chunk.cells.columns[source.column]
            cell = self.chunk.cells.cell(column[0], place, row_limit)
            if source.is_step:
                done = self.put_step(column, cell, source.node, source.begin + row)
            else:
                done = self.put_value(column, cell, source.node, source.begin + row)
            if done != 1:
                return 0
            if self.chunk.notes_nulls and cell.tag[0] == CELL_NULL:
                column.null_rows.push_back(place)
        return 1

    cdef dict texts_of(self, int64_t row):
        """The JSON text of a row's nested values, by their keys."""
        cdef dict texts = {}
        cdef size_t place
        cdef const ArrowTarget* target
        cdef int64_t index
        cdef TextRoom text
        for place in range(self.batch.layout.targets.size()):
            target = &self.batch.layout.targets[place]
            if target.json_path != NULL or target.is_step or not self.is_writable(target.node):
                continue
            if not self.batch.has_value(target, self.batch.target_shifts[place], row):
                continue
            index = row + self.batch.target_shifts[place] + self.columns[target.node].offset
            text.clear()
            # The text of a value that is not UTF-8 is not written.
            if self.write_value(target.node, index, text) == 1:
                texts[<object> target.key] = (<char*> text.data())[:text.size()].strip(SPACE)
        return texts

    cdef int put_step(self, Column* column, Cell cell, int32_t node, int64_t index) except -1 nogil:
        """Makes a cell of a row's step; 0 where it is not an integer, or does not fit 64 bits."""
        cdef ArrowKind kind = self.nodes[node].kind
        cdef int64_t step
        cdef double number
        if kind <= ARROW_UINT64:
            step = self.batch.read_integer(node, index)
            if kind == ARROW_UINT64 and step < 0:
                return 0
        else:
            number = self.batch.read_float(node, index)
            if not is_step(number):
                return 0
            step = <int64_t> number
        put_int64(column, cell, step)
        return 1

    cdef int put_value(self, Column* column, Cell cell, int32_t node, int64_t index) except -1 nogil:
        """Makes a cell of the value, which is not null, at a place in the node's buffers; 0 for the slow path."""
        cdef ArrowKind kind = self.nodes[node].kind
        cdef int64_t number
        cdef size_t offset
        cdef byte_ptr begin = NULL
        cdef byte_ptr end = NULL
        cdef char[ISO_TEXT_SIZE] text
        cdef size_t length
        cdef Cursor cursor
        if self.nodes[node].dictionary >= 0:
            number = self.batch.read_integer(node, index)
            node = self.nodes[node].dictionary
            if not 0 <= number < self.columns[node].length:
                return 0
            return self.put_value(column, cell, node, number + self.columns[node].offset)
        if ARROW_HALF <= kind <= ARROW_DOUBLE:
            put_double(column, cell, self.batch.read_float(node, index))
        elif ARROW_INT8 <= kind <= ARROW_UINT64:
            number = self.batch.read_integer(node, index)
            if kind == ARROW_UINT64 and number < 0:
                put_uint64(column, cell, <uint64_t> number)
            else:
                put_int64(column, cell, number)
        elif kind == ARROW_BOOL:
            put_bool(column, cell, bit_at(self.columns[node].values, index))
        elif kind == ARROW_TEXT or kind == ARROW_LARGE_TEXT:
            if not self.find_text(node, index, &begin, &end) or find_invalid_utf8(begin, end) != end:
                return 0
            put_utf8(column, cell, begin, end)
        elif kind == ARROW_JSON or kind == ARROW_LARGE_JSON:
            if not self.find_text(node, index, &begin, &end):
                return 0
            open_cursor(&cursor, begin, end - begin)
            return put_document(column, cell, &cursor)
        elif kind == ARROW_STRUCT or kind == ARROW_LIST or kind == ARROW_LARGE_LIST or kind == ARROW_FIXED_LIST:
            offset = column.text.size()
            if self.write_value(node, index, column.text) != 1:
                column.text.resize(offset)
                return 0
            check_text(column, 0)
            cell.bits[0] = text_bits(offset, column.text.size() - offset)
            cell.tag[0] = CELL_JSON
            if kind == ARROW_STRUCT:
                column.type_flags |= TYPE_JSON
            else:
                column.type_flags |= list_type_flags(
                    column.text.data() + offset, column.text.data() + column.text.size()
                )
        else:
            length = self.batch.write_time(node, index, text)
            if length == 0:
                return 0
            put_utf8(column, cell, <byte_ptr> text, <byte_ptr> text + length)
        return 1

    cdef bint find_text(self, int32_t node, int64_t index, byte_ptr* begin, byte_ptr* end) noexcept nogil:
        """Finds the text of a value; returns False if its offsets are invalid."""
        cdef int64_t first = 0
        cdef int64_t last = 0
        if not self.batch.find_extent(node, index, &first, &last):
            return False
        begin[0] = end[0] = <byte_ptr> <const char*> ""
        if first < last:
            begin[0] = self.columns[node].text + first
            end[0] = self.columns[node].text + last
        return True

    cdef int write_value(self, int32_t node, int64_t index, TextRoom& out) except -1 nogil:
        """Writes the value, which is not null, at a place in the node's buffers as JSON text; 0 for the slow path."""
        cdef ArrowKind kind = self.nodes[node].kind
        cdef int64_t number
        cdef byte_ptr begin = NULL
        cdef byte_ptr end = NULL
        cdef char[ISO_TEXT_SIZE] text
        cdef size_t length
        cdef Cursor cursor
        if self.nodes[node].dictionary >= 0:
            number = self.batch.read_integer(node, index)
            node = self.nodes[node].dictionary
            if not 0 <= number < self.columns[node].length:
                return 0
            return self.write_value(node, number + self.columns[node].offset, out)
        if ARROW_HALF <= kind <= ARROW_DOUBLE:
            write_double(self.batch.read_float(node, index), out)
        elif kind == ARROW_UINT64:
            write_uint64(<uint64_t> self.batch.read_integer(node, index), out)
        elif ARROW_INT8 <= kind < ARROW_UINT64:
            write_int64(self.batch.read_integer(node, index), out)
        elif kind == ARROW_BOOL:
            write_literal("true" if bit_at(self.columns[node].values, index) else "false", out)
        elif kind == ARROW_TEXT or kind == ARROW_LARGE_TEXT:
            if not self.find_text(node, index, &begin, &end) or find_invalid_utf8(begin, end) != end:
                return 0
            write_string(begin, end - begin, out)
        elif kind == ARROW_JSON or kind == ARROW_LARGE_JSON:
            if not self.find_text(node, index, &begin, &end):
                return 0
            open_cursor(&cursor, begin, end - begin)
            if not is_sound_value(&cursor):
                return 0
            out.append(begin, end - begin)
        elif kind == ARROW_STRUCT:
            return self.write_struct(node, index, out)
        elif kind == ARROW_LIST or kind == ARROW_LARGE_LIST or kind == ARROW_FIXED_LIST:
            return self.write_list(node, index, out)
        else:
            length = self.batch.write_time(node, index, text)
            if length == 0:
                return 0
            write_string(<byte_ptr> text, length, out)
        return 1

    cdef int write_list(self, int32_t node, int64_t index, TextRoom& out) except -1 nogil:
        """Writes a list, null items as null."""
        cdef int32_t child = self.nodes[node].first_child
        cdef int64_t begin = index * self.nodes[node].fixed_size
        cdef int64_t end = begin + self.nodes[node].fixed_size
        cdef int64_t item
        if self.nodes[node].kind != ARROW_FIXED_LIST and not self.batch.find_extent(node, index, &begin, &end):
            return 0
        out.push_back(c'[')
        for item in range(begin, end):
            if item > begin:
                write_literal(", ", out)
            if self.batch.is_null(child, item):
                write_literal("null", out)
            elif self.write_value(child, item + self.columns[child].offset, out) != 1:
                return 0
        out.push_back(c']')
        return 1

    cdef int write_struct(self, int32_t node, int64_t index, TextRoom& out) except -1 nogil:
        """Writes the members of a struct that are not null."""
        cdef int32_t child
        cdef const uint8_t* name
        cdef bint is_first = True
        out.push_back(c'{')
        for child in range(self.nodes[node].first_child, self.nodes[node].first_child + self.nodes[node].child_count):
            if self.batch.is_null(child, index):
                continue
            if not is_first:
                write_literal(", ", out)
            is_first = False
            name = <const uint8_t*> self.member_texts[child].data()
            out.append(name, self.member_texts[child].size())
            if self.write_value(child, index + self.columns[child].offset, out) != 1:
                return 0
        out.push_back(c'}')
        return 1


cdef Py_ssize_t add_arrow_rows(
    ArrowPage page, list readers, ColumnChunk chunk, ItemSelection selection, bint flatten,
    Py_ssize_t first, Py_ssize_t end,
) except -1:
    """Adds rows of a page from `first` up to `end`, and returns the first one that takes the slow path, or `end`.

    `readers` has an item for each of the page's batches, None at first; they are for this chunk alone.
    """
    cdef Py_ssize_t index = first
    cdef Py_ssize_t batch
    cdef size_t row = chunk.row_count
    cdef size_t row_limit = row + (end - first)
    cdef ArrowCells cells
    cdef int added = 1
    try:
        while index < end and added:
            batch = page.spans[index].end
            cells = readers[batch]
            if cells is None:
                cells = readers[batch] = ArrowCells(page.sources[batch], chunk, selection, flatten)
            if cells.needs_slow_path:
                break
            with nogil:
                while index < end and page.spans[index].end == batch:
                    added = cells.add_row(page.spans[index].begin, row, row_limit)
                    if not added:
                        break
                    index += 1
                    row += 1
    finally:
        chunk.row_count = row
        if index < end:
            chunk.cells.clear_row(row)
    return index


cdef dict arrow_texts(ArrowPage page, list readers, Py_ssize_t index):
    """The JSON text of the nested values of a row, which `add_arrow_rows` has returned."""
    cdef RowSpan span = page.spans[index]
    return (<ArrowCells> readers[span.end]).texts_of(span.begin)
