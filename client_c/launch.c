/* SPDX-License-Identifier: MIT */
/*
 * Launch
 *
 * Where the daemon is, saying hello to it, and starting a private one where none answers. Of
 * several processes that find none, a lock file beside the socket lets one start a daemon; the
 * others then find it. The daemon is started without a controlling terminal and without this
 * process's descriptors, its log lies beside its socket, and it ends on its own.
 */
#include "client.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSTEM_SOCKET "/run/tensord/socket"
#define IDLE_EXIT_S "60"
#define BACK_OFF_MIN_MS 20
#define BACK_OFF_MAX_MS 1000

/* ---- where ---- */

static bool is_answering(const char *path)
{
        struct connection connection;
        bool is_open;

        connection_init(&connection);
        is_open = connection_open(&connection, path) == 0;
        connection_deinit(&connection);
        return is_open;
}

/*
 * The directory of a private daemon's socket belongs to us, and nobody else can put anything there
 * (in /tmp: not even look). Made if it may be.
 */
static int check_directory(const char *address, bool may_make, td_error *error)
{
        int n_directory = (int)(strrchr(address, '/') - address);
        mode_t refused = strncmp(address, "/tmp/", 5) == 0 ? 0077 : 0022;
        char directory[PATH_MAX];
        struct stat st;

        snprintf(directory, sizeof(directory), "%.*s", n_directory, address);
        if (may_make && mkdir(directory, 0700) < 0 && errno != EEXIST)
                return error_set(error, TD_E_SYSTEM, "%s: %s", directory, strerror(errno));
        if (lstat(directory, &st) < 0)
                return error_set(error, TD_E_NO_DAEMON, "no daemon answers: %s: %s", directory,
                                 strerror(errno));
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & refused))
                return error_set(
                        error, TD_E_SYSTEM,
                        "%s: is not a directory that belongs to user %u alone (mode 0700); no "
                        "daemon is sought or started there",
                        directory, (unsigned)geteuid());
        return TD_OK;
}

static int private_address(char **addressp, td_error *error)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        int n;

        if (runtime && *runtime == '/')
                n = asprintf(addressp, "%s/tensord/socket", runtime);
        else
                n = asprintf(addressp, "/tmp/tensord-%u/socket", (unsigned)geteuid());
        return n < 0 ? fail_no_memory(error) : TD_OK;
}

int launch_find(const td_options *options, char **addressp, bool *is_privatep, td_error *error)
{
        const char *address = options->address ? options->address : getenv("TENSORD_SOCKET");
        char *private;
        int r;

        *is_privatep = false;
        if (address && *address) {
                *addressp = strdup(address);
                return *addressp ? TD_OK : fail_no_memory(error);
        }
        r = private_address(&private, error);
        if (r)
                return r;
        if ((check_directory(private, false, NULL) || !is_answering(private)) &&
            is_answering(SYSTEM_SOCKET)) {
                free(private);
                *addressp = strdup(SYSTEM_SOCKET);
                return *addressp ? TD_OK : fail_no_memory(error);
        }
        *is_privatep = true;
        *addressp = private;
        return TD_OK;
}

/* ---- hello ---- */

static int fail_lost(td_error *error, const char *address)
{
        return error_set(error, TD_E_CONNECTION_LOST,
                         "the connection to %s ended before the daemon said hello", address);
}

static int read_hello(struct connection *connection, struct greeting *greeting, td_error *error)
{
        const uint8_t *bytes;
        struct message message;
        size_t n_bytes;
        int r = connection_next(connection, &bytes, &n_bytes);

        if (r == 0)
                return -EAGAIN;
        if (r < 0 || !message_read(&message, bytes, n_bytes) || message.is_notification)
                return error_set(error, TD_E_MALFORMED,
                                 "what answers does not speak the protocol of tensord");
        r = read_error(&message.body, error);
        if (r)
                return r;
        if (!read_greeting(&message.body, greeting))
                return error_set(error, TD_E_MALFORMED, "the answer to hello cannot be read");
        if (greeting->version != TD_PROTOCOL_VERSION)
                return error_set(error, TD_E_VERSION,
                                 "the daemon speaks version %lld, this library version %d",
                                 (long long)greeting->version, TD_PROTOCOL_VERSION);
        return TD_OK;
}

