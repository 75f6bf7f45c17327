"""`model.fit` on thousands of samples beside L-BFGS and Adam on the same objective, in the same CPU time, in one run.

    RELUMODEL_DATA=... OMP_NUM_THREADS=1 python benchmarks/fit_size.py [--only N]

Logistic loss, weight decay 1e-3, rows of the income table (14 features and a bias), or Gaussian data of its shape where RELUMODEL_DATA (a
folder with tabular/adult.npz) is not set. Peers have 200 neurons. All objectives are measured in float64 on all rows.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import time
import warnings

import numpy as np
import torch
from scipy.optimize import minimize
from time_limits import table

import relumodel as rm
from relumodel.fit.descend import _objective
from relumodel.fit.training import Training
from relumodel.resources import deadline

#: Samples, and CPU seconds for each method.
CASES = ((4000, 20.0), (20_000, 30.0), (48_842, 120.0))

WIDTH, BETA = 200, 1e-3


def lbfgs(training: Training, seconds: float) -> float:
    """The best of restarts of L-BFGS from Gaussian neurons, in single precision, until time is up."""
    rng, ends, best = np.random.default_rng(0), time.process_time() + seconds, np.inf
    signs = np.where(np.arange(WIDTH) % 2 == 0, 1.0, -1.0)

    def watch(intermediate_result: object) -> None:
        if time.process_time() > ends:
            raise StopIteration

    while time.process_time() < ends:
        z = rng.standard_normal((WIDTH, training.X.shape[1] + 1)) * 0.3
        value = _objective(training, signs, z.shape, 0.0, np.float32)
        settings = {"maxiter": 100_000, "maxfun": 200_000, "maxcor": 20, "ftol": 1e-9, "gtol": 1e-8}
        found = minimize(value, z.ravel(), jac=True, method="L-BFGS-B", callback=watch, options=settings)
        neurons = training.neurons(training.penalty.fold(found.x.reshape(z.shape)), signs)
        best = min(best, training.objective(neurons))
    return best


def adam(training: Training, y: np.ndarray, seconds: float) -> float:
    """Adam on mini-batches, its step falling to nothing over the time there is."""
    torch.manual_seed(0)
    X, labels = torch.tensor(training.X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    n, d = X.shape
    U = (torch.randn(WIDTH, d) * 0.3).requires_grad_()
    a = (torch.randn(WIDTH) * 0.3).requires_grad_()
    optimiser = torch.optim.Adam([U, a], lr=1e-2)
    started, batch = time.process_time(), 256
    while (spent := (time.process_time() - started) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - spent)
        for at in torch.randperm(n).split(batch):
            loss = torch.nn.functional.softplus(-labels[at] * (torch.relu(X[at] @ U.T) @ a)).mean()
            loss = loss + 0.5 * BETA * ((U * U).sum() + (a * a).sum())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    out = a.detach().double().numpy()
    blocks = U.detach().double().numpy() * np.abs(out)[:, None]
    return training.objective(training.neurons(blocks, np.sign(out)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", rm.FitWarning)
    deadline.clock = time.process_time  # limits are CPU time, as that of the peers
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Logistic(), rm.WeightDecay(BETA))
    print(f"{'samples':>8} {'CPU s':>6} {'fit':>9} {'gap':>7} {'neurons':>7} {'L-BFGS':>9} {'Adam':>9}", flush=True)
    for n, seconds in CASES:
        if asked.only not in (None, n):
            continue
        X, y = table("adult", n)
        started = time.process_time()
        result = model.fit(X, y, patterns=rm.AdaptivePatterns(rounds=100), time_limit=seconds)
        spent = time.process_time() - started
        training = Training.of(model, rm.data.read(X, y, model.loss, None))
        peers = f"{lbfgs(training, spent):9.5f} {adam(training, y, spent):9.5f}"
        print(
            f"{n:>8} {spent:6.1f} {result.objective:9.5f} {result.gap:7.2%} {result.network.n_neurons:>7} {peers}",
            flush=True,
        )
        for r in result.history:
            print(f"         {r}", flush=True)


if __name__ == "__main__":
    main()
