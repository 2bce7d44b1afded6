# SPDX-License-Identifier: MIT
"""What is other under the thread sanitizer.

Everything takes longer (`SLOWER`), the daemon has a multiple of its memory (`SHADOW`), and it
is given more threads than there are cores, since most is seen where many meet (`THREADS`).
"""

import os

if os.environ.get("TENSORD_SANITIZED") == "thread":
    SLOWER, SHADOW, THREADS = 10, 16, "7"
else:
    SLOWER, SHADOW, THREADS = 1, 1, None
