# SPDX-License-Identifier: MIT
"""What is other under the sanitizers, most of it under that of threads.

Under that everything takes longer (`SLOWER`), the daemon has a multiple of its memory (`SHADOW`),
and it is given more threads than there are cores, since most is seen where many meet (`THREADS`).
"""

import os

import pytest

IS_THREAD = os.environ.get("TENSORD_SANITIZED") == "thread"

if IS_THREAD:
    SLOWER, SHADOW, THREADS = 10, 16, "7"
else:
    SLOWER, SHADOW, THREADS = 1, 1, None

# A forked child has none of its parent's threads. The C library gives the memory of one to the
# first that the child starts: the thread sanitizer takes the two for one and ends the process. The
# address sanitizer's allocator may be locked by one of them for ever.
starts_threads_in_a_fork = pytest.mark.skipif(
    "TENSORD_SANITIZED" in os.environ, reason="the sanitizers do not know of a parent's threads")
