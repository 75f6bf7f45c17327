"""Hostile data and modules: what people pass for X, y and networks from elsewhere."""

from __future__ import annotations

import contextlib
import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from campaign_draws import LOSSES, Rng, pick
from campaign_programs import below
from scipy import sparse

import relumodel as rm

QUICK = rm.AdaptivePatterns(gap=0.1, width=4, starts=4, rounds=1, proof=0)


def odd_array(rng: Rng, n: int = 8, d: int = 2) -> Any:
    """Something in place of X (n, d): mostly not what can be trained on."""
    import pandas as pd

    good = rng.standard_normal((n, d))
    frame = pd.DataFrame(good, columns=["a", "b"])
    bad = good.copy()
    bad[int(rng.integers(n)), 0] = pick(rng, (np.nan, np.inf, -np.inf, 1e308, 1e-320, -1e308))
    odd = [
        None, 7, "text", b"bytes", object(), [], [[]], [[], []], [[1], [2, 3]], {"a": 1}, iter([[1.0, 2.0]]), np.array(3.0),
        good.tolist(), good[0], good[None], good[:0], good[:, :0], good * 1j, good.astype(object), good.astype(str), good > 0,
        good.astype(np.float16), good.astype(np.float32), good.astype(np.longdouble), (1e18 * good).astype(int), bad, 1e200 * good,
        1e-200 * good, 1e160 * good, np.zeros_like(good), np.full_like(good, 1e308), np.asfortranarray(good), good[::-1, ::-1],
        np.ma.masked_array(good, good > 1), np.ma.masked_array(good, good > 99), sparse.csr_array(good), np.matrix(good),
        np.array([[datetime.datetime(2026, 1, 1)] * d] * n), np.array([["2026-01-01"] * d] * n, dtype="datetime64[D]"),
        np.array([[Decimal("1.5"), Decimal(2)]] * n), np.array([[Fraction(1, 3), Fraction(2)]] * n), [[10**400, 1]] * n,
        np.array([[None, 1.0]] * n), np.rec.fromarrays(good.T, names="a,b"), memoryview(good),
        frame, frame.set_index("a"), frame.set_axis(["a", "a"], axis=1), frame.astype(object), frame.astype("Float64"),
        frame.assign(b="x"), frame.assign(b=pd.Categorical(["u", "v"] * (n // 2))), frame.assign(b=None), frame.T, frame["a"],
        frame.assign(b=pd.date_range("2026", periods=n)), frame.set_axis([0, ("x", 1)], axis=1), frame.assign(b=[Decimal(1)] * n),
    ]  # fmt: skip
    with contextlib.suppress(ImportError):
        import torch

        t = torch.tensor(good)
        odd += [t, t.requires_grad_(), t.half(), t.bfloat16(), t.to_sparse(), torch.tensor(3.0), t.to(torch.complex64), t.int()]
    with contextlib.suppress(ImportError):
        import pyarrow

        table = pyarrow.table({"a": good[:, 0], "b": good[:, 1]})
        odd += [table, table.to_batches()[0], pyarrow.array(good[:, 0])]
    with contextlib.suppress(ImportError):
        import polars

        odd += [polars.DataFrame({"a": good[:, 0], "b": good[:, 1]}), polars.LazyFrame({"a": good[:, 0], "b": good[:, 1]})]
    return pick(rng, odd)


def odd_targets(rng: Rng, loss: rm.Loss, n: int = 8) -> Any:
    """Something in place of y (n,)."""
    y = rng.standard_normal(n)
    y = y if loss.reads == "residual" else np.where(np.arange(n) % 2, 1.0, -1.0)
    odd = [
        y, y, y, y, y[:-1], y[:, None], np.column_stack([y, y]), y.tolist(), 0 * y, y * np.nan, y * 1e160, np.sign(y) * 1e308, y * 1e-300,
        y.astype(str), y.astype(object), None, 3, "labels", y > 0, y.astype(complex), np.ones(n), y[None, None], [None] * n, y.astype(int),
    ]  # fmt: skip
    return pick(rng, odd)


def arrays(rng: Rng) -> str:
    """Odd X, y and weights through compile, fit and predict."""
    loss = pick(rng, LOSSES)()
    X, y = odd_array(rng), odd_targets(rng, loss)
    if rng.random() < 0.3:
        X = np.random.default_rng(0).standard_normal((8, 2))
    weights = (
        None if rng.random() < 0.7 else pick(rng, (np.ones(8), np.zeros(8), -np.ones(8), [1] * 7, "x", np.full(8, 1e300), np.nan))
    )
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bool(rng.random() < 0.5)), loss, rm.WeightDecay(0.05))
    if rng.random() < 0.5:
        program = model.compile(X, y, patterns=rm.SamplePatterns(1, seed=0), sample_weight=weights)
        found: Any = program.solve(tol=1e-3)
    else:
        found = model.fit(X, y, patterns=QUICK, sample_weight=weights)
    assert np.isfinite(found.objective), f"the objective is {found.objective}"
    below(found.bound, found.objective, "bound > objective")
    network = found.network() if isinstance(found, rm.Solution) else found.network
    np.testing.assert_allclose(network.objective(model, X, y, weights), found.objective, rtol=1e-5, atol=1e-12)
    network.predict(odd_array(rng))
    return "accepted"


def odd_module(rng: Rng) -> Any:
    """A torch module on two features that may compute more than its layers say."""
    import torch

    width, outputs = int(rng.integers(1, 5)), 1 if rng.random() < 0.8 else 2
    nn = torch.nn
    first, last = nn.Linear(2, width, bias=bool(rng.random() < 0.7)), nn.Linear(width, outputs, bias=bool(rng.random() < 0.7))
    middle = pick(
        rng,
        (
            nn.ReLU(),
            nn.ReLU(),
            nn.ReLU(),
            nn.ReLU(),
            nn.LeakyReLU(0.1),
            nn.LeakyReLU(0.1),
            nn.Tanh(),
            nn.Identity(),
            nn.ReLU6(),
            nn.PReLU(),
            nn.GELU(),
        ),
    )
    more = pick(rng, ([], [], [], [], [], [], [], [nn.Dropout(0.5)], [nn.BatchNorm1d(width)], [nn.ReLU()], [nn.LayerNorm(width)]))
    layers = [first, middle, *more, last]
    if rng.random() < 0.15:
        layers = [pick(rng, (nn.Flatten(), nn.BatchNorm1d(2), nn.Identity(), nn.Linear(2, 2))), *layers]
    if rng.random() < 0.1:
        layers = layers[::-1]

    class Own(nn.Sequential):
        how = pick(rng, ("scale", "shift", "skip", "twice", "error", "tuple", "none", "random"))

        def forward(self, x: Any) -> Any:
            f = super().forward
            if self.how == "error":
                raise RuntimeError("my module does not feel like it")
            return {
                "scale": lambda: f(x / 3), "shift": lambda: f(x - 1), "skip": lambda: f(x) + x[:, :1], "twice": lambda: 2 * f(x),
                "tuple": lambda: (f(x), x), "none": lambda: None, "random": lambda: f(x) + torch.rand(1),
            }[self.how]()  # fmt: skip

    module: Any = (Own if rng.random() < 0.25 else nn.Sequential)(*layers)
    if rng.random() < 0.15:
        pick(rng, (first, middle, last)).register_forward_hook(lambda m, i, o: o + 1)
    if rng.random() < 0.1:
        with torch.no_grad():
            first.weight[0, 0] = pick(rng, (float("nan"), float("inf"), 1e30))
    return module.to(pick(rng, (torch.float32, torch.float64, torch.float64, torch.float64, torch.float16)))


def outputs_of(module: Any, X: Any) -> Any:
    """What the module itself says, in evaluation mode; its mode is put back."""
    import torch

    training = module.training
    module.eval()
    with torch.no_grad():
        out = module(torch.tensor(X, dtype=next(module.parameters()).dtype))
    module.train(training)
    return out.double().numpy()[:, 0]


def modules(rng: Rng) -> str:
    """Modules and scikit-learn networks into polish and patterns: what is accepted starts at what the module itself computes."""
    import torch

    torch.manual_seed(int(rng.integers(2**31)))
    X = rng.standard_normal((10, 2))
    y = X[:, 0] - np.abs(X[:, 1])
    model = rm.Model(rm.TwoLayer(pick(rng, (rm.ReLU(), rm.ReLU(), rm.LeakyReLU(0.1))), True), rm.Squared(), rm.WeightDecay(1e-4))
    if rng.random() < 0.25:
        return _estimators(rng, model, X, y)
    module = odd_module(rng)
    if rng.random() < 0.3:
        model.compile(X, y, patterns=rm.PatternsOf(module)).solve(tol=1e-2)
        return "patterns"
    mode = module.training
    found = rm.polish(module, model, X, y, QUICK)
    assert module.training == mode, "the module's mode was changed"
    said = model.loss.value(outputs_of(module, X) - y).mean()
    parameters = sum(float((p.double() ** 2).sum()) for p in module.parameters())
    below(found.objective, said + 1e-4 / 2 * (parameters + 1) * 10, "polish is far above what the module computes", 1e-3)
    return "polished"


def _estimators(rng: Rng, model: rm.Model, X: Any, y: Any) -> str:
    from sklearn.linear_model import Ridge
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    mlp = MLPRegressor(
        hidden_layer_sizes=pick(rng, ((3,), (3,), (3, 2), ())),
        activation=pick(rng, ("relu", "relu", "tanh")),
        max_iter=3,
        random_state=0,
    )
    network = pick(rng, (mlp, mlp, make_pipeline(StandardScaler(), mlp), Ridge()))
    if rng.random() < 0.8:
        network.fit(5 + 2 * X if rng.random() < 0.2 else X, np.column_stack([y, y]) if rng.random() < 0.2 else y)
    found = rm.polish(network, model, X, y, QUICK)
    said = model.loss.value(network.predict(X) - y).mean()
    weights = sum((w**2).sum() for w in network.coefs_ + network.intercepts_) if isinstance(network, MLPRegressor) else 100
    below(found.objective, said + 1e-4 / 2 * (weights + 1) * 10, "polish is far above what the network computes", 1e-3)
    return "polished"
