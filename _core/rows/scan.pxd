"""The base class of all scans."""

from histscan._core.pages.page cimport Page


cdef class RowScan:
    cdef object first_step              # `min_step`
    cdef object next_page_step          # `page_offset`
    cdef object end_step                # `_stop_step`
    cdef public Py_ssize_t scan_offset  # index of the next row within the current page
    cdef Page page                      # the current page; None where row_list is
    cdef list row_list                  # the current page's rows, once they were requested or assigned; else None
    cdef bint exporting                 # the pages are being read without rows; see _pages
    cdef Py_ssize_t restarts            # how many times the scan started over
    cdef object load_lock               # held by the thread that loads a page
    cdef object identity                # the scan's key in `busy`
    cdef object loader                  # identifies that thread; None while no page is being loaded
    cdef object exporter                # identifies the thread for which `exporting` was set
    cdef tuple kept_position            # the position that _pages restores at its end
    cdef Py_ssize_t taken               # pages that became the current one since the scan started over
    cdef bint is_torn                   # a page was being loaded when the process was forked
    cdef tuple arguments                # of the constructor: positional and by keyword

    cdef object next_row(self)
    cdef object load_page(self)
    cdef object mend(self)
    cdef object put_back(self)
    cdef list decoded_rows(self)
    cdef tuple begin_export(self)
    cdef bint has_next(self) except -1
    cdef object exported_page(self)
    cdef int end_export(self, tuple position, Py_ssize_t restarts) except -1
    cdef object free_after_fork(self, object survivor)
