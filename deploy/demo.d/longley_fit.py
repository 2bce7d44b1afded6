# SPDX-License-Identifier: MIT
"""Consumer: find X and y by name, ask the daemon for least squares, compare with NIST's values."""
import math
import sys

import numpy
import tensord

CERTIFIED = (-3482258.63459582, 15.0618722713733, -0.0358191792925910, -2.02022980381683,
             -1.03322686717359, -0.0511041056535807, 1829.15146461355)
TERMS = ("1", "deflator", "gnp", "unemployed", "forces", "population", "year")
DIGITS_WANTED = 10

X, again = tensord.get("longley/X"), tensord.get("longley/X")
assert isinstance(X, numpy.ndarray) and X.shape == (16, 7) and not X.flags.writeable
assert numpy.shares_memory(X, again), "two gets of one name are one memory"

beta = numpy.asarray(tensord.linalg.lstsq(tensord.open("longley/X"), tensord.open("longley/y")).x)

print("   term          tensord                 NIST, certified         digits")
worst = math.inf
for term, ours, certified in zip(TERMS, beta, CERTIFIED):
    error = abs(ours - certified) / abs(certified)
    digits = 15.0 if error == 0 else min(15.0, -math.log10(error))
    worst = min(worst, digits)
    print(f"   {term:<12}{ours:>18.15g}  {certified:>24.15g}     {digits:>6.1f}")
if worst < DIGITS_WANTED:
    sys.exit(f"Longley: {worst:.1f} digits, {DIGITS_WANTED} wanted")
print("Longley: OK")
