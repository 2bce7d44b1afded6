# SPDX-License-Identifier: MIT
"""A catalog left half written: every byte of what is appended to it, and of the one that takes its
place, written or not."""
import row_catalog_damage

NAME = "catalog_prefixes"
CHECKS = ("under the old tail what was, under the new one what is; anything else is refused and "
          "nothing changed; half of a new catalog is nothing")
QUICK = FULL = {"starts": None}
LIMIT_S = (120, 600)


def run(counts, seed, report):
    n_done, n_refused = row_catalog_damage.damage(report, "prefixes")
    report.found("starts", n_done)
    report.did("starts", n_done)
    report.say(f"an append, three names at once, a replacement, a deletion, a new catalog: "
               f"{n_refused} that no machine writes were refused")
