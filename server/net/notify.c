/* SPDX-License-Identifier: MIT */
#include "net/notify.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#ifdef TENSORD_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/error.h"

#ifdef TENSORD_SYSTEMD

void notify_ready(const char *status)
{
        sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_stopping(void)
{
        sd_notify(0, "STOPPING=1\nSTATUS=Stopping");
}

void notify_watchdog(void)
{
        sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog_ms(void)
{
        uint64_t timeout_us;
        uint64_t half_ms;

        if (sd_watchdog_enabled(0, &timeout_us) <= 0)
                return 0;
        half_ms = timeout_us / 2000;
        return half_ms ? half_ms : 1;
}

int notify_take_socket(int *fdp)
{
        int n = sd_listen_fds(1);

        *fdp = -1;
        if (n < 0)
                return error_origin(n);
        if (n == 0)
                return 0;
        if (n > 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0)
                return error_origin(-EINVAL);
        *fdp = SD_LISTEN_FDS_START;
        return 0;
}

#else

void notify_ready(const char *status)
{
        (void)status;
}

void notify_stopping(void)
{
}

void notify_watchdog(void)
{
}

uint64_t notify_watchdog_ms(void)
{
        return 0;
}

int notify_take_socket(int *fdp)
{
        *fdp = -1;
        return 0;
}

#endif
