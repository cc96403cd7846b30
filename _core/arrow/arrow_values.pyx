"""Single values out of the buffers of Arrow arrays that were imported through the C data interface.

Arrow says where a buffer begins, but not where it ends. What buffers, lengths and offsets say of each other is checked,
once for each array or where a value is decoded.
"""

from binascii import b2a_base64

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_SetItem
from cpython.float cimport PyFloat_FromDouble
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset
from libcpp.vector cimport vector

from histscan._core.arrow.arrow_abi cimport ArrowArray
from histscan._core.arrow.arrow_layout cimport (
    ARROW_BINARY, ARROW_BOOL, ARROW_DATE_DAYS, ARROW_DATE_MILLISECONDS, ARROW_DOUBLE, ARROW_FIXED_BINARY,
    ARROW_FIXED_LIST, ARROW_FLOAT, ARROW_HALF, ARROW_INT8, ARROW_INT16, ARROW_INT32, ARROW_INT64, ARROW_JSON,
    ARROW_LARGE_BINARY, ARROW_LARGE_JSON, ARROW_LARGE_LIST, ARROW_LARGE_TEXT, ARROW_LIST, ARROW_NULL, ARROW_STRUCT,
    ARROW_TEXT, ARROW_TIME32, ARROW_TIMESTAMP, ARROW_UINT16, ARROW_UINT32, ARROW_UINT64, ARROW_UNKNOWN, ArrowKind,
    ArrowLayout, ArrowNode,
)
from histscan._core.bytes.cursor cimport Cursor, byte_ptr, open_cursor
from histscan._core.bytes.faults cimport check_memory, raise_too_deep
from histscan._core.json.json_value cimport JsonContext, decode_document

from histscan._core.rows.locate import member_path

from histscan.errors import HistoryDecodeError

cdef extern from "Python.h":
    object PyLong_FromLongLong(long long value)
    object PyLong_FromUnsignedLongLong(unsigned long long value)

cdef extern from "arrow/iso_time.hpp" namespace "histscan" nogil:
    const size_t ISO_TEXT_SIZE
    size_t write_date(int64_t days, char* out)
    size_t write_time_of_day(int64_t count, int64_t per_second, char* out)
    size_t write_timestamp(int64_t count, int64_t per_second, bint has_zone, char* out)
    int64_t floor_divide(int64_t number, int64_t divisor)

cdef extern from "arrow/arrow_values.hpp" namespace "histscan" nogil:
    int8_t load_int8 "histscan::load_value<int8_t>" (byte_ptr buffer, int64_t index)
    uint8_t load_uint8 "histscan::load_value<uint8_t>" (byte_ptr buffer, int64_t index)
    int16_t load_int16 "histscan::load_value<int16_t>" (byte_ptr buffer, int64_t index)
    uint16_t load_uint16 "histscan::load_value<uint16_t>" (byte_ptr buffer, int64_t index)
    int32_t load_int32 "histscan::load_value<int32_t>" (byte_ptr buffer, int64_t index)
    uint32_t load_uint32 "histscan::load_value<uint32_t>" (byte_ptr buffer, int64_t index)
    uint64_t load_uint64 "histscan::load_value<uint64_t>" (byte_ptr buffer, int64_t index)
    float load_float "histscan::load_value<float>" (byte_ptr buffer, int64_t index)
    double widen_half(uint16_t bits)


cdef object MISSING = object()


cdef int refuse(str reason) except -1:
    raise HistoryDecodeError(reason)


