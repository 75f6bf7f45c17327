"""Monotone features, proved: auto-mpg (three random splits) and COMPAS (its own split) against scikit-learn's boosted trees.

    RELUMODEL_DATA=../shared/data python benchmarks/monotone.py auto_mpg | compas | forty

Settings (the penalty strength; for auto-mpg also whether the logarithm of the target is fitted, for COMPAS the loss) are chosen on the training
data alone, by three folds; those of the trees likewise. Features and targets are standardised by the
training rows. Every network is then certified anew by `network.slope_range` on the box of its training data, and attacked with a million
random pairs of points in it that differ in one monotone feature. Nolte et al. (2023) report 7.58 (MSE) and 69.3 %, the best epoch on the test set.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

import relumodel as rm
from relumodel.sklearn import ConvexReLUClassifier, ConvexReLURegressor

FOLDER = Path(os.environ["RELUMODEL_DATA"]) / "monotone"
TREES = {"learning_rate": [0.03, 0.1], "max_leaf_nodes": [4, 8, 16, 31], "max_iter": [100, 300]}
BETAS = {"auto_mpg": (0.02, 0.01, 0.006, 0.004), "compas": (0.02, 0.01, 0.005)}
PAIRS = 1_000_000


def scaled(X, rows):
    """X standardised by some rows; constant columns stay."""
    deviation = X[rows].std(axis=0)
    return (X - X[rows].mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


def regressor(beta, signs, seconds):
    return ConvexReLURegressor(beta=beta, gap=0.03, monotonic_cst=signs, time_limit=seconds)


def fitted(X, y, log, beta, signs, seconds):
    """A network on the training rows, and what predicts in the units of y."""
    t = np.log(y) if log else y
    mean, deviation = t.mean(), t.std()
    model = regressor(beta, signs, seconds).fit(X, (t - mean) / deviation)

    def predict(Z):
        out = model.predict(Z) * deviation + mean
        return np.exp(out) if log else out

    return model, predict


def certificate(network, X, signs):
    """Whether every monotone feature is proved on the box of X, and by how much the worst of random pairs in it breaks one."""
    box, rng, worst, proved = rm.Box.of(X), np.random.default_rng(1), 0.0, True
    features = np.flatnonzero(signs)
    for k in features:
        slopes = network.slope_range(box, int(k), time_limit=120)
        proved &= bool((slopes.low_bound if signs[k] > 0 else -slopes.high_bound) >= 0)
        count = PAIRS // len(features)
        A = rng.uniform(box.low, box.high, (count, X.shape[1]))
        B = A.copy()
        B[:, k] = rng.uniform(A[:, k], box.high[k])
        worst = max(worst, float(-(signs[k] * (network(B) - network(A))).min()))
    return proved, worst


def auto_mpg():
    data = np.load(FOLDER / "auto_mpg.npz")
    X, y, signs = data["X"].astype(float), data["y"].astype(float), data["monotone"].astype(int)
    print(
        "| split | settings | test MSE | boosted trees | proved | worst pair | gap | neurons | s |\n|---|---|---|---|---|---|---|---|---|"
    )
    ours, trees = [], []
    for split in range(3):
        order = np.random.default_rng(split).permutation(len(X))
        train, test = order[: int(0.8 * len(X))], order[int(0.8 * len(X)) :]
        folds = list(KFold(3, shuffle=True, random_state=split).split(train))
        errors = {}
        for log in (False, True):
            for beta in BETAS["auto_mpg"]:
                each = []
                for a, b in folds:
                    Z = scaled(X, train[a])
                    _, predict = fitted(Z[train[a]], y[train[a]], log, beta, signs, 8)
                    each.append(np.mean((predict(Z[train[b]]) - y[train[b]]) ** 2))
                errors[log, beta] = np.mean(each)
        log, beta = min(errors, key=errors.get)
        Z, started = scaled(X, train), time.perf_counter()
        model, predict = fitted(Z[train], y[train], log, beta, signs, 60)
        seconds = time.perf_counter() - started
        error = np.mean((predict(Z[test]) - y[test]) ** 2)
        search = GridSearchCV(
            HistGradientBoostingRegressor(monotonic_cst=signs, random_state=0), TREES, scoring="neg_mean_squared_error", cv=3
        ).fit(X[train], y[train])
        theirs = np.mean((search.predict(X[test]) - y[test]) ** 2)
        proved, worst = certificate(model.network_, Z[train], signs)
        ours, trees = [*ours, error], [*trees, theirs]
        print(
            f"| {split} | beta {beta:g}{', log' if log else ''} | {error:.2f} | {theirs:.2f} | {'all' if proved else 'NO'} | {worst:.1e} | "
            f"{model.gap_:.1e} | {model.n_neurons_} | {seconds:.0f} |",
            flush=True,
        )
    print(f"| mean |  | {np.mean(ours):.2f} | {np.mean(trees):.2f} |  |  |  |  |  |")


def compas():
    data = np.load(FOLDER / "compas.npz")
    X, y = data["X_train"].astype(float), data["y_train"]
    T, z, signs = data["X_test"].astype(float), data["y_test"], data["monotone"].astype(int)
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, y))

    def network(rows, loss, beta, seconds):
        Z = scaled(np.vstack([X, T]), rows)
        model = ConvexReLUClassifier(loss, beta=beta, gap=0.03, monotonic_cst=signs, time_limit=seconds)
        return model.fit(Z[rows], y[rows]), Z

    scores = {}
    for loss in ("logistic", "squared_hinge"):
        for beta in BETAS["compas"]:
            fits = [(network(a, loss, beta, 12), b) for a, b in folds]
            scores[loss, beta] = np.mean([model.score(Z[b], y[b]) for (model, Z), b in fits])
            print(f"{loss}, beta {beta:g}: {scores[loss, beta]:.4f} on the folds", flush=True)
    loss, beta = max(scores, key=scores.get)
    started = time.perf_counter()
    model, Z = network(np.arange(len(X)), loss, beta, 150)
    seconds = time.perf_counter() - started
    search = GridSearchCV(HistGradientBoostingClassifier(monotonic_cst=signs, random_state=0), TREES, cv=folds).fit(X, y)
    proved, worst = certificate(model.network_, Z[: len(X)], signs)
    print(
        f"COMPAS: {loss}, beta {beta:g}, test accuracy {model.score(Z[len(X) :], z):.4f}, boosted trees {search.score(T, z):.4f} "
        f"({search.best_score_:.4f} on the folds), {'all proved' if proved else 'NOT PROVED'}, worst pair {worst:.1e}, gap {model.gap_:.1e} "
        f"({model.bound_kind_}), {model.n_neurons_} neurons, {seconds:.0f} s"
    )


def forty():
    """40 noisy points in the plane, a function that rises in the first feature: what each way to say so costs, at three penalties."""
    rng = np.random.default_rng(7)
    X = rng.uniform(-1, 1, (40, 2))
    y = truth(X) + 0.3 * rng.normal(size=40)
    f, box = rm.TwoLayer(rm.ReLU(), bias=True), rm.Box(-1, 1)
    everywhere = np.random.default_rng(1).uniform(-1, 1, (100_000, 2))
    print(
        "| beta | increasing | objective | bound | RMSE | lowest slope | share of the box violated | s |\n|---|---|---|---|---|---|---|---|"
    )
    for beta in (1e-2, 3e-3, 1e-3):
        for name, shape in (
            ("not asked", []),
            ("neurons", [f.increasing(0, how="neurons")]),
            ("points", [f.increasing(0, how="points")]),
            ("everywhere", [f.increasing(0, box=box)]),
        ):
            started = time.perf_counter()
            patterns = rm.AdaptivePatterns(gap=1e-2, seed=0, rounds=6 if name == "neurons" else 30)
            found = rm.Problem(rm.Squared()(f(X), y) + rm.WeightDecay(beta), shape).fit(patterns)
            seconds, network = time.perf_counter() - started, found.network
            error = np.sqrt(np.mean((network(everywhere) - truth(everywhere)) ** 2))
            falls = np.mean(network.input_gradient(everywhere)[:, 0] < 0)
            print(
                f"| {beta:g} | {name} | {found.objective:.5f} | {found.bound:.5f} | {error:.3f} | {network.slope_range(box, 0).low:.2g} | "
                f"{100 * falls:.1f} % | {seconds:.0f} |",
                flush=True,
            )


def truth(X):
    return np.tanh(3 * X[:, 0]) + 0.7 * np.sin(4 * X[:, 1])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"auto_mpg": auto_mpg, "compas": compas, "forty": forty}[sys.argv[1]]()
