"""Files: time to write and to read a million coefficients, and the memory that writing ten million takes.

    OMP_NUM_THREADS=1 python benchmarks/files.py

Gaussian data, ReLU, 50 patterns. Readers are the strict ones of the tests, in Python, and HiGHS for the linear program. Memory is the
peak of a process that compiles and makes the conic form, and of one that compiles and writes. Prints a Markdown table.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highspy
import numpy as np

import relumodel as rm

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from cbf_reader import read_cbf
from mps_reader import read_mps


def program(n: int, d: int, loss: rm.Loss, penalty: rm.penalties.Penalty, patterns: int = 50) -> rm.Program:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, d)), np.sign(rng.standard_normal(n))
    return rm.Model(rm.TwoLayer(rm.ReLU()), loss, penalty).compile(X, y, patterns=rm.SamplePatterns(patterns, seed=0))


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds, the best of three."""
    best = np.inf
    for _ in range(3):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def highs(path: Path) -> None:
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.readModel(str(path))


def times(folder: Path) -> None:
    cones = program(160, 41, rm.Squared(), rm.WeightDecay(0.05))
    lines = program(160, 41, rm.Hinge(), rm.PathNorm(0.05))
    readers = [("strict", read_cbf, ".cbf"), ("strict", read_mps, ".mps")]
    for kind, prog, more in (("second-order cones", cones, []), ("linear program", lines, [("HiGHS", highs, ".mps")])):
        count = prog.conic().A.nnz / 1e6
        for suffix in (".cbf", ".mps", ".cbf.gz", ".mps.gz"):
            path = folder / f"p{suffix}"
            took = seconds(lambda prog=prog, path=path: prog.write(path))
            size = path.stat().st_size / 1e6
            print(f"| write {suffix}, {kind} | {took / count:.2f} s a million ({size / count:.0f} MB) | < 3 s |", flush=True)
        for name, read, suffix in [*readers, *more]:
            path = folder / f"p{suffix}"
            took = seconds(lambda read=read, path=path: read(path))
            print(f"| read {suffix}, {kind}, {name} | {took / count:.2f} s a million | < 3 s |", flush=True)
        took = seconds(lambda: rm.load_program(folder / "p.json"))
        print(f"| load_program, {kind} | {took:.4f} s |  |", flush=True)


CHILD = """
import sys
sys.path.insert(0, {folder!r})
from files import program, rm
big = program(1000, 100, rm.Squared(), rm.WeightDecay(0.05), 33)
{work}
status = open("/proc/self/status").read()  # the peak since this process began, in kB
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def memory(folder: Path) -> None:
    form = program(1000, 100, rm.Squared(), rm.WeightDecay(0.05), 33).conic()
    matrix = (form.A.data.nbytes + form.A.indices.nbytes + form.A.indptr.nbytes) / 2**20

    def peak(work: str) -> float:
        code = CHILD.format(folder=str(Path(__file__).parent), work=work)
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    own, alone = peak("form = big.conic()"), peak("")
    for suffix in (".cbf", ".mps"):
        more = peak(f"big.write({str(folder / ('big' + suffix))!r})") - own
        what = f"write {suffix}, {form.A.nnz / 1e6:.1f} million coefficients (matrix {matrix:.0f} MB)"
        print(f"| {what} | peak {more:+.0f} MB over that of conic() ({own - alone:.0f} MB) | <= the matrix |", flush=True)


if __name__ == "__main__":
    print("| what | measured | goal |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        times(Path(name))
        memory(Path(name))
