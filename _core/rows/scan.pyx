"""The base class of all scans: iterates over the rows of the current page, and over pages in turn.

Subclasses fetch pages, in `_load_next`; all that is done for each row is done here.
"""

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.bytes.faults cimport check_memory
from histscan._core.pages.page cimport Page

import os
from pathlib import Path
from threading import RLock, get_ident

from histscan.errors import HistoryDecodeError

cdef extern from "Python.h":
    ctypedef object (*iternextfunc)(object)
    ctypedef struct PyTypeObject:
        iternextfunc tp_iternext

# Scans for which a thread is loading a page or reading columns, by their addresses.
cdef dict busy = {}


def _free_after_fork():
    """Releases the locks of scans whose threads do not exist in the forked process: no other thread would."""
    survivor = get_ident()
    for scan in list(busy.values()):
        (<RowScan> scan).free_after_fork(survivor)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_after_fork)


cdef object absolute(object value):
    """Makes a path absolute for pickles, which may be read in another folder; returns any other value unchanged."""
    return value.absolute() if isinstance(value, Path) else value


def _make_scan(scan_class, arguments, options):
    """Makes a scan from the arguments of another, as `RowScan.__reduce__` passes them."""
    return scan_class(*arguments, **options)


def share_next_slot(type scan_class not None):
    """Gives a class the slot for the next row that its base in the core has, unless it has a `__next__` of its own.

    CPython gives classes written in Python a slot that looks `__next__` up by its name for each row. Assigning a
    `__next__` to the class later replaces the slot, as for any class.

    Args:
        scan_class: A new subclass of `RowScan`.
    """
    if issubclass(scan_class, RowScan) and scan_class.__next__ is RowScan.__next__:
        (<PyTypeObject*> scan_class).tp_iternext = (<PyTypeObject*> RowScan).tp_iternext


