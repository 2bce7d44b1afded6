# SPDX-License-Identifier: MIT
"""What is other under the thread sanitizer.

Everything takes longer (`SLOWER`), the daemon has a multiple of its memory (`SHADOW`), and it
is given more threads than there are cores, since most is seen where many meet (`THREADS`).
"""

import os

import pytest

IS_THREAD = os.environ.get("TENSORD_SANITIZED") == "thread"

if IS_THREAD:
    SLOWER, SHADOW, THREADS = 10, 16, "7"
else:
    SLOWER, SHADOW, THREADS = 1, 1, None

# A forked child has none of its parent's threads, and the C library gives the memory of one to the
# first that the child starts: the run-time takes the two for one and ends the process.
starts_threads_in_a_fork = pytest.mark.skipif(
    IS_THREAD, reason="the sanitizer's run-time takes a child's thread for one of its parent's")
