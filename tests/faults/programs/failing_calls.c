// Lets calls of the system fail that read and write files of one folder, or receive from one server, whoever makes
// them: Python or a library. Or cuts the files that they read, as another process may.
//
// The library is loaded before the C library (LD_PRELOAD). Only for glibc on Linux.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

// Groups of calls.
enum { OPEN = 1, READ = 2, WRITE = 4, SYNC = 8, RENAME = 16, CLOSE = 32, STAT = 64, RECEIVE = 128, SEND = 256, CUT = 512 };

// Instead of an error number: the server has closed the connection; a file loses one byte.
enum { ENDED = -1, ONE_BYTE = -1 };

static char folder[PATH_MAX];
static size_t folder_length;
static int groups;            // of which calls fail
static int error_number;      // 0: reads and writes are short. For CUT: how many thousandths of the file stay
static int server_port;
enum { DESCRIPTORS = 1024 };
static atomic_bool is_used[DESCRIPTORS];    // files that were read, or asked for their size, since they were opened
static char cut_path[PATH_MAX];
static atomic_bool is_cut_unused;    // the file that was cut had not been used before, or was opened again since
static long first_failure;    // the number of the first call that fails
static bool fails_always;
static atomic_bool is_armed;
static atomic_long seen, failed;

// Calls of these groups in the folder fail from now on.
void arm_calls(const char *path, int which, int error, long first, int always) {
    snprintf(folder, sizeof folder, "%s", path);
    folder_length = strlen(folder);
    groups = which;
    error_number = error;
    first_failure = first;
    fails_always = always;
    atomic_store(&seen, 0);
    atomic_store(&failed, 0);
    atomic_store(&is_cut_unused, false);
    cut_path[0] = 0;
    atomic_store(&is_armed, true);
}

// Connections to this port of loopback are those that RECEIVE and SEND are about.
void set_server(int port) { server_port = port; }

// No calls fail any more. Returns how many have.
long disarm_calls(void) {
    atomic_store(&is_armed, false);
    return atomic_load(&failed);
}

// Returns true if what was read of the file that was cut may be from after the cut.
int was_cut_unused(void) { return atomic_load(&is_cut_unused); }

// Returns the path of the file that was cut; empty without one.
const char *cut_file(void) { return cut_path; }

static bool is_below(const char *path) { return !strncmp(path, folder, folder_length); }

static bool is_open_below(int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return false;
    path[length] = 0;
    return is_below(path);
}

static bool counts(void) {
    const long number = atomic_fetch_add(&seen, 1);
    if (number != first_failure && !(fails_always && number > first_failure)) return false;
    atomic_fetch_add(&failed, 1);
    return true;
}

static bool is_due(int group) { return atomic_load(&is_armed) && groups & group; }

// Returns true if a call fails, with errno.
static bool fails_at(int group, int directory, const char *path) {
    if (!is_due(group) || !error_number) return false;
    const bool is_ours = path[0] == '/' ? is_below(path) : directory != AT_FDCWD && is_open_below(directory);
    if (!is_ours || !counts()) return false;
    errno = error_number;
    return true;
}
static bool fails_on(int group, int descriptor) {
    if (!is_due(group) || !error_number || !is_open_below(descriptor) || !counts()) return false;
    errno = error_number;
    return true;
}
static size_t shortened(int group, int descriptor, size_t size) {
    if (!is_due(group) || error_number || size < 2 || !is_open_below(descriptor) || !counts()) return size;
    return size / 2;
}

static bool is_client(int descriptor) {
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    return !getpeername(descriptor, (struct sockaddr *)&peer, &size) && peer.sin_family == AF_INET &&
        ntohs(peer.sin_port) == server_port;
}

// Cuts a file that is open for reading, if it is its turn.
static void cut(int descriptor) {
    char link[64], path[PATH_MAX];
    struct stat status;
    if (!is_due(CUT) || descriptor < 0 || descriptor >= DESCRIPTORS) return;
    const bool was_used = atomic_exchange(&is_used[descriptor], true);
    if (!is_open_below(descriptor) || (fcntl(descriptor, F_GETFL) & O_ACCMODE) != O_RDONLY) return;
    if (fstatat(descriptor, "", &status, AT_EMPTY_PATH) || !S_ISREG(status.st_mode) || !status.st_size) return;
    if (!counts()) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    atomic_store(&is_cut_unused, !was_used);
    memcpy(cut_path, path, (size_t)length + 1);
    const off_t size = error_number == ONE_BYTE ? status.st_size - 1 : status.st_size * error_number / 1000;
    if (truncate(path, size)) perror("truncate");
}

