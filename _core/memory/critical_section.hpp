// Locks of Python objects, where no GIL is the lock of all.

#ifndef HISTSCAN_CRITICAL_SECTION_HPP
#define HISTSCAN_CRITICAL_SECTION_HPP

#include <Python.h>

namespace histscan {

// From `enter` to the end of the scope, other threads do not enter a section of the same object. Like the GIL, the object is
// left meanwhile where this thread waits for something, or releases its thread state. `owner` must outlive the scope, and
// only one object may be entered.
//
// Cython's `critical_section` does the same, but takes 3 % of the time of a short row also where there is a GIL: there,
// this compiles to nothing.
class CriticalSection {
public:
    CriticalSection() = default;
    CriticalSection(const CriticalSection &) = delete;
    CriticalSection &operator=(const CriticalSection &) = delete;
#ifdef Py_GIL_DISABLED
    ~CriticalSection() {
        if (is_entered_) PyCriticalSection_End(&section_);
    }
    void enter(PyObject *owner) {
        PyCriticalSection_Begin(&section_, owner);
        is_entered_ = true;
    }

private:
    PyCriticalSection section_;
    bool is_entered_ = false;
#else
    void enter(PyObject *) {}
#endif
};

}  // namespace histscan

#endif
