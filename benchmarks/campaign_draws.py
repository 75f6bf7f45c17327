"""Random declarations and data for the campaign: every declared kind, and data that is often degenerate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import relumodel as rm

Array = NDArray[np.float64]
Rng = np.random.Generator

#: of losses of single outputs, then of classes
LOSSES = (rm.Squared, rm.Absolute, lambda **how: rm.Huber(0.4, **how), rm.Hinge, rm.SquaredHinge, rm.Logistic)
CLASS_LOSSES = (rm.MultiMargin, rm.SoftmaxCrossEntropy)
BALLS = (rm.LInf, rm.L2, rm.L1)
NEURONS = (rm.ReLU(), rm.LeakyReLU(0.1), rm.LeakyReLU(0.7), rm.GatedReLU())
PENALTIES = (1e-6, 1e-3, 0.02, 0.1, 1.0, 30.0)


@dataclass
class Problem:
    """A model, data that suits it, and where its patterns come from. weights : of the samples, or None."""

    model: rm.Model
    X: Array
    y: Array
    patterns: Any
    weights: Array | None = None

    def compile(self, **changed: Any) -> rm.Program:
        """The program; `changed` in place of what is here."""
        use = {"model": self.model, "patterns": self.patterns, **changed}
        return use["model"].compile(self.X, self.y, patterns=use["patterns"], sample_weight=self.weights)

    def objective(self, network: Any, model: rm.Model | None = None) -> float:
        """The training objective of a network."""
        return network.objective(model or self.model, self.X, self.y, self.weights)


def pick(rng: Rng, choices: Any) -> Any:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def features(rng: Rng, rows: tuple[int, int] = (1, 9), columns: tuple[int, int] = (1, 3)) -> Array:
    """X (n, d), Gaussian or small integers, often with flaws: repeated, opposite, zero rows; constant, dependent, scaled columns."""
    n, d = (int(rng.integers(low, high + 1)) for low, high in (rows, columns))
    X = rng.standard_normal((n, d)) if rng.random() < 0.7 else rng.integers(-2, 3, (n, d)).astype(float)
    for flaw in rng.permutation(7)[: int(rng.integers(0, 3))]:
        if flaw == 0:
            X[-1] = X[0]
        elif flaw == 1:
            X[-1] = -2 * X[0]
        elif flaw == 2:
            X[0] = 0
        elif flaw == 3:
            X[:, 0] = 1
        elif flaw == 4 and d > 1:
            X[:, -1] = X[:, :-1].sum(axis=1)
        elif flaw == 5:
            X[:, -1] *= 10.0 ** rng.integers(-4, 5)
        elif flaw == 6:
            X += 1e-7 * rng.standard_normal(X.shape)
    return X


def targets(rng: Rng, loss: rm.Loss, n: int, outputs: int = 1) -> Array:
    """Targets that suit the loss: numbers, labels with both classes in every column, or three classes (two where n is small)."""
    if loss.reads == "classes":
        labels = np.sort(rng.choice(20, 3, replace=False)).astype(float)
        return rng.permutation(labels[np.arange(n) % min(3, max(2, n))])
    Y = rng.standard_normal((n, outputs))
    if loss.reads == "residual":
        Y *= 10.0 ** rng.integers(-2, 3)
        Y[rng.random(Y.shape) < 0.1] = 0
    else:
        Y = np.where(Y.argsort(axis=0).argsort(axis=0) < max(1, n // 2), -1.0, 1.0)
    return Y[:, 0] if outputs == 1 else Y


def loss_of(rng: Rng, classes: bool = False) -> rm.Loss:
    """A loss with a reduction."""
    return pick(rng, LOSSES + CLASS_LOSSES * classes)(reduction=pick(rng, ("mean", "sum")))


def ball_of(rng: Rng, d: int) -> rm.perturbations.Perturbation:
    """A set with one radius or one a feature, some of them 0 or fixed."""
    r = pick(rng, (0.01, 0.05, 0.2))
    radius = r if rng.random() < 0.6 else tuple(r * rng.choice([0.0, 0.5, 1.0, 2.0], d))
    return pick(rng, BALLS)(radius, fixed=(0,) if rng.random() < 0.2 else ())


def two_layers(rng: Rng, perturbed: bool = False, classes: bool = False, outputs: int = 1, **sizes: Any) -> Problem:
    """A network of two layers on any data."""
    loss = loss_of(rng, classes and not perturbed)
    X = features(rng, **sizes)
    if loss.reads != "residual" and len(X) < 2:
        X = np.vstack([X, X + 1])
    penalty = pick(rng, (rm.WeightDecay, rm.PathNorm))(pick(rng, PENALTIES))
    ball = ball_of(rng, X.shape[1]) if perturbed else None
    robust = pick(rng, ("strict", "crossing"))
    neurons = pick(rng, NEURONS[:-1] if ball is not None and robust == "crossing" else NEURONS)
    model = rm.Model(rm.TwoLayer(neurons, bool(rng.random() < 0.6)), loss, penalty, ball, robust)
    few = rm.SamplePatterns(int(rng.integers(1, 3)), seed=int(rng.integers(99)))
    return Problem(model, X, targets(rng, loss, len(X), outputs), few, weights_of(rng, len(X), loss))


def any_network(rng: Rng) -> Problem:
    """Any kind of network, one output or several, any loss."""
    kind = pick(rng, ("two", "two", "robust", "several", "classes", "polynomial", "polynomial robust", "three", "features"))
    if kind in ("two", "robust"):
        return two_layers(rng, perturbed=kind == "robust")
    if kind in ("several", "classes"):
        return two_layers(rng, classes=kind == "classes", outputs=2 + int(rng.integers(2)), rows=(4, 8))
    loss, X = loss_of(rng), features(rng, rows=(3, 8))
    beta, bias = pick(rng, PENALTIES), bool(rng.random() < 0.5)
    penalty, ball = pick(rng, (rm.WeightDecay, rm.PathNorm))(beta), None
    network, patterns = rm.RandomFeatures(bias=bias), rm.SamplePatterns(4, seed=int(rng.integers(99)))
    if kind == "three":
        network, patterns = rm.ParallelThreeLayer(width=2, bias=bias), rm.SamplePatterns(2, seed=int(rng.integers(99)))
    elif kind.startswith("polynomial"):
        network, patterns, penalty = rm.TwoLayer(rm.Polynomial(), bias), None, rm.WeightDecay(beta)
        ball = ball_of(rng, X.shape[1]) if kind.endswith("robust") else None
    model = rm.Model(network, loss, penalty, ball)
    return Problem(model, X, targets(rng, loss, len(X)), patterns, weights_of(rng, len(X), loss))


def weights_of(rng: Rng, n: int, loss: rm.Loss) -> Array | None:
    """None mostly; else weights of which some may be 0 where no class can be lost by that."""
    if rng.random() < 0.7:
        return None
    weights = rng.choice([0.1, 1.0, 7.0], n)
    if loss.reads == "residual" and n > 2:
        weights[int(rng.integers(n))] = 0
    return weights


def random_network(rng: Rng, network: rm.TwoLayer, d: int, outputs: int = 1, classifies: bool = False) -> rm.Network:
    """Gaussian or small integer weights, so that ties and zero weights occur."""
    m, rows = int(rng.integers(0, 7)), d + network.bias
    whole = rng.random() < 0.4

    def make(*shape: int) -> Array:
        scale = 10.0 ** rng.integers(-2, 1)
        return rng.integers(-2, 3, shape).astype(float) if whole else scale * rng.standard_normal(shape)

    gates = None if network.activation.self_gated else make(rows, m)
    output = make(m) if outputs == 1 else make(m, outputs)
    return rm.Network(network.activation, network.bias, make(rows, m), output, gates, classifies)


def moves(rng: Rng, perturbation: rm.perturbations.Perturbation, shape: tuple[int, int]) -> Array:
    """Random perturbations (n, d) inside the set, on its boundary mostly, corners of boxes among them."""
    radii = perturbation.radii(shape[1])
    z = rng.standard_normal(shape)
    if isinstance(perturbation, rm.LInf):
        z = np.sign(z) if rng.random() < 0.5 else rng.uniform(-1, 1, shape)
    elif isinstance(perturbation, rm.L2):
        z /= np.linalg.norm(z, axis=1, keepdims=True)
    else:
        z /= np.abs(z).sum(axis=1, keepdims=True)
        if rng.random() < 0.5:
            z = np.sign(z) * (np.abs(z) == np.abs(z).max(axis=1, keepdims=True))
            z /= np.abs(z).sum(axis=1, keepdims=True)
    return (1 - 1e-12) * radii * z * rng.choice([1.0, 0.5], (shape[0], 1))