static int say_hello(td_client *client, struct connection *connection, int64_t deadline_ms,
                     struct greeting *greeting, td_error *error)
{
        struct ask hello = { .method = METHOD_HELLO,
                             .says_version = true,
                             .client = client->client_name,
                             .retry_ms = -1 };
        int r;

        frame_ask(&connection->out, 0, &hello);
        if (connection->out.has_failed)
                return fail_no_memory(error);
        if (connection_send(connection) != 0)
                return fail_lost(error, client->address);
        for (;;) {
                int64_t left_ms = deadline_ms - now_ms();

                r = read_hello(connection, greeting, error);
                if (r != -EAGAIN)
                        return r;
                if (left_ms <= 0)
                        return error_set(error, TD_E_NO_DAEMON,
                                         "%s: the daemon did not answer hello within %d ms",
                                         client->address, client->timeout_ms);
                r = connection_wait(connection, POLLIN, (int)left_ms);
                if (r > 0)
                        r = connection_receive(connection);
                if (r < 0)
                        return fail_lost(error, client->address);
        }
}

/* TD_OK, or an error; *again: it may be better later. */
static int connect_once(td_client *client, struct connection *connection, int64_t deadline_ms,
                        struct greeting *greeting, bool *is_absent, bool *is_passing,
                        td_error *error)
{
        int r = connection_open(connection, client->address);

        *is_absent = r == -ENOENT || r == -ECONNREFUSED;
        *is_passing = r == -EAGAIN;
        if (r == -ENAMETOOLONG)
                return error_set(error, TD_E_BAD_ARGUMENTS,
                                 "%s: the path of a socket has at most %zu bytes, this has %zu",
                                 client->address,
                                 sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1,
                                 strlen(client->address));
        if (r == -ENOMEM)
                return fail_no_memory(error);
        if (r < 0)
                return error_set(error, TD_E_NO_DAEMON, "%s: no daemon answers: %s",
                                 client->address, strerror(-r));
        r = say_hello(client, connection, deadline_ms, greeting, error);
        *is_passing = r == TD_E_CONNECTION_LOST || r == TD_E_SHUTTING_DOWN;
        if (r)
                connection_close(connection);
        return r;
}

/* ---- starting ---- */

