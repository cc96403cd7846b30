"""The step of a row in a `.wandb` log, found without decoding the row.

A row's step is its `_step` item where that is a whole number. wandb's shared mode and logs of TensorBoard-synced runs
lack the item, the `step` message or both (the rules are in `LogReader.add_row`).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from histscan._core.bytes.cursor cimport WIRE_TRUNCATED, Cursor, byte_ptr, open_cursor, stop
from histscan._core.json.json_text cimport TOKEN_FLOAT64, TOKEN_INT64, Token, read_token, skip_space
from histscan._core.wire.item_format cimport (
    ITEM_TAG, KEY_TAG, NESTED_KEY_TAG, RECORD_ITEM, TYPED_INTEGER, TYPED_JSON, TYPED_NUMBER, ItemFields,
    read_item_fields,
)
from histscan._core.wire.wire cimport WIRE_BYTES, WIRE_VARINT, read_length, read_tag, read_varint, skip_field

cdef enum:
    STEP_TAG = 2 << 3 | WIRE_BYTES          # HistoryRecord.step
    STEP_NUMBER_TAG = 1 << 3 | WIRE_VARINT  # HistoryStep.num
    STEP_NAME_LENGTH = 5                    # of `_step`
    STEP_KEY_LENGTH = 2 + STEP_NAME_LENGTH  # of the key field that spells it: tag, length, name
    SHORT_DIGITS = 18                       # as many always fit an int64
    STEP_ITEM_ROOM = 64                     # bytes that an item made by `write_step_item` may take

cdef extern from "rows/row_steps.hpp" namespace "histscan" nogil:
    # Reads the step of a row as wandb's core writes nearly all; returns False if the row is another one.
    bint read_usual_step(byte_ptr pos, byte_ptr end, int64_t* step)

cdef extern from "<stdint.h>" nogil:
    const int64_t UNKNOWN_STEP "INT64_MIN"  # the row is malformed; no row has this as its step


cdef enum StepItemKind:
    STEP_ITEM_MISSING   # the row has no `_step` item
    STEP_ITEM_WHOLE     # it has one that is a whole number of 64 bits
    STEP_ITEM_OTHER     # it has one of another type: text, a fraction, null, a bool or a container


# The step of a row, as its fields give it.
cdef struct RowStep:
    StepItemKind kind   # of the last `_step` item
    int64_t item        # its value, if that is a whole number
    bint has_message    # the row has a `step` message; not looked at if the item is a whole number
    int64_t message     # its number; 0 where the message is empty, as proto3 has it


cdef inline bint whole_number(double number, int64_t* value) noexcept nogil:
    """Returns True if a double is a whole number within int64, and sets `value` to it."""
    # Both bounds are exact doubles; NaN fails the comparison.
    if not -9223372036854775808.0 < number < 9223372036854775808.0:
        return False
    value[0] = <int64_t> number
    return <double> value[0] == number


cdef inline StepItemKind read_step_json(byte_ptr begin, byte_ptr end, int64_t* value) noexcept nogil:
    """Reads a `_step` value in JSON."""
    cdef Cursor cursor
    cdef Token token
    cdef byte_ptr pos = begin
    cdef int64_t number = 0
    # Nearly always a few digits; anything else, or a leading zero, is left to `read_token`.
    while pos < end and c'0' <= pos[0] <= c'9' and pos - begin < SHORT_DIGITS:
        number = 10 * number + (pos[0] - c'0')
        pos += 1
    if pos == end and pos > begin and (begin[0] != c'0' or end - begin == 1):
        value[0] = number
        return STEP_ITEM_WHOLE
    open_cursor(&cursor, begin, end - begin)
    skip_space(&cursor)
    if not read_token(&cursor, &token):
        return STEP_ITEM_OTHER
    skip_space(&cursor)
    if cursor.pos != cursor.end:
        return STEP_ITEM_OTHER
    if token.kind == TOKEN_INT64:
        value[0] = token.integer
        return STEP_ITEM_WHOLE
    if token.kind == TOKEN_FLOAT64 and whole_number(token.number, value):
        return STEP_ITEM_WHOLE
    return STEP_ITEM_OTHER


cdef inline StepItemKind read_step_fields(const ItemFields* fields, int64_t* value) noexcept nogil:
    """Reads a `_step` value from the fields of its item."""
    cdef Cursor payload
    cdef uint64_t bits = 0
    cdef double number
    if fields.json_begin != NULL and (fields.json_begin != fields.json_end or not fields.typed_field):
        return read_step_json(fields.json_begin, fields.json_end, value)
    if fields.typed_field == TYPED_JSON:
        return read_step_json(fields.typed_begin, fields.typed_end, value)
    if fields.typed_field == TYPED_INTEGER:
        open_cursor(&payload, fields.typed_begin, fields.typed_end - fields.typed_begin)
        if read_varint(&payload, &bits):
            # sint64's zigzag: the sign is the lowest bit.
            value[0] = <int64_t> (bits >> 1) ^ -<int64_t> (bits & 1)
            return STEP_ITEM_WHOLE
    elif fields.typed_field == TYPED_NUMBER:
        memcpy(&number, fields.typed_begin, sizeof(double))
        if whole_number(number, value):
            return STEP_ITEM_WHOLE
    return STEP_ITEM_OTHER


cdef inline bint is_step_name(byte_ptr begin, byte_ptr end) noexcept nogil:
    return end - begin == STEP_NAME_LENGTH and memcmp(begin, <const char*> b"_step", STEP_NAME_LENGTH) == 0


cdef inline bint read_any_item(byte_ptr begin, byte_ptr end, RowStep* found) noexcept nogil:
    """Reads an item whose fields may be in any order; returns False if it is malformed."""
    cdef Cursor item
    cdef ItemFields fields
    cdef uint32_t tag
    cdef byte_ptr field_end
    cdef int names = 0
    cdef bint is_step = False
    open_cursor(&item, begin, end - begin)
    if not read_item_fields(&item, RECORD_ITEM, &fields):
        return False
    if fields.key_begin != fields.key_end:
        names = 1
        is_step = is_step_name(fields.key_begin, fields.key_end)
    else:
        # Every field was checked above: these reads can't fail.
        open_cursor(&item, begin, end - begin)
        while item.pos < item.end and read_tag(&item, &tag):
            if tag != NESTED_KEY_TAG:
                if not skip_field(&item, tag):
                    return False
                continue
            if not read_length(&item, &field_end):
                return False
            if names == 0:
                is_step = is_step_name(item.pos, field_end)
            names += 1
            item.pos = field_end
    if is_step:
        # Something nested below `_step` makes it a container.
        found.kind = STEP_ITEM_OTHER if names > 1 else read_step_fields(&fields, &found.item)
    return True


cdef inline bint read_step_message(Cursor* cursor, RowStep* found) noexcept nogil:
    """Reads the payload of a `step` message; of several the last number counts, as messages merge."""
    cdef uint32_t tag
    cdef uint64_t number
    cdef byte_ptr field_end
    if not read_length(cursor, &field_end):
        return False
    if not found.has_message:
        found.has_message = True
        found.message = 0
    while cursor.pos < field_end:
        if not read_tag(cursor, &tag):
            return False
        if tag == STEP_NUMBER_TAG:
            if not read_varint(cursor, &number):
                return False
            found.message = <int64_t> number
        elif not skip_field(cursor, tag):
            return False
    if cursor.pos != field_end:
        # A field reaches beyond the message.
        return stop(cursor, WIRE_TRUNCATED, field_end)
    return True


cdef inline bint read_plain_item(byte_ptr pos, byte_ptr item_end, RowStep* found) noexcept nogil:
    """Reads an item that is key fields, then `value_json` to its end, as nearly every item is; else returns False."""
    cdef Cursor value
    cdef byte_ptr value_end
    cdef int names = 0
    cdef bint is_step = False
    # Lengths of names take one byte here; the bounds are checked before each name.
    while (
        item_end - pos >= 2 and (pos[0] == NESTED_KEY_TAG or pos[0] == KEY_TAG)
        and pos[1] < 0x80 and pos[1] <= item_end - pos - 2
    ):
        is_step |= pos[1] == STEP_NAME_LENGTH and is_step_name(pos + 2, pos + 2 + STEP_NAME_LENGTH)
        pos += 2 + pos[1]
        names += 1
    if item_end - pos < 3 or pos[0] != 0x82 or pos[1] != 0x01:
        return False
    pos += 2
    if pos[0] < 0x80 and pos[0] == item_end - pos - 1:
        if is_step and names == 1:
            found.kind = read_step_json(pos + 1, item_end, &found.item)
            return True
        return not is_step
    open_cursor(&value, pos, item_end - pos)
    return not is_step and read_length(&value, &value_end) and value_end == item_end


cdef inline bint begins_with_step(byte_ptr item, byte_ptr item_end) noexcept nogil:
    """Returns True if the first field of an item is a key that spells `_step`."""
    return (
        item_end - item > STEP_KEY_LENGTH and (item[0] == NESTED_KEY_TAG or item[0] == KEY_TAG)
        and item[1] == STEP_NAME_LENGTH and is_step_name(item + 2, item + STEP_KEY_LENGTH)
    )


cdef inline bint read_fields(Cursor* cursor, bint every_item, RowStep* found) noexcept nogil:
    """Reads the fields of a row, and either all of its items or only those that begin with the step's key."""
    cdef uint32_t tag
    cdef byte_ptr item, item_end
    while cursor.pos < cursor.end:
        item = cursor.pos
        if cursor.end - item >= 2 and item[0] == ITEM_TAG and item[1] < 0x80 and item[1] <= cursor.end - item - 2:
            item_end = item + 2 + item[1]
            item += 2
        else:
            if not read_tag(cursor, &tag):
                return False
            if tag == STEP_TAG:
                if not read_step_message(cursor, found):
                    return False
                continue
            if tag != ITEM_TAG:
                if not skip_field(cursor, tag):
                    return False
                continue
            if not read_length(cursor, &item_end):
                return False
            item = cursor.pos
        cursor.pos = item_end
        if every_item or begins_with_step(item, item_end):
            if not read_plain_item(item, item_end, found) and not read_any_item(item, item_end, found):
                return False
    return True


