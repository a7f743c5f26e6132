#include "privileges.h"

#ifdef HAVE_SECCOMP

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { TEXT_MAX = 160, DECIMAL = 10 };

/* Changed by privileges_init only. */
static struct {
    bool enabled;
    unsigned needs; /* enum privileges_need */
} self;

/* What every thread does: memory, locks, time, descriptors it has. */
static const int of_all[] = {
    SCMP_SYS(brk),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    SCMP_SYS(futex),
    SCMP_SYS(getcpu),
    SCMP_SYS(getegid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getpeername),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getuid),
    SCMP_SYS(lseek),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(nanosleep),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(prctl),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(seccomp), /* of a thread's own threads: can only take away */
    SCMP_SYS(set_robust_list),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(time),
    SCMP_SYS(write),
    SCMP_SYS(writev),
};

static const int of_main[] = {
    SCMP_SYS(accept4),
    SCMP_SYS(listen),
    SCMP_SYS(unlink), /* the pid file */
    SCMP_SYS(unlinkat),
};

/* Also of the threads that resolve a name. */
static const int of_dialling[] = {
    SCMP_SYS(accept4), SCMP_SYS(bind),   SCMP_SYS(connect), SCMP_SYS(ioctl),
    SCMP_SYS(listen),  SCMP_SYS(socket), SCMP_SYS(sysinfo), SCMP_SYS(uname),
};

/* To read a file. */
static const int of_files[] = {
    SCMP_SYS(access),     SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(getdents64), SCMP_SYS(lstat),     SCMP_SYS(newfstatat),
    SCMP_SYS(pread64),    SCMP_SYS(readlink),  SCMP_SYS(readlinkat),
    SCMP_SYS(stat),       SCMP_SYS(statfs),    SCMP_SYS(statx),
};

/* To take memory from a file. */
static const int of_file_memory[] = {
    SCMP_SYS(fallocate),
    SCMP_SYS(fstatfs),
    SCMP_SYS(ftruncate),
};

/* To keep that file, and write another beside it. */
static const int of_keeping[] = {
    SCMP_SYS(fdatasync), SCMP_SYS(fsync),     SCMP_SYS(open),
    SCMP_SYS(openat),    SCMP_SYS(pwrite64),  SCMP_SYS(rename),
    SCMP_SYS(renameat),  SCMP_SYS(renameat2),
};

static bool allow(scmp_filter_ctx filter, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* A call that this architecture lacks cannot be made either. */
        int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);

        if (error != 0 && error != -EDOM) {
            return false;
        }
    }
    return true;
}

/* Opens to read, and nothing else. */
static bool allow_reading(scmp_filter_ctx filter)
{
    const uint64_t writes = O_ACCMODE | O_CREAT | O_TRUNC;
    int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                                 SCMP_A1(SCMP_CMP_MASKED_EQ, writes, O_RDONLY));

    return (error == 0 || error == -EDOM) &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, writes, O_RDONLY)) ==
               0 &&
           allow(filter, of_files, ARRAY_LEN(of_files));
}

/* The C library looks into files of the system by itself (malloc counts the
 * processors for another arena) and does without those that it may not open. */
static bool refuse_opening(scmp_filter_ctx filter)
{
    int error =
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(open), 0);

    return (error == 0 || error == -EDOM) &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat),
                            0) == 0;
}

/* A thread, no process; the newer call hides what it is asked for, and the
 * library then uses the older one. Signals to this process alone. */
static bool allow_threads(scmp_filter_ctx filter)
{
    const uint64_t pid = (uint64_t)getpid();

    return seccomp_rule_add(
               filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
               SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
                            0) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1,
                            SCMP_A0(SCMP_CMP_EQ, pid, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, pid, 0)) == 0;
}

static bool allow_local_socket(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                            SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0)) == 0;
}

/* Sockets of this host, for a word to the service manager. */
static bool allow_main(scmp_filter_ctx filter)
{
    return allow(filter, of_main, ARRAY_LEN(of_main)) &&
           allow_local_socket(filter) &&
           ((self.needs & PRIVILEGES_KEEPS) == 0 ||
            allow(filter, of_keeping, ARRAY_LEN(of_keeping)));
}

