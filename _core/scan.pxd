"""The iterator that every scan is."""

from histscan._core.page cimport Page


cdef class RowScan:
    cdef public object min_step         # first step of the scan, inclusive
    cdef public object page_offset      # first step of the next page
    cdef public object _stop_step       # where the scan ends, exclusive
    cdef public Py_ssize_t scan_offset  # index of the next row within the current page
    cdef Page page                      # the current page; None where row_list is
    cdef list row_list                  # the current page's rows, once they were asked for or assigned; else None
    cdef bint exporting                 # the pages go elsewhere than into rows; see _pages
    cdef Py_ssize_t restarts            # how many times the scan started over
    cdef object load_lock               # held by the thread that loads a page

    cdef object next_row(self)