cdef inline bint read_row_step(Cursor* cursor, RowStep* found) noexcept nogil:
    """Reads the step of the HistoryRecord that is the cursor's message.

    Returns False if the record is malformed. The fault is not kept: decoding the row will find it again.
    """
    cdef byte_ptr begin = cursor.pos
    if read_usual_step(begin, cursor.end, &found.item):
        found.kind = STEP_ITEM_WHOLE
        found.has_message = False
        return True
    found.kind = STEP_ITEM_MISSING
    found.has_message = False
    if not read_fields(cursor, False, found):
        return False
    if found.kind != STEP_ITEM_MISSING:
        return True
    # The wire format allows a key after other fields: before a row is assigned a step, every item is read.
    cursor.pos = begin
    found.has_message = False
    return read_fields(cursor, True, found)


cdef inline size_t write_step_item(int64_t step, uint8_t* out) noexcept nogil:
    """Writes a `_step` item for a row without one, as wandb writes it; `out` must have `STEP_ITEM_ROOM` bytes.

    Returns how many bytes it takes.
    """
    cdef uint8_t[20] digits
    cdef size_t count = 0
    cdef size_t length = 0
    # Negating in unsigned arithmetic is right for the lowest number, too.
    cdef uint64_t rest = <uint64_t> step if step >= 0 else 0 - <uint64_t> step
    while True:
        digits[count] = <uint8_t> (c'0' + rest % 10)
        count += 1
        rest //= 10
        if rest == 0:
            break
    if step < 0:
        digits[count] = c'-'
        count += 1
    memcpy(out, <const char*> b"\x0a\x00\x12\x05_step\x82\x01", 11)
    out[1] = <uint8_t> (STEP_KEY_LENGTH + 3 + count)
    out[11] = <uint8_t> count
    length = 12
    while count:
        count -= 1
        out[length] = digits[count]
        length += 1
    return length