static bool allow_worker(scmp_filter_ctx filter)
{
    static const int of_asking[] = {SCMP_SYS(connect), SCMP_SYS(select),
                                    SCMP_SYS(pselect6)};

    return (self.needs & PRIVILEGES_ASKS) == 0 ||
           (allow(filter, of_asking, ARRAY_LEN(of_asking)) &&
            allow_local_socket(filter));
}

/* Any thread may be the one that needs another page. */
static bool allow_memory(scmp_filter_ctx filter)
{
    return (self.needs & PRIVILEGES_KEEPS) == 0 ||
           allow(filter, of_file_memory, ARRAY_LEN(of_file_memory));
}

static bool allow_files(scmp_filter_ctx filter, enum privileges_role role)
{
    if (role == PRIVILEGES_DIALS || (self.needs & PRIVILEGES_FILES) != 0) {
        return allow_reading(filter);
    }
    return (role == PRIVILEGES_MAIN && (self.needs & PRIVILEGES_KEEPS) != 0) ||
           refuse_opening(filter);
}

static bool allow_role(scmp_filter_ctx filter, enum privileges_role role)
{
    switch (role) {
    case PRIVILEGES_MAIN:
        return allow_main(filter);
    case PRIVILEGES_WORKER:
        return allow_worker(filter);
    case PRIVILEGES_DIALS:
        return allow(filter, of_dialling, ARRAY_LEN(of_dialling));
    }
    return false;
}

/* ---- a call that is not allowed ------------------------------------ */

static size_t put_text(char *at, const char *text)
{
    size_t n = strlen(text);

    memcpy(at, text, n);
    return n;
}

/* Runs wherever the call was made: no stdio. */
static void on_violation(int sig, siginfo_t *info, void *context)
{
    char text[TEXT_MAX];
    size_t n = put_text(text, "Seccomp policy failure. Caught syscall ");
    char digits[UTIL_U64_DIGITS];
    uint64_t call = (uint64_t)info->si_syscall;
    size_t i = sizeof(digits);

    (void)sig;
    (void)context;
    do {
        digits[--i] = (char)('0' + call % DECIMAL);
        call /= DECIMAL;
    } while (call > 0);
    memcpy(text + n, digits + i, sizeof(digits) - i);
    n += sizeof(digits) - i;
    n += put_text(text + n, ". This is either an exploit attempt, or your "
                            "system is not supported yet.\n");
    if (write(STDERR_FILENO, text, n) < 0) {
        _exit(2); /* nobody can be told */
    }
    _exit(1);
}

/* One that is blocked would end the process without a word. */
static bool hear_violations(void)
{
    struct sigaction action = {.sa_sigaction = on_violation,
                               .sa_flags = SA_SIGINFO};
    sigset_t set;

    return sigemptyset(&set) == 0 && sigaddset(&set, SIGSYS) == 0 &&
           sigaction(SIGSYS, &action, NULL) == 0 &&
           pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0;
}

/* ---- all of it ----------------------------------------------------- */

bool privileges_available(void)
{
    return true;
}

void privileges_init(bool enabled, unsigned needs)
{
    self.enabled = enabled;
    self.needs = needs;
}

bool privileges_drop(enum privileges_role role)
{
    scmp_filter_ctx filter;
    bool good;

    if (!self.enabled) {
        return true;
    }
    filter = seccomp_init(SCMP_ACT_TRAP);
    if (filter == NULL) {
        return false;
    }
    good = allow(filter, of_all, ARRAY_LEN(of_all)) && allow_threads(filter) &&
           allow_memory(filter) && allow_role(filter, role) &&
           allow_files(filter, role) && hear_violations() &&
           seccomp_load(filter) == 0;
    seccomp_release(filter);
    return good;
}

#else

bool privileges_available(void)
{
    return false;
}

void privileges_init(bool enabled, unsigned needs)
{
    (void)enabled;
    (void)needs;
}

bool privileges_drop(enum privileges_role role)
{
    (void)role;
    return true;
}

#endif
