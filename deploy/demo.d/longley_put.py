# SPDX-License-Identifier: MIT
"""Producer: read Longley's data, put X and y under names, exit."""
import sys

import numpy
import tensord

COLUMNS = ("gnp_deflator", "gnp", "unemployed", "armed_forces", "population", "year")

data = tensord.read_csv(sys.argv[1], ("employed", *COLUMNS))
y = data["employed"]
X = numpy.column_stack([numpy.ones(len(y)), *(data[name] for name in COLUMNS)])
tensord.put(X, "longley/X")
tensord.put(y, "longley/y")
print(f"   producer put X {X.shape} and y {y.shape}, and exits")
