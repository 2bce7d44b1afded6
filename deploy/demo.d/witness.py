# SPDX-License-Identifier: MIT
"""Map every named tensor, and read it over and over, whatever becomes of the daemon.

    witness.py hashes          print one line "NAME SHA256" for each name, and exit
    witness.py watch SECONDS   the same, then read on until stdin ends; SECONDS bounds it
"""
import hashlib
import select
import sys
import time

import tensord


def sha256(array):
    return hashlib.sha256(array.reshape(-1).view("uint8")).hexdigest()


arrays = {row.name: tensord.get(row.name) for row in tensord.list()}
hashes = {name: sha256(array) for name, array in arrays.items()}
for name, found in hashes.items():
    print(name, found)
print(flush=True)

if sys.argv[1] == "watch":
    n_rounds = 0
    deadline = time.monotonic() + float(sys.argv[2])
    is_over = False
    while not is_over:
        is_over = bool(select.select([sys.stdin], [], [], 0)[0])
        for name, array in arrays.items():
            if sha256(array) != hashes[name]:
                sys.exit(f"witness: {name} changed")
        n_rounds += 1
        if time.monotonic() > deadline:
            sys.exit("witness: nobody ended the watch")
    print(n_rounds)
