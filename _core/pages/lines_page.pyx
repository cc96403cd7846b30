"""Pages of JSON Lines: each line is a row."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr

from histscan._core.bytes.cursor cimport byte_ptr
from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.pages.graphql_page cimport JsonPage
from histscan._core.pages.page cimport add_span


cdef class LinesPage(JsonPage):
    """A page of consecutive lines of a file: those that are not blank, up to the next line that is, or is no object.

    Args:
        lines: The lines, in UTF-8, with a line break between each two.
        begin: Where the first of them begins.

    Attributes:
        blank_count: How many blank lines there are before the first row.
        stop: Where the line begins that ended the page; more than the length of the lines if none did.
    """

    cdef readonly Py_ssize_t blank_count
    cdef readonly Py_ssize_t stop

    def __cinit__(self, bytes lines not None, Py_ssize_t begin=0):
        cdef byte_ptr line
        cdef byte_ptr text
        cdef byte_ptr line_end
        cdef byte_ptr end
        self.owner = lines
        self.data = <byte_ptr> PyBytes_AS_STRING(lines)
        line = self.data + min(max(begin, 0), PyBytes_GET_SIZE(lines))
        end = self.data + PyBytes_GET_SIZE(lines)
        with nogil:
            while line <= end:
                line_end = <byte_ptr> memchr(line, c'\n', end - line)
                if line_end == NULL:
                    line_end = end
                text = line
                while text < line_end and (text[0] == c' ' or text[0] == c'\t' or text[0] == c'\r'):
                    text += 1
                if text < line_end and text[0] == c'{':
                    add_span(self.spans, line - self.data, line_end - self.data)
                elif text == line_end and self.spans.size() == 0:
                    self.blank_count += 1
                else:
                    break
                line = line_end + 1
        self.stop = line - self.data

    def text(self, Py_ssize_t index):
        """Copy the text of a row.

        Args:
            index: Which row of the page, from 0.

        Returns:
            The bytes of its line.

        Raises:
            IndexError: The page has no such row.
        """
        if index < 0 or index >= <Py_ssize_t> self.spans.size():
            raise IndexError(index)
        return self.row_text(index)

    cdef object decode_row(self, Py_ssize_t index):
        cdef CriticalSection section
        section.enter(self)
        return self.decode_span(self.data, self.spans[index])