cdef class RowScan:
    """Iterates over rows page by page; ``iter()`` starts over.

    Threads may share a scan: each row goes to one of them. After a fork a scan continues where it was, in the child and
    in the parent. Copies and pickles of a scan are new scans, with the arguments that it was created with: they
    begin at its first step.

    Args:
        min_step: First step of the scan, inclusive.
        stop_step: Where the scan ends, exclusive.

    Attributes:
        page_offset: First step of the page to be loaded next.
        scan_offset: Index of the next row within the current page.
    """

    def __cinit__(self, *args, **kwargs):
        # A subclass may forget to call __init__; it then has no rows, but does no harm.
        self.first_step = self.next_page_step = self.end_step = 0
        self.row_list = []
        self.load_lock = RLock()
        # Removing the scan from `busy` must not need memory.
        self.identity = id(self)
        self.arguments = (args, kwargs)

    def __init__(self, min_step, stop_step):
        cdef CriticalSection section
        section.enter(self)
        self.first_step = min_step
        self.end_step = stop_step
        self._start_over()

    @property
    def min_step(self):
        """First step of the scan, inclusive."""
        cdef CriticalSection section
        section.enter(self)
        return self.first_step

    @min_step.setter
    def min_step(self, step):
        cdef CriticalSection section
        section.enter(self)
        self.first_step = step

    @property
    def page_offset(self):
        """First step of the page to be loaded next."""
        cdef CriticalSection section
        section.enter(self)
        return self.next_page_step

    @page_offset.setter
    def page_offset(self, step):
        cdef CriticalSection section
        section.enter(self)
        self.next_page_step = step

    @property
    def _stop_step(self):
        """Where the scan ends, exclusive."""
        cdef CriticalSection section
        section.enter(self)
        return self.end_step

    @_stop_step.setter
    def _stop_step(self, step):
        cdef CriticalSection section
        section.enter(self)
        self.end_step = step

    def __copy__(self):
        return _make_scan(type(self), *self.arguments)

    def __reduce__(self):
        arguments, options = self.arguments
        return _make_scan, (
            type(self),
            tuple(map(absolute, arguments)),
            {name: absolute(value) for name, value in options.items()},
        )

    def _start_over(self):
        """Goes back to the first page, without loading it."""
        cdef CriticalSection section
        section.enter(self)
        self.restarts += 1
        self.taken = 0
        self.is_torn = False
        self.next_page_step = self.first_step
        self.scan_offset = 0
        self.row_list = []

    @property
    def max_step(self):
        """The highest step that the scan can yield."""
        cdef CriticalSection section
        section.enter(self)
        return self.end_step - 1

    @property
    def rows(self):
        """The current page's rows, as a list; rows not decoded yet are decoded now.

        Raises:
            HistoryDecodeError: A row of the page is malformed. (Iterating delivers the rows before it.)
        """
        return self.decoded_rows()

    @rows.setter
    def rows(self, rows):
        if type(rows) is not list:
            rows = list(rows)
        cdef CriticalSection section
        section.enter(self)
        self.row_list = rows

    cdef list decoded_rows(self):
        """The current page's rows."""
        cdef CriticalSection section
        section.enter(self)
        cdef Page page = self.page
        cdef list rows
        if self.row_list is None:
            try:
                rows = page.rows()
            except HistoryDecodeError as error:
                check_memory(error)
                self._add_location(error)
                raise
            if self.page is not page or self.row_list is not None:
                return rows
            self.row_list = rows
        return self.row_list

    def __iter__(self):
        self._start_over()
        return self

    def __next__(self):
        return self.next_row()

    cdef object next_row(self):
        """The next row, loading pages until there is one."""
        cdef CriticalSection section
        section.enter(self)
        # Freeing an object may run any code, this scan's own methods included: references to all that is used are held
        # here, and a row counts as taken before it is decoded.
        cdef Page page
        cdef list row_list
        cdef Py_ssize_t index
        while True:
            if self.exporting:
                raise RuntimeError("this scan is being read as columns: create another scan to read its rows")
            page = self.page
            row_list = self.row_list
            index = self.scan_offset
            if row_list is not None:
                if 0 <= index < len(row_list):
                    self.scan_offset = index + 1
                    return row_list[index]
            elif 0 <= index < <Py_ssize_t> page.spans.size():
                self.scan_offset = index + 1
                try:
                    return page.decode_row(index)
                except BaseException as error:
                    # The row is still to come, also after an interrupt or a lack of memory.
                    if self.page is page and self.scan_offset == index + 1:
                        self.scan_offset = index
                    if isinstance(error, HistoryDecodeError):
                        error.add_location(row=index)
                        self._add_location(error)
                    raise
            elif not page.is_indexed:
                page.index()
                continue
            elif page.fault:
                try:
                    page.raise_if_faulty()
                except HistoryDecodeError as error:
                    check_memory(error)
                    self._add_location(error)
                    raise
            # Not by `with`: where there is no memory for a traceback, Cython's passes a null pointer to the lock.
            lock = self.load_lock
            lock.acquire()
            try:
                # Of several threads that share the scan, one loads the page; the others then find it here.
                if (
                    self.page is page
                    and self.row_list is row_list
                    and self.scan_offset >= index
                    and not self.exporting
                ):
                    if self.next_page_step >= self.end_step and not self.is_torn:
                        raise StopIteration
                    self.load_page()
            finally:
                lock.release()

    cdef object load_page(self):
        """Loads the next page. The caller must hold `load_lock`."""
        cdef object outer = self.loader     # this same thread, if loading a page requests a row
        self.loader = get_ident()
        busy[self.identity] = self
        try:
            if self.is_torn:
                # A row of the current page may be next.
                self.mend()
            else:
                self._load_next()
        finally:
            self.loader = outer
            if outer is None and not self.exporting:
                busy.pop(self.identity, None)

    cdef object mend(self):
        """Brings the source back to the end of the current page, after a fork left it within the next one."""
        cdef Py_ssize_t taken = self.taken
        cdef Py_ssize_t scan_offset = self.scan_offset
        try:
            self._resume()
        except BaseException:
            # The rows that were loaded again have been taken before.
            self.row_list = []
            self.taken = taken
            self.scan_offset = scan_offset
            self.is_torn = True
            raise
        self.is_torn = False

    def _resume(self):
        """Loads all pages up to the current one again. A subclass that can seek in its source should override this."""
        cdef CriticalSection section
        section.enter(self)
        cdef Py_ssize_t taken = self.taken
        cdef Py_ssize_t scan_offset = self.scan_offset
        self._start_over()
        while self.taken < taken:
            self._load_next()
        self.scan_offset = scan_offset

    cdef object free_after_fork(self, object survivor):
        """Releases, in a forked process, the scan's locks that threads of the parent process held."""
        cdef CriticalSection section
        section.enter(self)
        if self.exporting and self.exporter != survivor:
            self.put_back()
            self.kept_position = None
            self.exporting = False
            # The generator must not continue.
            self.restarts += 1
        if self.loader is not None and self.loader != survivor:
            self.loader = None
            self.load_lock = RLock()
            self.is_torn = True
        if self.loader is None and not self.exporting:
            busy.pop(self.identity, None)

    cdef object put_back(self):
        """Restores the position that rows had before the scan was read as columns."""
        self.page, self.row_list, self.next_page_step, self.scan_offset = self.kept_position

    def _take_page(self, Page page not None):
        """Makes a page the current one.

        Args:
            page: A new page from the source; its rows are decoded when they are requested.
        """
        cdef CriticalSection section
        section.enter(self)
        if self.page is not None:
            page.use_decoder_of(self.page)
        self.page = page
        self.row_list = None
        self.scan_offset = 0
        self.taken += 1

    def _take_rows(self, list rows not None):
        """Makes a list of rows the current page.

        Args:
            rows: The rows; the scan takes ownership of the list.
        """
        cdef CriticalSection section
        section.enter(self)
        self.row_list = rows
        self.scan_offset = 0
        self.taken += 1

    def _pages(self):
        """Iterates over all pages from the first on, without decoding rows; then restores the position of rows.

        Yields:
            Each page: a `Page`, or a list of rows where a subclass has assigned one.

        Raises:
            RuntimeError: The scan is used for something else at the same time.
        """
        # A generator can have no critical section: each part has its own.
        cdef Py_ssize_t restarts = -1
        cdef tuple position = self.begin_export()
        try:
            self._start_over()
            restarts = self.restarts
            while self.has_next():
                self._load_next()
                yield self.exported_page()
                if self.restarts != restarts:
                    raise RuntimeError("this scan was restarted while it was being read as columns")
        finally:
            self.end_export(position, restarts)

    cdef tuple begin_export(self):
        """Marks the scan as being read as columns, and returns the position of its rows."""
        cdef CriticalSection section
        section.enter(self)
        cdef tuple position = None
        if not self.exporting:
            # A thread that reads rows may be loading a page: that page still belongs to it.
            lock = self.load_lock
            lock.acquire()
            try:
                if not self.exporting:
                    position = (self.page, self.row_list, self.next_page_step, self.scan_offset)
                    self.kept_position = position
                    self.exporter = get_ident()
                    busy[self.identity] = self
                    self.exporting = True
            finally:
                lock.release()
        if position is None:
            raise RuntimeError("this scan is already being read as columns: create one scan for each reader")
        return position

    cdef bint has_next(self) except -1:
        """Returns True if there are pages after the current one."""
        cdef CriticalSection section
        section.enter(self)
        return self.next_page_step < self.end_step

    cdef object exported_page(self):
        """The current page, or its rows where a subclass has assigned them."""
        cdef CriticalSection section
        section.enter(self)
        if self.row_list is not None:
            return self.row_list
        self.page.label = self._page_label()
        return self.page

    cdef int end_export(self, tuple position, Py_ssize_t restarts) except -1:
        """Restores the position of rows, unless a fork has done so; `restarts` as it was while pages were read."""
        cdef CriticalSection section
        section.enter(self)
        if self.kept_position is position:
            self.exporting = False
            if self.restarts == restarts:
                self.put_back()
            self.kept_position = None
            if self.loader is None:
                busy.pop(self.identity, None)
        return 0

    def _page_label(self):
        """The name of the page just loaded, for errors; subclasses override this."""

    def _load_next(self):
        """Fetches the page at `page_offset`, makes it the current one, and advances `page_offset`."""
        raise NotImplementedError

    def _add_location(self, error):
        """Adds the scan's position to an error; subclasses override this."""
