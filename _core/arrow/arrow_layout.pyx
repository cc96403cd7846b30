"""What the columns of Arrow's record batches are: their names, their types, and which of them were requested."""

import sys

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, strlen
from libcpp.vector cimport vector

from histscan._core.arrow.arrow_abi cimport ArrowSchema

from histscan._core.rows.locate import member_path

from histscan.errors import HistoryDecodeError

STEP = "_step"

cdef enum:
    DEPTH_LIMIT = 100           # of nested types: each level costs a call while a value is decoded
    NODE_LIMIT = 1_000_000
    METADATA_LIMIT = 1 << 24    # bytes of one name or value

cdef dict PLAIN_KINDS = {
    "n": ARROW_NULL, "b": ARROW_BOOL, "c": ARROW_INT8, "C": ARROW_UINT8, "s": ARROW_INT16, "S": ARROW_UINT16,
    "i": ARROW_INT32, "I": ARROW_UINT32, "l": ARROW_INT64, "L": ARROW_UINT64, "e": ARROW_HALF, "f": ARROW_FLOAT,
    "g": ARROW_DOUBLE, "u": ARROW_TEXT, "U": ARROW_LARGE_TEXT, "z": ARROW_BINARY, "Z": ARROW_LARGE_BINARY,
    "tdD": ARROW_DATE_DAYS, "tdm": ARROW_DATE_MILLISECONDS, "tts": ARROW_TIME32, "ttm": ARROW_TIME32,
    "ttu": ARROW_TIME64, "ttn": ARROW_TIME64, "+l": ARROW_LIST, "+L": ARROW_LARGE_LIST, "+s": ARROW_STRUCT,
}
# The metadata of fields of JSON text. arrow.apache.org/docs/format/CanonicalExtensions.html#json has the second.
cdef tuple JSON_METADATA = ((b"histscan.type", b"json"), (b"ARROW:extension:name", b"arrow.json"))
cdef dict UNITS_PER_SECOND = {"s": 1, "m": 1_000, "u": 1_000_000, "n": 1_000_000_000}


cdef str c_text(const char* text, str what):
    """A C string of a schema as str."""
    if text == NULL:
        return ""
    try:
        return PyUnicode_DecodeUTF8(text, strlen(text), NULL)
    except UnicodeDecodeError:
        raise HistoryDecodeError(f"{what} of an Arrow schema is not valid UTF-8") from None


cdef bint is_json_text(const ArrowSchema* schema) except -1:
    """Returns True if a field's metadata mark its text as JSON: our own, or Arrow's extension type `arrow.json`."""
    cdef const char* pos = schema.metadata
    cdef int32_t count = 0
    cdef int32_t length = 0
    cdef int32_t index
    cdef bytes name
    if pos == NULL:
        return False
    memcpy(&count, pos, sizeof(int32_t))
    pos += sizeof(int32_t)
    for index in range(2 * count if 0 <= count < NODE_LIMIT else 0):
        memcpy(&length, pos, sizeof(int32_t))
        pos += sizeof(int32_t)
        if not 0 <= length < METADATA_LIMIT:
            raise HistoryDecodeError("the metadata of an Arrow schema are malformed")
        if index % 2 == 0:
            name = pos[:length]
        elif (name, pos[:length]) in JSON_METADATA:
            return True
        pos += length
    return False


cdef ArrowNode plain_node(str form):
    """The node of a type, without what it is part of."""
    cdef ArrowNode node
    cdef str sizes
    node.kind = PLAIN_KINDS.get(form, ARROW_UNKNOWN)
    node.per_second = 1
    node.has_zone = False
    node.fixed_size = 0
    node.parent = node.dictionary = -1
    node.first_child = node.child_count = 0
    node.name = NULL
    if form[:2] == "tt" and node.kind != ARROW_UNKNOWN:
        node.per_second = UNITS_PER_SECOND[form[2]]
    elif form[:2] == "ts" and form[2:3] in UNITS_PER_SECOND and form[3:4] == ":":
        node.kind = ARROW_TIMESTAMP
        node.per_second = UNITS_PER_SECOND[form[2]]
        node.has_zone = len(form) > 4
    elif form[:2] == "w:" or form[:3] == "+w:":
        sizes = form.partition(":")[2]
        if sizes.isdecimal() and int(sizes) < 1 << 31:
            node.kind = ARROW_FIXED_BINARY if form[0] == "w" else ARROW_FIXED_LIST
            node.fixed_size = int(sizes)
    return node