static bool is_program(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* directory/tail, if there is such a program: malloc'ed, else NULL */
static char *program_in(const char *directory, size_t n_directory, const char *tail)
{
        char *path;

        if (asprintf(&path, "%.*s/%s", (int)n_directory, directory, tail) < 0)
                return NULL;
        if (is_program(path))
                return path;
        free(path);
        return NULL;
}

static char *program_beside_library(void)
{
        Dl_info info;
        char resolved[PATH_MAX], *slash, *path;

        if (!dladdr((void *)(uintptr_t)td_connect, &info) || !info.dli_fname ||
            !realpath(info.dli_fname, resolved))
                return NULL;
        slash = strrchr(resolved, '/');
        if (!slash)
                return NULL;
        path = program_in(resolved, (size_t)(slash - resolved), "tensord");
        return path ? path : program_in(resolved, (size_t)(slash - resolved), "../bin/tensord");
}

static char *program_on_path(void)
{
        const char *list = getenv("PATH");

        while (list && *list) {
                size_t n = strcspn(list, ":");
                char *path = n && *list == '/' ? program_in(list, n, "tensord") : NULL;

                if (path)
                        return path;
                list += n + (list[n] == ':');
        }
        return NULL;
}

/* The binary to start: malloc'ed. */
static int find_program(const td_client *client, char **pathp, td_error *error)
{
        const char *given = client->daemon_path ? client->daemon_path : getenv("TENSORD_DAEMON");
        char *path;

        if (given && *given)
                path = is_program(given) ? realpath(given, NULL) : NULL;
        else if (!(path = program_beside_library()))
                path = program_on_path();
        if (!path && given && *given)
                return error_set(error, TD_E_NO_DAEMON,
                                 "%s: is no program that could be started as a daemon", given);
        if (!path)
                return error_set(
                        error, TD_E_NO_DAEMON,
                        "no daemon answers, and no tensord is found to be started (beside the "
                        "library, in PATH)");
        *pathp = path;
        return TD_OK;
}

/*
 * In the grandchild: only calls that are safe after fork() in a process of several threads. What is
 * said before the daemon opens its log goes there, too: that a library is missing, above all.
 */
static void run_daemon(const char *program, char *const arguments[], const char *log, int report)
{
        struct sigaction action = { .sa_handler = SIG_DFL };
        sigset_t none;
        pid_t pid = getpid();
        int null, errors;

        sigemptyset(&none);
        for (int s = 1; s < NSIG; s++)
                sigaction(s, &action, NULL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        umask(077);
        null = open("/dev/null", O_RDWR);
        if (null < 0 || chdir("/") < 0)
                _exit(126);
        for (int fd = 0; fd <= 2; fd++)
                if (null != fd)
                        dup2(null, fd);
        errors = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (errors >= 0)
                dup2(errors, STDERR_FILENO);
        if (write(report, &pid, sizeof(pid)) != sizeof(pid))
                _exit(126);
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        execv(program, arguments);
        _exit(127);
}

/* Start it as a grandchild in a session of its own. A pidfd, or a negative errno. */
static int spawn_daemon(const char *program, char *const arguments[], const char *log)
{
        int report[2], status, r;
        pid_t child, pid = -1;

        if (pipe2(report, O_CLOEXEC) < 0)
                return -errno;
        child = _Fork(); /* no fork handlers: this one execs, and our clients go on */
        if (child == 0) {
                setsid();
                if (_Fork() == 0)
                        run_daemon(program, arguments, log, report[1]);
                _exit(0);
        }
        r = child < 0 ? -errno : 0;
        close(report[1]);
        if (child > 0) {
                ssize_t n;

                do {
                        n = read(report[0], &pid, sizeof(pid));
                } while (n < 0 && errno == EINTR);
                if (n != sizeof(pid))
                        r = -ECHILD;
                while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                        ;
        }
        close(report[0]);
        if (r < 0)
                return r;
        r = pidfd_open(pid, 0);
        return r < 0 ? -errno : r;
}

/* The last line of the log, for a message. */
static void last_line(const char *path, char *line, size_t n_line)
{
        char tail[1024];
        ssize_t n = 0;
        off_t size;
        char *start, *end;
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        line[0] = '\0';
        if (fd < 0)
                return;
        size = lseek(fd, 0, SEEK_END);
        if (size > 0)
                n = pread(fd, tail, sizeof(tail) - 1,
                          size > (off_t)sizeof(tail) - 1 ? size - (off_t)sizeof(tail) + 1 : 0);
        close(fd);
        if (n <= 0)
                return;
        end = tail + n;
        while (end > tail && end[-1] == '\n')
                end--;
        *end = '\0';
        start = strrchr(tail, '\n');
        snprintf(line, n_line, "%.200s", start ? start + 1 : tail);
}

static bool has_ended(int pidfd, int timeout_ms)
{
        struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

        return poll(&poll_fd, 1, timeout_ms) > 0;
}

/* Wait until the daemon answers, or ends. */
static int await_daemon(td_client *client, int pidfd, const char *log,
                        struct connection *connection, int64_t deadline_ms,
                        struct greeting *greeting, td_error *error)
{
        bool is_absent, is_passing, ended;
        char line[256];
        int r;

        for (int wait_ms = 1;; wait_ms = wait_ms < 50 ? 2 * wait_ms : wait_ms) {
                ended = has_ended(pidfd, wait_ms);
                r = connect_once(client, connection, deadline_ms, greeting, &is_absent, &is_passing,
                                 error);
                if (r == TD_OK || (!is_absent && !is_passing))
                        return r;
                if (ended || now_ms() >= deadline_ms)
                        break;
        }
        last_line(log, line, sizeof(line));
        return error_set(error, TD_E_NO_DAEMON, "%s: the daemon that was started %s%s%s (log: %s)",
                         client->address, ended ? "ended" : "did not answer in time",
                         line[0] ? ": " : "", line, log);
}

static int start_daemon(td_client *client, struct connection *connection, int64_t deadline_ms,
                        struct greeting *greeting, td_error *error)
{
        char log[PATH_MAX], *program = NULL;
        int pidfd, r;

        r = find_program(client, &program, error);
        if (r)
                return r;
        snprintf(log, sizeof(log), "%.*s/log",
                 (int)(strrchr(client->address, '/') - client->address), client->address);
        pidfd = spawn_daemon(program,
                             (char *[]){ program, (char *)"--socket", client->address,
                                         (char *)"--idle-exit", (char *)IDLE_EXIT_S,
                                         (char *)"--log-file", log, NULL },
                             log);
        free(program);
        if (pidfd < 0)
                return error_set(error, TD_E_SYSTEM, "the daemon could not be started: %s",
                                 strerror(-pidfd));
        r = await_daemon(client, pidfd, log, connection, deadline_ms, greeting, error);
        close(pidfd);
        return r;
}

/* Wait for the lock until the deadline: whoever holds it is starting a daemon. */
static int lock_until(int fd, int64_t deadline_ms)
{
        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -errno;
                if (now_ms() >= deadline_ms)
                        return -ETIMEDOUT;
                poll(NULL, 0, 5);
        }
        return 0;
}

static int launch_daemon(td_client *client, struct connection *connection, int64_t deadline_ms,
                         struct greeting *greeting, td_error *error)
{
        char lock[PATH_MAX];
        bool is_absent, is_passing;
        int fd, r;

        snprintf(lock, sizeof(lock), "%s.start", client->address);
        fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return error_set(error, TD_E_SYSTEM, "%s: %s", lock, strerror(errno));
        r = lock_until(fd, deadline_ms);
        if (r < 0) {
                r = error_set(error, TD_E_NO_DAEMON, "%s: another process starts a daemon: %s",
                              lock, strerror(-r));
        } else {
                r = connect_once(client, connection, deadline_ms, greeting, &is_absent, &is_passing,
                                 error);
                if (r && (is_absent || is_passing))
                        r = start_daemon(client, connection, deadline_ms, greeting, error);
        }
        close(fd);
        return r;
}

/* ---- connecting ---- */

static int jittered(int ms)
{
        uint16_t random = 0;

        (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
        return ms / 2 + (int)(random % (unsigned)(ms / 2 + 1));
}

int launch_connect(td_client *client, struct connection *connection, bool is_renewal,
                   struct greeting *greeting, td_error *error)
{
        int64_t deadline_ms = now_ms() + client->timeout_ms;
        bool is_absent, is_passing;
        int r;

        connection_close(connection);
        if (client->is_private) {
                r = check_directory(client->address, !client->no_start, error);
                if (r)
                        return r;
        }
        for (int wait_ms = BACK_OFF_MIN_MS;;
             wait_ms = wait_ms < BACK_OFF_MAX_MS / 2 ? 2 * wait_ms : BACK_OFF_MAX_MS) {
                int64_t left_ms;

                r = connect_once(client, connection, deadline_ms, greeting, &is_absent, &is_passing,
                                 error);
                if (r == TD_OK)
                        return r;
                if (is_absent && client->is_private && !client->no_start)
                        return launch_daemon(client, connection, deadline_ms, greeting, error);
                if (!is_passing && !(is_absent && is_renewal))
                        return r;
                left_ms = deadline_ms - now_ms();
                if (left_ms <= 0)
                        break;
                wait_ms = wait_ms < left_ms ? wait_ms : (int)left_ms;
                poll(NULL, 0, jittered(wait_ms));
        }
        if (is_renewal)
                r = error_set(error, TD_E_CONNECTION_LOST,
                              "%s: the connection ended and could not be renewed within %d ms",
                              client->address, client->timeout_ms);
        return r;
}