// Notes that a file was opened.
static int opened(int descriptor) {
    char link[64], path[PATH_MAX];
    if (descriptor < 0 || descriptor >= DESCRIPTORS || !is_due(CUT)) return descriptor;
    atomic_store(&is_used[descriptor], false);
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return descriptor;
    path[length] = 0;
    if (cut_path[0] && !strcmp(path, cut_path)) atomic_store(&is_cut_unused, true);
    return descriptor;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN_CALL(name)                                                        \
    int name(const char *path, int flags, ...) {                               \
        va_list more;                                                          \
        va_start(more, flags);                                                 \
        const int mode = va_arg(more, int);                                    \
        va_end(more);                                                          \
        return fails_at(OPEN, AT_FDCWD, path) ? -1 : opened(NEXT(name)(path, flags, mode)); \
    }
#define OPENAT_CALL(name)                                                      \
    int name(int directory, const char *path, int flags, ...) {                \
        va_list more;                                                          \
        va_start(more, flags);                                                 \
        const int mode = va_arg(more, int);                                    \
        va_end(more);                                                          \
        return fails_at(OPEN, directory, path) ? -1 : opened(NEXT(name)(directory, path, flags, mode)); \
    }
OPEN_CALL(open)
OPEN_CALL(open64)
OPENAT_CALL(openat)
OPENAT_CALL(openat64)

ssize_t read(int descriptor, void *buffer, size_t size) {
    cut(descriptor);
    if (fails_on(READ, descriptor)) return -1;
    return NEXT(read)(descriptor, buffer, shortened(READ, descriptor, size));
}
ssize_t pread(int descriptor, void *buffer, size_t size, off_t offset) {
    cut(descriptor);
    if (fails_on(READ, descriptor)) return -1;
    return NEXT(pread)(descriptor, buffer, shortened(READ, descriptor, size), offset);
}
ssize_t pread64(int descriptor, void *buffer, size_t size, off64_t offset) {
    cut(descriptor);
    if (fails_on(READ, descriptor)) return -1;
    return NEXT(pread64)(descriptor, buffer, shortened(READ, descriptor, size), offset);
}
// Of one part, as Python passes for one buffer.
ssize_t preadv(int descriptor, const struct iovec *parts, int count, off_t offset) {
    cut(descriptor);
    if (fails_on(READ, descriptor)) return -1;
    const struct iovec part = {parts->iov_base, shortened(READ, descriptor, parts->iov_len)};
    return NEXT(preadv)(descriptor, &part, count, offset);
}
ssize_t preadv64(int descriptor, const struct iovec *parts, int count, off64_t offset) {
    cut(descriptor);
    if (fails_on(READ, descriptor)) return -1;
    const struct iovec part = {parts->iov_base, shortened(READ, descriptor, parts->iov_len)};
    return NEXT(preadv64)(descriptor, &part, count, offset);
}
ssize_t write(int descriptor, const void *buffer, size_t size) {
    if (fails_on(WRITE, descriptor)) return -1;
    return NEXT(write)(descriptor, buffer, shortened(WRITE, descriptor, size));
}
ssize_t pwrite64(int descriptor, const void *buffer, size_t size, off64_t offset) {
    if (fails_on(WRITE, descriptor)) return -1;
    return NEXT(pwrite64)(descriptor, buffer, shortened(WRITE, descriptor, size), offset);
}
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    if (fails_on(WRITE, descriptor)) return -1;
    return NEXT(writev)(descriptor, parts, count);
}
int ftruncate64(int descriptor, off64_t size) {
    return fails_on(WRITE, descriptor) ? -1 : NEXT(ftruncate64)(descriptor, size);
}
int fsync(int descriptor) { return fails_on(SYNC, descriptor) ? -1 : NEXT(fsync)(descriptor); }
int fdatasync(int descriptor) { return fails_on(SYNC, descriptor) ? -1 : NEXT(fdatasync)(descriptor); }
int rename(const char *from, const char *to) {
    return fails_at(RENAME, AT_FDCWD, from) ? -1 : NEXT(rename)(from, to);
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return fails_at(RENAME, from_folder, from) ? -1 : NEXT(renameat)(from_folder, from, to_folder, to);
}
int close(int descriptor) {
    // As on Linux, the descriptor is closed all the same.
    const bool fails = fails_on(CLOSE, descriptor);
    const int result = NEXT(close)(descriptor);
    if (!fails) return result;
    errno = error_number;
    return -1;
}
int fstat64(int descriptor, struct stat64 *status) {
    cut(descriptor);
    return fails_on(STAT, descriptor) ? -1 : NEXT(fstat64)(descriptor, status);
}
int stat64(const char *path, struct stat64 *status) {
    return fails_at(STAT, AT_FDCWD, path) ? -1 : NEXT(stat64)(path, status);
}

ssize_t recv(int descriptor, void *buffer, size_t size, int flags) {
    if (is_due(RECEIVE) && is_client(descriptor) && counts()) {
        if (error_number == ENDED) return 0;
        if (error_number) return errno = error_number, -1;
        size = size < 2 ? size : 1;
    }
    return NEXT(recv)(descriptor, buffer, size, flags);
}
ssize_t send(int descriptor, const void *buffer, size_t size, int flags) {
    if (is_due(SEND) && is_client(descriptor) && counts()) {
        if (error_number) return errno = error_number, -1;
        size = size < 2 ? size : size / 2;
    }
    return NEXT(send)(descriptor, buffer, size, flags);
}