cdef class ArrowLayout:
    """The columns of record batches, and what of them makes rows.

    Args:
        schema: A capsule of an ``ArrowSchema`` whose type is a struct, as that of a record batch is.
        keys: The keys of rows, in this order; of structs and JSON text, members by dotted names. None for all
            columns.
        required: The keys that a row must have; rows that lack one are skipped.
        plain_steps: The column of steps is one like any other: the caller knows the rows' steps.

    Attributes:
        names: The columns' names.
        missing: The keys that no column has.

    Raises:
        HistoryDecodeError: The schema is malformed, or of an unsupported type.
    """

    def __cinit__(self, *args, **kwargs):
        self.owners = []
        self.missing = []
        self.step_node = -1

    def __init__(self, schema not None, *, keys=None, required=(), bint plain_steps=False):
        cdef const ArrowSchema* root = <const ArrowSchema*> PyCapsule_GetPointer(schema, "arrow_schema")
        cdef int32_t child
        if not self.nodes.empty():
            raise RuntimeError("a layout cannot be initialised again: batches depend on it")
        if root.release == NULL:
            raise HistoryDecodeError("the Arrow schema was released before it was read")
        self.add_nodes(root)
        if self.nodes[0].kind != ARROW_STRUCT:
            raise HistoryDecodeError("Arrow data of rows must be record batches, not single columns")
        self.step_node = -1 if plain_steps else self.child_named(0, STEP)
        if self.step_node >= 0 and (
            not ARROW_INT8 <= self.nodes[self.step_node].kind <= ARROW_DOUBLE
            or self.nodes[self.step_node].dictionary >= 0
        ):
            raise HistoryDecodeError("the steps are not numbers", path=member_path(STEP))
        if keys is None:
            for child in range(self.nodes[0].first_child, self.nodes[0].first_child + self.nodes[0].child_count):
                self.add_target(&self.targets, <object> self.nodes[child].name, child, None)
        for key in dict.fromkeys(keys or ()):
            if not self.find_key(&self.targets, key):
                self.missing.append(key)
        self.lacks_required = False
        for key in dict.fromkeys(required):
            if not self.find_key(&self.required, key):
                self.lacks_required = True

    @property
    def names(self):
        """The columns' names, in their order."""
        cdef int32_t child
        cdef list found = []
        if self.nodes.empty():
            return found
        for child in range(self.nodes[0].first_child, self.nodes[0].first_child + self.nodes[0].child_count):
            found.append(<object> self.nodes[child].name)
        return found

    cdef int add_nodes(self, const ArrowSchema* schema) except -1:
        """Lists the types of a schema, breadth first."""
        cdef vector[const ArrowSchema*] sources
        cdef vector[int32_t] depths
        cdef const ArrowSchema* source
        cdef ArrowNode node
        cdef size_t place = 0
        cdef int64_t child
        sources.push_back(schema)
        depths.push_back(0)
        self.nodes.push_back(plain_node("+s"))
        while place < sources.size():
            source = sources[place]
            if source == NULL or source.format == NULL:
                raise HistoryDecodeError("an Arrow schema is incomplete")
            node = plain_node(c_text(source.format, "a type"))
            name = sys.intern(c_text(source.name, "a name"))
            self.owners.append(name)
            node.name = <PyObject*> name
            node.parent = self.nodes[place].parent
            if node.kind == ARROW_TEXT and is_json_text(source):
                node.kind = ARROW_JSON
            elif node.kind == ARROW_LARGE_TEXT and is_json_text(source):
                node.kind = ARROW_LARGE_JSON
            if depths[place] == DEPTH_LIMIT:
                raise HistoryDecodeError(f"the type of an Arrow column is nested more than {DEPTH_LIMIT} deep")
            if (
                source.n_children < 0 or <int64_t> sources.size() + source.n_children > NODE_LIMIT
                or (source.n_children and source.children == NULL)
                or (node.kind in (ARROW_LIST, ARROW_LARGE_LIST, ARROW_FIXED_LIST) and source.n_children != 1)
            ):
                raise HistoryDecodeError("an Arrow type has the wrong number of children")
            # The children of an unsupported type are not read.
            if node.kind in (ARROW_STRUCT, ARROW_LIST, ARROW_LARGE_LIST, ARROW_FIXED_LIST):
                node.first_child = <int32_t> sources.size()
                node.child_count = <int32_t> source.n_children
                for child in range(source.n_children):
                    sources.push_back(source.children[child])
                    depths.push_back(depths[place] + 1)
                    self.nodes.push_back(plain_node("n"))
                    self.nodes.back().parent = <int32_t> place
            if source.dictionary != NULL:
                if not ARROW_INT8 <= node.kind <= ARROW_UINT64:
                    raise HistoryDecodeError("the indexes into an Arrow dictionary are not integers")
                node.dictionary = <int32_t> sources.size()
                sources.push_back(source.dictionary)
                depths.push_back(depths[place] + 1)
                self.nodes.push_back(plain_node("n"))
                self.nodes.back().parent = -1
            self.nodes[place] = node
            if node.kind == ARROW_UNKNOWN:
                self.owners.append((place, source.format.decode("utf-8", "replace")))
            place += 1
        return 0

    cdef int refuse_unknown(self, int32_t node, object key) except -1:
        """Raises if a value of the node can't be decoded."""
        cdef int32_t child
        if self.nodes[node].kind == ARROW_UNKNOWN:
            form = next(owner[1] for owner in self.owners if type(owner) is tuple and owner[0] == node)
            raise HistoryDecodeError(
                f"the column's Arrow type {form!r} cannot be read as rows: request other keys",
                path=member_path(key),
            )
        if self.nodes[node].dictionary >= 0:
            self.refuse_unknown(self.nodes[node].dictionary, key)
        for child in range(self.nodes[node].first_child, self.nodes[node].first_child + self.nodes[node].child_count):
            self.refuse_unknown(child, key)
        return 0

    cdef int add_target(self, vector[ArrowTarget]* targets, object key, int32_t node, tuple json_path) except -1:
        """Makes a node's values those of a key."""
        cdef ArrowTarget target
        self.refuse_unknown(node, key)
        self.owners.append(key)
        self.owners.append(json_path)
        target.key = <PyObject*> key
        target.node = node
        target.is_step = node == self.step_node
        target.is_nested = self.nodes[node].parent > 0
        target.json_path = NULL
        if json_path is not None:
            target.json_path = <PyObject*> json_path
        targets.push_back(target)
        return 0

    cdef int32_t child_named(self, int32_t node, object name) except -2:
        """The last child of a name, as the last member of a name counts in JSON; -1 without one."""
        cdef int32_t child
        if node == 0:
            if self.columns is None:
                first = self.nodes[0].first_child
                self.columns = {
                    <object> self.nodes[child].name: child for child in range(first, first + self.nodes[0].child_count)
                }
            return self.columns.get(name, -1)
        child = self.nodes[node].first_child + self.nodes[node].child_count
        while child > self.nodes[node].first_child:
            child -= 1
            if <object> self.nodes[child].name == name:
                return child
        return -1

    cdef bint find_key(self, vector[ArrowTarget]* targets, str key) except -1:
        """Adds the target of a requested key; returns True if there is one."""
        return self.find_below(targets, key, 0, key.split("."))

    cdef bint find_below(self, vector[ArrowTarget]* targets, str key, int32_t node, list names) except -1:
        """Adds the target of what the dotted `names` mean below a node: the longest name first."""
        cdef Py_ssize_t length
        cdef int32_t child
        if not names:
            self.add_target(targets, key, node, None)
            return True
        if self.nodes[node].kind == ARROW_JSON or self.nodes[node].kind == ARROW_LARGE_JSON:
            self.add_target(targets, key, node, tuple(names))
            return True
        if self.nodes[node].kind != ARROW_STRUCT:
            return False
        for length in range(len(names), 0, -1):
            child = self.child_named(node, ".".join(names[:length]))
            if child >= 0 and self.find_below(targets, key, child, names[length:]):
                return True
        return False
