"""What compiling given patterns costs against solving: no witness is looked for before a repair asks for one.

    OMP_NUM_THREADS=1 python benchmarks/given_patterns.py [all]

Breast cancer (569 x 31), with `all` also a Gaussian 2000 x 100; 50 patterns, squared loss (sum), beta = 5. CPU seconds.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import sys
import time

import numpy as np
from native_engine import cases

import relumodel as rm


def main() -> None:
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(reduction="sum"), rm.WeightDecay(5.0))
    print("| case | compile | all witnesses | solve | gap | witnesses asked for |\n|---|---|---|---|---|---|")
    for name, (X, y) in cases("all" in sys.argv).items():
        patterns = rm.GivenPatterns(model.compile(X, y, patterns=rm.SamplePatterns(50, seed=0)).patterns)
        started = time.process_time()
        program = model.compile(X, y, patterns=patterns)
        compiled = time.process_time()
        solution = program.solve()
        solved = time.process_time()
        found = program.inverse.found
        asked = len(found._searched)
        again = time.process_time()
        assert np.isfinite(found.witnesses).all()
        searched = time.process_time() - again
        print(
            f"| {name} | {compiled - started:.4f} s | {searched:.2f} s | {solved - compiled:.2f} s | {solution.gap:.1e} | {asked} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
