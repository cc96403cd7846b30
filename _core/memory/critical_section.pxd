"""Locks of Python objects, where no GIL is the lock of all."""

cdef extern from "memory/critical_section.hpp" namespace "histscan":
    # Declare one in the function that needs the lock: it ends where the function returns or raises. Not for generators,
    # nor for functions `with gil`, which have released their thread state by then.
    cdef cppclass CriticalSection:
        void enter(object owner)
