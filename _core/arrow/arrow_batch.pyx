"""Record batches as dict rows, and which of their rows belong to a range of steps.

Rows are made key by key straight from the buffers. A row starts as a copy of a template where an earlier one had the
same keys, as rows from other sources do.
"""

from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.float cimport PyFloat_FromDouble
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcmp, memcpy, memset
from libcpp.vector cimport vector

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.bytes.faults cimport check_memory
from histscan._core.arrow.arrow_abi cimport ArrowArray
from histscan._core.arrow.arrow_layout cimport (
    ARROW_DOUBLE, ARROW_INT64, ARROW_NULL, ARROW_UINT64, ARROW_UNKNOWN, ArrowKind, ArrowLayout, ArrowTarget,
)
from histscan._core.arrow.arrow_values cimport ArrowColumn, ArrowValues, bit_at, load_double, load_int64

from histscan._core.rows.locate import member_path

from histscan.errors import HistoryDecodeError

cdef extern from *:
    const int64_t INT64_MIN
    const int64_t INT64_MAX

cdef extern from "Python.h":
    object PyLong_FromLongLong(long long value)

cdef extern from "arrow/arrow_values.hpp" namespace "histscan" nogil:
    bint is_step(double number)
    void sort_by_step(vector[StepRow]& rows) except +

cdef enum:
    # Templates for rows with different keys; where there are more, rows are made without.
    TEMPLATE_LIMIT = 64

cdef object MISSING = object()


cdef object member_below(object value, tuple names):
    """Finds what dotted names mean in a value from JSON text, the longest first; MISSING if there is no such member."""
    cdef Py_ssize_t length
    if not names:
        return value
    if type(value) is not dict:
        return MISSING
    for length in range(len(names), 0, -1):
        inner = (<dict> value).get(".".join(names[:length]), MISSING)
        if inner is not MISSING:
            inner = member_below(inner, names[length:])
            if inner is not MISSING:
                return inner
    return MISSING


