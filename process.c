#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "settings.h"

enum { LINE_MAX_BYTES = 1024 };

/* ---- limits and privileges ----------------------------------------- */

/* -r: as much as allowed, which must be something. */
static void raise_core_limit(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    if (!settings.core_dumps) {
        return;
    }
    if (setrlimit(RLIMIT_CORE, &limit) != 0 &&
        getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_CORE, &limit); /* the check below tells */
    }
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur == 0) {
        log_fatal(EX_OSERR, "failed to ensure corefile creation\n");
    }
}

static void set_descriptor_limit(void)
{
    struct rlimit limit = {(rlim_t)settings.maxconns,
                           (rlim_t)settings.maxconns};

    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        log_fatal(EX_OSERR, "failed to set rlimit for open files. Try starting "
                            "as root or requesting smaller maxconns value.\n");
    }
}

/* -k: what is locked later, by another user, counts against this limit. */
static void raise_lock_limit(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    if (settings.lock_memory) {
        (void)setrlimit(RLIMIT_MEMLOCK,
                        &limit); /* process_lock_memory() tells */
    }
}

void process_set_limits(void)
{
    raise_core_limit();
    set_descriptor_limit();
    raise_lock_limit();
}

static const struct passwd *user; /* whom to become; NULL: nobody else */

void process_find_user(void)
{
    if (getuid() != 0 && geteuid() != 0) {
        return;
    }
    if (settings.username == NULL || settings.username[0] == '\0') {
        log_fatal(EX_USAGE, "must add '-u root' to start as root\n");
    }
    user = getpwnam(settings.username);
    if (user == NULL) {
        log_fatal(EX_NOUSER, "can't find the user %s to switch to\n",
                  settings.username);
    }
}

void process_drop_privileges(void)
{
    if (user == NULL) {
        return;
    }
    if (settings.socketpath != NULL &&
        lchown(settings.socketpath, user->pw_uid, user->pw_gid) != 0) {
        log_print(0, "failed to give %s to user %s: %s\n", settings.socketpath,
                  settings.username, strerror(errno));
    }
    if (setgroups(0, NULL) < 0) {
        int error = errno;

        log_print(0, "failed to drop supplementary groups: %s\n",
                  strerror(error));
        if (error != EPERM) {
            exit(EX_OSERR);
        }
    }
    if (setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0) {
        log_fatal(EX_OSERR, "failed to assume identity of user %s\n",
                  settings.username);
    }
    if (settings.core_dumps) {
        /* The kernel dumps no process that changed its user. */
        (void)prctl(PR_SET_DUMPABLE, 1);
    }
}

/* -k: pages are locked as they come into use, since most of the address range
 * that the store reserves never does. */
void process_lock_memory(void)
{
    if (settings.lock_memory &&
        mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
        log_print(0, "warning: -k invalid, mlockall() failed: %s\n",
                  strerror(errno));
    }
}

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* The first line of a file; false when there is none. */
static bool first_line(const char *path, char line[LINE_MAX_BYTES])
{
    FILE *f = fopen(path, "r");
    bool got;

    if (f == NULL) {
        return false;
    }
    got = fgets(line, LINE_MAX_BYTES, f) != NULL;
    (void)fclose(f); /* nothing was written */
    return got;
}

/* Why the kernel gives no large pages to those who ask; NULL: it does. */
static const char *large_pages_refused(void)
{
    char line[LINE_MAX_BYTES];

    if (access(THP "enabled", F_OK) != 0) {
        return "support not detected";
    }
    if (!first_line(THP "enabled", line)) {
        return "could not read the configuration";
    }
    return strstr(line, "[never]") != NULL ? "support disabled" : NULL;
}

void process_check_large_pages(void)
{
    char line[LINE_MAX_BYTES];
    const char *why;

    if (!settings.large_pages) {
        return;
    }
    why = large_pages_refused();
    if (why != NULL) {
        log_fatal(EXIT_FAILURE,
                  "Transparent huge pages %s.\n"
                  "Will use default page size.\n"
                  "Cannot enable large pages on this system\n"
                  "(There is no support as of this version)\n",
                  why);
    }
    if (first_line(THP "hpage_pmd_size", line)) {
        log_print(2, "huge page size: %s", line);
    }
}

/* ---- the daemon of -d ---------------------------------------------- */

static int ready_fd = -1; /* the parent waits at its other end */

void process_standard_files(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* The parent ends when the daemon is ready, or as the daemon ended. */
_Noreturn static void wait_for_daemon(int fd, pid_t pid)
{
    char byte;
    ssize_t n;
    int status;

    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1) {
        _exit(EXIT_SUCCESS);
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            _exit(EXIT_FAILURE);
        }
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

void process_daemonise(void)
{
    int fds[2];
    pid_t pid;

    if (!settings.daemonize) {
        return;
    }
    if (pipe(fds) != 0 || (pid = fork()) < 0) {
        log_fatal(EXIT_FAILURE, "failed to daemon() in order to daemonize\n");
    }
    if (pid > 0) {
        (void)close(fds[1]);
        wait_for_daemon(fds[0], pid);
    }
    (void)close(fds[0]);
    ready_fd = fds[1];
    if (setsid() < 0 || (!settings.core_dumps && chdir("/") != 0)) {
        log_fatal(EXIT_FAILURE, "failed to daemon() in order to daemonize\n");
    }
}

void process_ready(void)
{
    int null;

    if (ready_fd < 0) {
        return;
    }
    if (!log_wanted(1)) {
        null = open("/dev/null", O_RDWR);
        for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++) {
            (void)dup2(null, fd);
        }
        if (null >= 0) {
            (void)close(null);
        }
    }
    if (write(ready_fd, "", 1) != 1) {
        log_print(0, "nobody waits for the daemon\n");
    }
    (void)close(ready_fd);
    ready_fd = -1;
}

/* ---- the pid file -------------------------------------------------- */

static void warn_of_running_pid(void)
{
    char line[LINE_MAX_BYTES];
    long pid;

    if (!first_line(settings.pid_file, line)) {
        return;
    }
    pid = strtol(line, NULL, 10);
    if (pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM)) {
        log_print(0,
                  "WARNING: The pid file contained the following (running) "
                  "pid: %ld\n",
                  pid);
    }
}

void process_write_pid_file(void)
{
    char tmp[PATH_MAX];
    FILE *f;

    if (settings.pid_file == NULL) {
        return;
    }
    warn_of_running_pid();
    (void)snprintf(tmp, sizeof(tmp), "%s.tmp", settings.pid_file);
    f = fopen(tmp, "w");
    if (f == NULL) {
        log_print(0, "Could not open the pid file %s for writing: %s\n", tmp,
                  strerror(errno));
        return;
    }
    (void)fprintf(f, "%ld\n", (long)getpid()); /* fclose tells */
    if (fclose(f) != 0) {
        log_print(0, "Could not write the pid file %s: %s\n", tmp,
                  strerror(errno));
        return;
    }
    if (rename(tmp, settings.pid_file) != 0) {
        log_print(0, "Could not rename the pid file from %s to %s: %s\n", tmp,
                  settings.pid_file, strerror(errno));
    }
}

void process_remove_pid_file(void)
{
    if (settings.pid_file != NULL && settings.daemonize &&
        unlink(settings.pid_file) != 0) {
        log_print(0, "Could not remove the pid file %s: %s\n",
                  settings.pid_file, strerror(errno));
    }
}
