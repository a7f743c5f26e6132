/* Unit tests of privileges: what a thread may still do, in a child process
 * each. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "privileges.h"

/* The thread sanitizer keeps a signal to itself until the thread makes another
 * call, which one that was caught never does. */
#if defined(__SANITIZE_THREAD__)
#define CAN_CATCH 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CAN_CATCH 0
#endif
#endif
#ifndef CAN_CATCH
#define CAN_CATCH 1
#endif

#ifdef HAVE_SECCOMP

static char said[256]; /* what the last child wrote on standard error */

/* How a child ends that drops to `role` and calls `deed`. */
static int end_of(enum privileges_role role, unsigned needs, void (*deed)(void))
{
    int fds[2];
    int status;
    ssize_t n;
    pid_t pid;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        privileges_init(true, needs);
        if (!privileges_drop(role)) {
            _exit(77);
        }
        deed();
        _exit(0);
    }
    ck_assert_int_eq(close(fds[1]), 0);
    n = read(fds[0], said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    ck_assert_int_eq(close(fds[0]), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void do_daily_work(void)
{
    void *p = malloc(1 << 22);
    void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == NULL || map == MAP_FAILED || write(STDERR_FILENO, "x", 1) != 1 ||
        kill(getpid(), 0) != 0 || usleep(1) != 0) {
        _exit(3);
    }
    free(p);
}

static void *nothing(void *arg)
{
    return arg;
}

static void start_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, nothing, NULL) != 0 ||
        pthread_join(thread, NULL) != 0) {
        _exit(3);
    }
}

enum { REFUSED = 4 }; /* exit code: the call failed, and all goes on */

static void read_file(void)
{
    if (open("/dev/null", O_RDONLY) < 0) {
        _exit(errno == EACCES ? REFUSED : 3);
    }
}

static void write_file(void)
{
    (void)open("/dev/null", O_WRONLY);
}

static void make_socket(void)
{
    if (socket(AF_INET, SOCK_STREAM, 0) < 0) {
        _exit(3);
    }
}

static void make_local_socket(void)
{
    if (socket(AF_UNIX, SOCK_DGRAM, 0) < 0) {
        _exit(3);
    }
}

static void ask_locally(void)
{
    const struct sockaddr addr = {.sa_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, &addr, sizeof(addr)) == 0) {
        _exit(3);
    }
}

static void start_process(void)
{
    (void)fork();
}

static void run_program(void)
{
    (void)execl("/bin/true", "true", (char *)NULL);
}

static void signal_others(void)
{
    (void)kill(getppid(), 0);
}

/* In another thread, whose signals are all blocked. */
static void *run_program_in_thread(void *arg)
{
    run_program();
    return arg;
}

static void block_and_run_program(void)
{
    sigset_t all;
    pthread_t thread;

    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGSYS);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    (void)pthread_create(&thread, NULL, run_program_in_thread, NULL);
    (void)pthread_join(thread, NULL);
}

#define REFUSES(role, files, deed)                                             \
    ck_assert_int_eq(end_of(role, files, deed), REFUSED)

#define CAUGHT(role, files, deed)                                              \
    do {                                                                       \
        if (!CAN_CATCH) {                                                      \
            break;                                                             \
        }                                                                      \
        ck_assert_int_eq(end_of(role, files, deed), 1);                        \
        ck_assert_msg(strstr(said, "Seccomp policy failure. Caught syscall "), \
                      "%s", said);                                             \
    } while (0)

START_TEST(every_role_may_do_daily_work)
{
    for (int role = PRIVILEGES_MAIN; role <= PRIVILEGES_DIALS; role++) {
        ck_assert_int_eq(end_of(role, 0, do_daily_work), 0);
        ck_assert_int_eq(end_of(role, 0, start_thread), 0);
    }
}
END_TEST

START_TEST(none_may_start_or_write_anything)
{
    for (int role = PRIVILEGES_MAIN; role <= PRIVILEGES_DIALS; role++) {
        CAUGHT(role, PRIVILEGES_FILES, write_file);
        CAUGHT(role, PRIVILEGES_FILES, start_process);
        CAUGHT(role, PRIVILEGES_FILES, run_program);
        CAUGHT(role, PRIVILEGES_FILES, block_and_run_program);
        CAUGHT(role, PRIVILEGES_FILES, signal_others);
    }
}
END_TEST

START_TEST(a_worker_opens_nothing)
{
    REFUSES(PRIVILEGES_WORKER, 0, read_file);
    CAUGHT(PRIVILEGES_WORKER, PRIVILEGES_FILES, make_socket);
    CAUGHT(PRIVILEGES_WORKER, PRIVILEGES_FILES, make_local_socket);
}
END_TEST

START_TEST(files_are_read_when_they_have_to_be)
{
    ck_assert_int_eq(end_of(PRIVILEGES_WORKER, PRIVILEGES_FILES, read_file), 0);
    ck_assert_int_eq(end_of(PRIVILEGES_MAIN, PRIVILEGES_FILES, read_file), 0);
    REFUSES(PRIVILEGES_MAIN, 0, read_file);
}
END_TEST

START_TEST(who_asks_has_sockets_of_its_host)
{
    ck_assert_int_eq(end_of(PRIVILEGES_WORKER, PRIVILEGES_ASKS, ask_locally),
                     0);
    CAUGHT(PRIVILEGES_WORKER, PRIVILEGES_ASKS, make_socket);
    REFUSES(PRIVILEGES_WORKER, PRIVILEGES_ASKS, read_file);
    CAUGHT(PRIVILEGES_WORKER, PRIVILEGES_FILES, ask_locally);
}
END_TEST

START_TEST(main_may_speak_to_its_host)
{
    ck_assert_int_eq(end_of(PRIVILEGES_MAIN, 0, make_local_socket), 0);
    CAUGHT(PRIVILEGES_MAIN, 0, make_socket);
}
END_TEST

START_TEST(who_dials_has_sockets_and_names)
{
    ck_assert_int_eq(end_of(PRIVILEGES_DIALS, 0, make_socket), 0);
    ck_assert_int_eq(end_of(PRIVILEGES_DIALS, 0, read_file), 0);
}
END_TEST

#endif

START_TEST(nothing_is_dropped_unless_wanted)
{
    privileges_init(false, 0);
    ck_assert(privileges_drop(PRIVILEGES_WORKER));
    ck_assert_int_ge(open("/dev/null", O_WRONLY), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("privileges");
    TCase *tc = tcase_create("core");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tc, nothing_is_dropped_unless_wanted);
#ifdef HAVE_SECCOMP
    tcase_add_test(tc, every_role_may_do_daily_work);
    tcase_add_test(tc, none_may_start_or_write_anything);
    tcase_add_test(tc, a_worker_opens_nothing);
    tcase_add_test(tc, files_are_read_when_they_have_to_be);
    tcase_add_test(tc, who_asks_has_sockets_of_its_host);
    tcase_add_test(tc, main_may_speak_to_its_host);
    tcase_add_test(tc, who_dials_has_sockets_and_names);
#endif
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