cdef class ArrowValues:
    """The arrays of one record batch, and their values."""

    def __cinit__(self, *args, **kwargs):
        self.array.release = NULL
        self.layout = ArrowLayout.__new__(ArrowLayout)
        self.dictionaries = {}
        self.context = JsonContext()

    def __dealloc__(self):
        if self.array.release != NULL:
            self.array.release(&self.array)

    cdef int take_array(self, ArrowArray* array) except -1:
        """Moves an array in, and checks what can be checked."""
        if self.array.release != NULL:
            refuse("the record batch already has its data")
        if array.release == NULL:
            refuse("the Arrow data were released before they were read")
        self.array = array[0]
        array.release = NULL
        self.read_arrays()
        return 0

    cdef int read_arrays(self) except -1:
        """Finds the buffers of each node."""
        cdef ArrowLayout layout = self.layout
        cdef vector[const ArrowArray*] arrays
        cdef const ArrowArray* array
        cdef const ArrowNode* node
        cdef size_t place
        cdef int32_t child
        cdef int64_t needed
        # All are NULL at first.
        arrays.resize(layout.nodes.size())
        self.columns.clear()
        self.columns.resize(layout.nodes.size())
        arrays[0] = &self.array
        for place in range(layout.nodes.size()):
            node = &layout.nodes[place]
            array = arrays[place]
            try:
                if array == NULL:
                    refuse("an Arrow array is missing")
                needed = 0
                if node.parent >= 0:
                    needed = self.columns[node.parent].offset + self.columns[node.parent].length
                    if layout.nodes[node.parent].kind == ARROW_FIXED_LIST:
                        if layout.nodes[node.parent].fixed_size and needed > (<int64_t> 1 << 62) // (
                            layout.nodes[node.parent].fixed_size
                        ):
                            refuse("the offset and length of an Arrow array are too large")
                        needed *= layout.nodes[node.parent].fixed_size
                    elif layout.nodes[node.parent].kind != ARROW_STRUCT:
                        needed = self.columns[node.parent].last_end
                self.read_array(<int32_t> place, array, needed)
                if node.kind == ARROW_UNKNOWN:
                    continue
                if array.n_children != node.child_count or (array.n_children and array.children == NULL):
                    refuse("an Arrow array has the wrong number of children")
                for child in range(node.child_count):
                    arrays[node.first_child + child] = array.children[child]
                if node.dictionary >= 0:
                    arrays[node.dictionary] = array.dictionary
            except HistoryDecodeError as error:
                check_memory(error)
                error.add_location(path=self.path_of(<int32_t> place))
                raise
        return 0

    cdef int read_array(self, int32_t place, const ArrowArray* array, int64_t needed) except -1:
        """Finds one node's buffers; `needed` values of it may be read."""
        cdef const ArrowNode* node = &self.layout.nodes[place]
        cdef ArrowColumn* column = &self.columns[place]
        cdef ArrowKind kind = node.kind
        cdef int64_t buffer_count = 2
        cdef bint is_wide = kind in (ARROW_LARGE_TEXT, ARROW_LARGE_BINARY, ARROW_LARGE_JSON, ARROW_LARGE_LIST)
        memset(column, 0, sizeof(ArrowColumn))
        column.array = array
        if array.length < 0 or array.offset < 0 or array.offset > (<int64_t> 1 << 62) - array.length:
            refuse("an Arrow array has an impossible length or offset")
        column.offset = array.offset
        column.length = array.length
        if array.length < needed:
            refuse(f"an Arrow array has {array.length} values where {needed} are needed")
        if kind == ARROW_UNKNOWN or kind == ARROW_NULL:
            return 0
        if kind == ARROW_STRUCT or kind == ARROW_FIXED_LIST:
            buffer_count = 1
        elif ARROW_TEXT <= kind <= ARROW_LARGE_JSON:
            buffer_count = 3
        if array.n_buffers != buffer_count or array.buffers == NULL:
            refuse(f"an Arrow array has {array.n_buffers} buffers instead of {buffer_count}")
        if array.null_count:
            column.validity = <byte_ptr> array.buffers[0]
            if column.validity == NULL and array.null_count > 0 and array.length:
                refuse("an Arrow array has nulls but no validity bitmap")
        if buffer_count == 1 or array.length == 0:
            return 0
        column.values = <byte_ptr> array.buffers[1]
        if column.values == NULL:
            refuse("an Arrow array has no buffer of values")
        if buffer_count == 3 or kind == ARROW_LIST or kind == ARROW_LARGE_LIST:
            if is_wide:
                column.first_end = load_int64(column.values, array.offset)
                column.last_end = load_int64(column.values, array.offset + array.length)
            else:
                column.first_end = load_int32(column.values, array.offset)
                column.last_end = load_int32(column.values, array.offset + array.length)
            if column.first_end < 0 or column.last_end < column.first_end:
                refuse("the offsets of an Arrow array are not ascending")
            if buffer_count == 3:
                column.text = <byte_ptr> array.buffers[2]
                if column.text == NULL and column.last_end > column.first_end:
                    refuse("an Arrow array has no buffer of text")
        return 0

    cdef str path_of(self, int32_t node):
        """The path of the column that a node belongs to."""
        cdef const ArrowNode* nodes = self.layout.nodes.data()
        cdef int32_t other
        while node > 0:
            if nodes[node].parent == 0:
                return member_path(<object> nodes[node].name)
            if nodes[node].parent < 0:
                # The values of a dictionary: whose?
                for other in range(node):
                    if nodes[other].dictionary == node:
                        node = other
                        break
                else:
                    break
            else:
                node = nodes[node].parent
        return "$"

    cdef int64_t shift_of(self, int32_t node) noexcept:
        """Where the value of the batch's row 0 is among the node's: structs begin where their own offset says."""
        cdef int64_t shift = 0
        cdef int32_t parent = self.layout.nodes[node].parent
        while parent >= 0:
            shift += self.columns[parent].offset
            parent = self.layout.nodes[parent].parent
        return shift

    cdef int64_t read_integer(self, int32_t node, int64_t index) noexcept nogil:
        """An integer, by its place in the buffer."""
        cdef ArrowKind kind = self.layout.nodes[node].kind
        cdef byte_ptr values = self.columns[node].values
        if kind == ARROW_INT64 or kind == ARROW_UINT64:
            return load_int64(values, index)
        if kind == ARROW_INT32:
            return load_int32(values, index)
        if kind == ARROW_UINT32:
            return load_uint32(values, index)
        if kind == ARROW_INT16:
            return load_int16(values, index)
        if kind == ARROW_UINT16:
            return load_uint16(values, index)
        if kind == ARROW_INT8:
            return load_int8(values, index)
        return load_uint8(values, index)

    cdef double read_float(self, int32_t node, int64_t index) noexcept nogil:
        """A float, by its place in the buffer."""
        cdef ArrowKind kind = self.layout.nodes[node].kind
        if kind == ARROW_DOUBLE:
            return load_double(self.columns[node].values, index)
        if kind == ARROW_FLOAT:
            return load_float(self.columns[node].values, index)
        return widen_half(load_uint16(self.columns[node].values, index))

    cdef object decode_item(self, int32_t node, int64_t index):
        """The value at an index of a nested array; None where it is null."""
        if self.is_null(node, index):
            return None
        return self.decode_value(node, index + self.columns[node].offset)

    cdef object decode_value(self, int32_t place, int64_t index):
        """The value, which is not null, at a place in the node's buffers."""
        cdef const ArrowNode* node = &self.layout.nodes[place]
        cdef const ArrowColumn* column = &self.columns[place]
        cdef ArrowKind kind = node.kind
        if node.dictionary >= 0:
            return self.decode_dictionary(place, index)
        if kind == ARROW_UINT64:
            return PyLong_FromUnsignedLongLong(load_uint64(column.values, index))
        if ARROW_INT8 <= kind <= ARROW_INT64:
            return PyLong_FromLongLong(self.read_integer(place, index))
        if ARROW_HALF <= kind <= ARROW_DOUBLE:
            return PyFloat_FromDouble(self.read_float(place, index))
        if kind == ARROW_BOOL:
            return bit_at(column.values, index)
        if ARROW_TEXT <= kind <= ARROW_LARGE_JSON:
            return self.decode_extent(place, index)
        if kind == ARROW_STRUCT:
            return self.decode_struct(place, index)
        if kind == ARROW_FIXED_LIST:
            return self.decode_list(node.first_child, index * node.fixed_size, (index + 1) * node.fixed_size)
        if kind == ARROW_LIST or kind == ARROW_LARGE_LIST:
            return self.decode_extent(place, index)
        if kind == ARROW_FIXED_BINARY:
            content = PyBytes_FromStringAndSize(<char*> column.values + index * node.fixed_size, node.fixed_size)
            return b2a_base64(content, newline=False).decode()
        return self.decode_time(place, index)

    cdef int64_t read_time(self, int32_t place, int64_t index) noexcept nogil:
        """A date or a time in its own units, by its place in the buffer."""
        cdef ArrowKind kind = self.layout.nodes[place].kind
        if kind == ARROW_DATE_DAYS or kind == ARROW_TIME32:
            return load_int32(self.columns[place].values, index)
        return load_int64(self.columns[place].values, index)

    cdef size_t write_time(self, int32_t place, int64_t index, char* text) noexcept nogil:
        """Writes a date or a time as ISO 8601 text, `ISO_TEXT_SIZE` bytes at most; 0 where there is no such time."""
        cdef const ArrowNode* node = &self.layout.nodes[place]
        cdef int64_t count = self.read_time(place, index)
        if node.kind == ARROW_DATE_DAYS:
            return write_date(count, text)
        if node.kind == ARROW_DATE_MILLISECONDS:
            return write_date(floor_divide(count, 86_400_000), text)
        if node.kind == ARROW_TIMESTAMP:
            return write_timestamp(count, node.per_second, node.has_zone, text)
        return write_time_of_day(count, node.per_second, text)

    cdef bint find_extent(self, int32_t place, int64_t index, int64_t* begin, int64_t* end) noexcept nogil:
        """Finds the offsets of a value, by its place in the buffer; returns True if they are valid."""
        cdef ArrowKind kind = self.layout.nodes[place].kind
        cdef const ArrowColumn* column = &self.columns[place]
        if kind == ARROW_TEXT or kind == ARROW_BINARY or kind == ARROW_JSON or kind == ARROW_LIST:
            begin[0] = load_int32(column.values, index)
            end[0] = load_int32(column.values, index + 1)
        else:
            begin[0] = load_int64(column.values, index)
            end[0] = load_int64(column.values, index + 1)
        return column.first_end <= begin[0] <= end[0] <= column.last_end

    cdef object decode_time(self, int32_t place, int64_t index):
        """ISO 8601 text of a date or a time."""
        cdef char[ISO_TEXT_SIZE] text
        cdef size_t length = self.write_time(place, index, text)
        if length == 0:
            raise HistoryDecodeError("the value is not a valid time of day")
        return text[:length].decode("ascii")

    cdef object decode_extent(self, int32_t place, int64_t index):
        """A value that lies between two offsets: text, bytes, JSON or a list."""
        cdef const ArrowNode* node = &self.layout.nodes[place]
        cdef const ArrowColumn* column = &self.columns[place]
        cdef Cursor cursor
        cdef int64_t begin = 0
        cdef int64_t end = 0
        cdef const char* text = ""
        if not self.find_extent(place, index, &begin, &end):
            raise HistoryDecodeError(f"the offsets of the value are invalid: {begin} to {end}")
        if node.kind == ARROW_LIST or node.kind == ARROW_LARGE_LIST:
            return self.decode_list(node.first_child, begin, end)
        if begin < end:
            text = <const char*> column.text + begin
        if node.kind == ARROW_TEXT or node.kind == ARROW_LARGE_TEXT:
            try:
                return PyUnicode_DecodeUTF8(text, end - begin, NULL)
            except UnicodeDecodeError:
                raise HistoryDecodeError("the text is not valid UTF-8") from None
        if node.kind == ARROW_BINARY or node.kind == ARROW_LARGE_BINARY:
            return b2a_base64(PyBytes_FromStringAndSize(text, end - begin), newline=False).decode()
        open_cursor(&cursor, <byte_ptr> text, end - begin)
        try:
            return decode_document(&cursor, self.context)
        except RecursionError:
            raise_too_deep(&cursor)

    cdef object decode_dictionary(self, int32_t place, int64_t index):
        """The value that an index into a dictionary means."""
        cdef const ArrowNode* node = &self.layout.nodes[place]
        cdef int64_t chosen = self.read_integer(place, index)
        cdef ArrowKind kind = self.layout.nodes[node.dictionary].kind
        cdef dict known
        # An index of 64 bits without a sign that is too large is negative here.
        if not 0 <= chosen < self.columns[node.dictionary].length:
            raise HistoryDecodeError("the value is not in its column's dictionary")
        if kind != ARROW_TEXT and kind != ARROW_LARGE_TEXT:
            return self.decode_item(node.dictionary, chosen)
        known = self.dictionaries.setdefault(place, {})
        text = known.get(chosen, MISSING)
        if text is MISSING:
            text = known[chosen] = self.decode_item(node.dictionary, chosen)
        return text

    cdef dict decode_struct(self, int32_t place, int64_t index):
        """The members of a struct that are not null."""
        cdef const ArrowNode* node = &self.layout.nodes[place]
        cdef int32_t child
        cdef dict members = {}
        cdef object value
        for child in range(node.first_child, node.first_child + node.child_count):
            if not self.is_null(child, index):
                value = self.decode_item(child, index)
                PyDict_SetItem(members, <object> self.layout.nodes[child].name, value)
        return members

    cdef bint is_null(self, int32_t place, int64_t index) noexcept nogil:
        """Returns True if the value at an index is null, in the array or in its dictionary."""
        cdef const ArrowNode* node = &self.layout.nodes[place]
        cdef const ArrowColumn* column = &self.columns[place]
        cdef const ArrowColumn* values
        cdef int64_t chosen
        if node.kind == ARROW_NULL:
            return True
        index += column.offset
        if column.validity != NULL and not bit_at(column.validity, index):
            return True
        if node.dictionary < 0:
            return False
        values = &self.columns[node.dictionary]
        chosen = self.read_integer(place, index)
        return 0 <= chosen < values.length and self.is_null(node.dictionary, chosen)

    cdef list decode_list(self, int32_t node, int64_t begin, int64_t end):
        """The items of a list, null ones as None."""
        cdef int64_t index
        cdef list items = []
        for index in range(begin, end):
            items.append(self.decode_item(node, index))
        return items
