// Lets any allocation of a process fail: malloc and its relatives, and so operator new and Python's allocators.
//
// The library is loaded before the C library (LD_PRELOAD), with PYTHONMALLOC=malloc. The same file is a module of
// Python, which says when allocations fail. Only for glibc, whose own functions have a second name.

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

enum {
    FRAMES = 48,
    // CPython repeats an allocation until it succeeds where it notes in which instruction an exception was raised.
    MOST_FAILURES = 1000,
};

static atomic_bool is_armed;
static atomic_long seen;             // how many allocations there have been since it was armed
static long first_failure;           // the number of the first one that fails
static bool fails_always;            // later ones fail, too
static atomic_long failed;           // how many have failed
static atomic_long live;             // how many blocks are allocated
static void *first_stack[FRAMES];    // where the first one failed
static int first_depth;
static bool records_stack;
// The library is loaded first: a thread needs no memory for this.
static __thread bool is_recording __attribute__((tls_model("initial-exec")));

static bool fails(void) {
    if (!atomic_load_explicit(&is_armed, memory_order_relaxed) || is_recording) return false;
    const long number = atomic_fetch_add(&seen, 1);
    if (number < first_failure || number >= first_failure + (fails_always ? MOST_FAILURES : 1)) return false;
    if (atomic_fetch_add(&failed, 1) == 0 && records_stack) {
        is_recording = true;
        first_depth = backtrace(first_stack, FRAMES);
        is_recording = false;
    }
    errno = ENOMEM;
    return true;
}

static void *counted(void *block) {
    if (block) atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return block;
}

void *malloc(size_t size) { return fails() ? NULL : counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : counted(__libc_calloc(count, size)); }
void *memalign(size_t alignment, size_t size) { return fails() ? NULL : counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    void *made = memalign(alignment, size);
    if (!made) return ENOMEM;
    *block = made;
    return 0;
}

void free(void *block) {
    if (block) atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    __libc_free(block);
}

void *realloc(void *block, size_t size) {
    if (!block) return malloc(size);
    // To shrink a block, or not to change it, never fails in practice; but it may.
    if (fails()) return NULL;
    void *made = __libc_realloc(block, size);
    if (!made && !size) atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    return made;
}

// run(work, first, always): calls work() while allocation number `first`, and with `always` all later ones, fail.
// Returns how many failed, and what it returned or raised.
static PyObject *run(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (count != 3) return PyErr_Format(PyExc_TypeError, "run takes 3 arguments");
    const long first = PyLong_AsLong(arguments[1]);
    if (first == -1 && PyErr_Occurred()) return NULL;
    first_failure = first;
    fails_always = PyObject_IsTrue(arguments[2]);
    first_depth = 0;
    atomic_store(&seen, 0);
    atomic_store(&failed, 0);
    atomic_store(&is_armed, true);
    PyObject *result = PyObject_CallNoArgs(arguments[0]);
    atomic_store(&is_armed, false);
    PyObject *type = NULL, *error = NULL, *trace = NULL;
    if (!result) {
        PyErr_Fetch(&type, &error, &trace);
        PyErr_NormalizeException(&type, &error, &trace);
        if (trace) PyException_SetTraceback(error, trace);
    } else if (PyErr_Occurred()) {
        PyErr_Fetch(&type, &error, &trace);
        PyErr_NormalizeException(&type, &error, &trace);
        Py_CLEAR(result);
        PyErr_Clear();
        result = NULL;
        PyObject *message = PyUnicode_FromFormat("a result with an exception set: %R", error);
        Py_XSETREF(error, PyObject_CallOneArg(PyExc_SystemError, message));
        Py_XDECREF(message);
    }
    PyObject *outcome = Py_BuildValue(
        "lOO", atomic_load(&failed), result ? result : Py_None, error ? error : Py_None);
    Py_XDECREF(result);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return outcome;
}

// live(): how many blocks are allocated.
static PyObject *count_live(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    // The number itself is a block, which is not counted.
    return PyLong_FromLong(atomic_load(&live));
}

// record(is_on): whether `where` has the first failure from now on.
static PyObject *record(PyObject *module, PyObject *is_on) {
    (void)module;
    records_stack = PyObject_IsTrue(is_on);
    // The first call loads a library.
    backtrace(first_stack, FRAMES);
    Py_RETURN_NONE;
}

// where(): the stack of the first failure: the files, offsets in them, and names where they are known.
static PyObject *where(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    PyObject *frames = PyList_New(0);
    for (int depth = 0; frames && depth < first_depth; ++depth) {
        Dl_info info;
        if (!dladdr(first_stack[depth], &info)) continue;
        PyObject *frame = Py_BuildValue("snz", info.dli_fname,
            (Py_ssize_t)((char *)first_stack[depth] - (char *)info.dli_fbase), info.dli_sname);
        if (!frame || PyList_Append(frames, frame) < 0) Py_CLEAR(frames);
        Py_XDECREF(frame);
    }
    return frames;
}

static PyMethodDef methods[] = {
    {"run", (PyCFunction)(void (*)(void))run, METH_FASTCALL, NULL},
    {"live", count_live, METH_NOARGS, NULL},
    {"record", record, METH_O, NULL},
    {"where", where, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "failing_allocations", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_failing_allocations(void) { return PyModule_Create(&definition); }