cdef class ArrowBatch(ArrowValues):
    """A record batch, read in place.

    Args:
        source: Anything with ``__arrow_c_array__`` whose type is a struct, such as a ``pyarrow.RecordBatch``.
        keys: As for `ArrowLayout`.
        required: As for `ArrowLayout`.
        steps: The step of each row, as an array of 64-bit integers; None for those that the column of steps has.
        plain_steps: As for `ArrowLayout`; with `steps` it is always so.
        fills_gaps: True if rows have None for keys that have a column and no value, instead of lacking them.

    Raises:
        HistoryDecodeError: The batch contradicts itself, or is of an unsupported type.
    """

    def __cinit__(self, *args, **kwargs):
        self.templates = {}

    def __init__(
        self,
        source not None,
        *,
        keys=None,
        required=(),
        const int64_t[::1] steps=None,
        bint plain_steps=False,
        bint fills_gaps=False,
    ):
        if self.array.release != NULL:
            raise RuntimeError("a batch cannot be initialised again")
        schema, array = source.__arrow_c_array__()
        self.layout = ArrowLayout(
            schema, keys=keys, required=required, plain_steps=plain_steps or steps is not None
        )
        self.take_batch(<ArrowArray*> PyCapsule_GetPointer(array, "arrow_array"))
        if fills_gaps:
            self.gaps = {<object> target.key: None for target in self.layout.targets}
        if steps is not None:
            if steps.shape[0] != self.array.length:
                raise ValueError(f"got {steps.shape[0]} steps for {self.array.length} rows")
            self.row_steps.assign(&steps[0], &steps[0] + steps.shape[0])
            self.has_row_steps = True

    def __len__(self):
        return <Py_ssize_t> self.array.length

    def order_by_step(self, min_step, stop_step):
        """Find the rows of a range of steps, in their order. Rows without a step are in no range.

        Args:
            min_step: First step, inclusive.
            stop_step: Where the range ends, exclusive.

        Raises:
            HistoryDecodeError: There is no column of steps, or a step is no integer.
        """
        cdef CriticalSection section
        section.enter(self)
        cdef int64_t lowest = max(min(min_step, INT64_MAX), INT64_MIN)
        cdef int64_t stop = max(min(stop_step, INT64_MAX), INT64_MIN)
        cdef StepRow row
        cdef const ArrowColumn* column
        cdef int64_t begin
        self.pending.clear()
        self.delivered = 0
        if self.layout.step_node < 0 and not self.has_row_steps:
            raise HistoryDecodeError("there is no `_step` column")
        if self.has_plain_steps():
            column = &self.columns[self.layout.step_node]
            begin = self.columns[0].offset + column.offset
            for row.row in range(self.array.length):
                row.step = load_int64(column.values, begin + row.row)
                if lowest <= row.step < stop:
                    self.pending.push_back(row)
            sort_by_step(self.pending)
            return
        for row.row in range(self.array.length):
            try:
                if self.has_row_steps:
                    row.step = self.row_steps[row.row]
                    if not lowest <= row.step < stop:
                        continue
                elif not self.read_step(row.row, &row.step) or not lowest <= row.step < stop:
                    continue
            except HistoryDecodeError as error:
                check_memory(error)
                error.add_location(run=self.run, page=self.page, row=self.first_row + row.row)
                raise
            if self.layout.required.size() and not self.has_required(row.row):
                continue
            self.pending.push_back(row)
        if self.layout.lacks_required:
            self.pending.clear()
        sort_by_step(self.pending)

    cdef bint has_plain_steps(self) noexcept:
        """True if each row has a step, and no key is required: no row needs to be looked at for more than its step."""
        return (
            not self.has_row_steps and not self.layout.lacks_required and self.layout.required.empty()
            and self.layout.nodes[self.layout.step_node].kind == ARROW_INT64
            and self.columns[self.layout.step_node].validity == NULL
        )

    @property
    def next_step(self):
        """The lowest step of the rows that were ordered and not delivered yet; None without any."""
        if self.delivered == self.pending.size():
            return None
        return self.pending[self.delivered].step

    cdef int take_batch(self, ArrowArray* array) except -1:
        """Moves the arrays in, and finds where each key's values are."""
        cdef ArrowLayout layout = self.layout
        cdef ArrowTarget target
        cdef TargetReader reader
        cdef const ArrowColumn* column
        cdef ArrowKind kind
        self.take_array(array)
        self.target_shifts.clear()
        self.required_shifts.clear()
        self.readers.clear()
        self.is_full = True
        for target in layout.targets:
            column = &self.columns[target.node]
            kind = layout.nodes[target.node].kind
            self.target_shifts.push_back(self.shift_of(target.node))
            reader.key = target.key
            reader.kind = ARROW_UNKNOWN
            reader.is_plain = not (
                target.is_nested or target.json_path != NULL or kind == ARROW_NULL
                or layout.nodes[target.node].dictionary >= 0 or (target.is_step and kind >= ARROW_UINT64)
            )
            reader.validity = column.validity
            reader.values = column.values
            reader.begin = self.target_shifts.back() + column.offset
            if reader.is_plain and (kind == ARROW_INT64 or kind == ARROW_DOUBLE):
                reader.kind = kind
            self.readers.push_back(reader)
            self.is_full &= reader.is_plain and reader.validity == NULL
        for target in layout.required:
            self.required_shifts.push_back(self.shift_of(target.node))
        return 0

    cdef bint has_value(self, const ArrowTarget* target, int64_t shift, int64_t row) except -1:
        """Returns True if a row has a key."""
        cdef const ArrowColumn* column = &self.columns[target.node]
        cdef int64_t index = row + shift
        cdef int32_t node
        cdef int64_t step
        if self.is_null(target.node, index):
            return False
        if target.is_nested:
            node = self.layout.nodes[target.node].parent
            while node > 0:
                column = &self.columns[node]
                index -= column.offset
                if column.validity != NULL and not bit_at(column.validity, index + column.offset):
                    return False
                node = self.layout.nodes[node].parent
        if target.is_step:
            try:
                return self.read_step(row, &step)
            except HistoryDecodeError as error:
                check_memory(error)
                return True     # decoding the value raises the error
        if target.json_path != NULL:
            try:
                return self.decode_target(target, shift, row) is not MISSING
            except HistoryDecodeError as error:
                check_memory(error)
                return True
        return True

    cdef bint has_required(self, int64_t row) except -1:
        """Returns True if a row has all required keys."""
        cdef size_t index
        if self.layout.lacks_required:
            return False
        for index in range(self.layout.required.size()):
            if not self.has_value(&self.layout.required[index], self.required_shifts[index], row):
                return False
        return True

    cdef bint read_step(self, int64_t row, int64_t* step) except -1:
        """The step of a row; False if it has none."""
        cdef int32_t node = self.layout.step_node
        cdef const ArrowColumn* column = &self.columns[node]
        cdef int64_t index = row + self.columns[0].offset + column.offset
        cdef double number
        if column.validity != NULL and not bit_at(column.validity, index):
            return False
        if self.layout.nodes[node].kind <= ARROW_UINT64:
            step[0] = self.read_integer(node, index)
            if self.layout.nodes[node].kind == ARROW_UINT64 and step[0] < 0:
                raise HistoryDecodeError("the step does not fit a signed 64-bit integer", path=self.path_of(node))
            return True
        number = self.read_float(node, index)
        if number != number:
            return False
        if not is_step(number):
            raise HistoryDecodeError(f"the step {number!r} is not a whole number", path=self.path_of(node))
        step[0] = <int64_t> number
        return True

    cdef object decode_row(self, int64_t row):
        """The row at an index that the caller has checked."""
        cdef CriticalSection section
        section.enter(self)
        cdef const ArrowTarget* target = self.layout.targets.data()
        cdef size_t count = self.layout.targets.size()
        cdef size_t index = 0
        cdef size_t words = (count + 63) // 64
        cdef uint64_t[PATTERN_WORDS] pattern
        cdef bint has_pattern = words <= PATTERN_WORDS
        cdef const TargetReader* reader
        cdef dict cells, template
        cdef object value
        try:
            if not has_pattern:
                cells = {} if self.gaps is None else PyDict_Copy(self.gaps)
                for index in range(count):
                    if self.has_value(&target[index], self.target_shifts[index], row):
                        cells[<object> target[index].key] = self.decode_target(
                            &target[index], self.target_shifts[index], row
                        )
                return cells
            memset(pattern, 0xFF if self.is_full else 0, sizeof(pattern))
            if not self.is_full:
                for index in range(count):
                    reader = &self.readers[index]
                    if reader.is_plain:
                        if reader.validity != NULL and not bit_at(reader.validity, reader.begin + row):
                            continue
                        pattern[index >> 6] |= <uint64_t> 1 << (index & 63)
                    elif self.has_value(&target[index], self.target_shifts[index], row):
                        pattern[index >> 6] |= <uint64_t> 1 << (index & 63)
            if self.gaps is not None:
                self.template = self.gaps
            elif self.template is None or memcmp(pattern, self.template_pattern, words * sizeof(uint64_t)):
                self.template = self.templates.get((<char*> pattern)[:words * sizeof(uint64_t)])
                memcpy(self.template_pattern, pattern, sizeof(pattern))
            template = self.template
            cells = {} if template is None else PyDict_Copy(template)
            for index in range(count):
                if not pattern[index >> 6] >> (index & 63) & 1:
                    continue
                reader = &self.readers[index]
                if reader.kind == ARROW_DOUBLE:
                    value = PyFloat_FromDouble(load_double(reader.values, reader.begin + row))
                elif reader.kind == ARROW_INT64:
                    value = PyLong_FromLongLong(load_int64(reader.values, reader.begin + row))
                else:
                    value = self.decode_target(&target[index], self.target_shifts[index], row)
                PyDict_SetItem(cells, <object> reader.key, value)
            if template is None and len(self.templates) < TEMPLATE_LIMIT:
                self.templates[(<char*> pattern)[:words * sizeof(uint64_t)]] = dict.fromkeys(cells)
            return cells
        except HistoryDecodeError as error:
            check_memory(error)
            error.byte = None
            error.add_location(run=self.run, page=self.page, row=self.first_row + row)
            if index < count:
                error.add_location(path=member_path(<object> target[index].key))
            raise

    cdef bint put_value(self, size_t place, int64_t row, dict members) except -1:
        """Puts the value of a target into a dict, under its key; returns False if the row has none."""
        cdef CriticalSection section
        section.enter(self)
        cdef const ArrowTarget* target = &self.layout.targets[place]
        if not self.has_value(target, self.target_shifts[place], row):
            return False
        members[<object> target.key] = self.decode_target(target, self.target_shifts[place], row)
        return True

    cdef object decode_target(self, const ArrowTarget* target, int64_t shift, int64_t row):
        """A key's value in a row that has it; MISSING where JSON text lacks the member."""
        cdef const ArrowColumn* column = &self.columns[target.node]
        cdef int64_t step = 0
        if target.is_step:
            self.read_step(row, &step)
            return PyLong_FromLongLong(step)
        if target.json_path != NULL:
            return member_below(
                self.decode_value(target.node, row + shift + column.offset), <tuple> <object> target.json_path
            )
        return self.decode_value(target.node, row + shift + column.offset)
