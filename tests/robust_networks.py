"""Random networks and perturbation sets for the tests of certificates and attacks, degenerate ones included."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np

import relumodel as rm
from data_strategies import matrices

SETS = [rm.LInf, rm.L2, rm.L1]
ACTIVATIONS = [rm.ReLU(), rm.LeakyReLU(0.3), rm.GatedReLU()]


def random_network(activation, d: int, m: int, seed: int, bias: bool = True, classifies: bool = True) -> rm.Network:
    """Gaussian or small integer weights, so that ties and zero weights occur."""
    rng = np.random.default_rng(seed)
    make = rng.standard_normal if seed % 2 else lambda shape: rng.integers(-2, 3, shape).astype(float)
    gates = make((d + bias, m)) if isinstance(activation, rm.GatedReLU) else None
    return rm.Network(activation, bias, make((d + bias, m)), make(m), gates, classifies)


@st.composite
def attacked_networks(draw, sets=SETS, rows=(1, 5), columns=(1, 3), neurons=(0, 6), activations=ACTIVATIONS):
    """(network, X, y, perturbation): a classifier, data that is often degenerate, a set with some radii that may be 0."""
    X = draw(matrices(rows=rows, columns=columns))
    n, d = X.shape
    seed = draw(st.integers(0, 999))
    network = random_network(draw(st.sampled_from(activations)), d, draw(st.integers(*neurons)), seed, draw(st.booleans()))
    rng = np.random.default_rng(seed)
    radii = np.where(rng.random(d) < 0.8, rng.choice([0.1, 0.5, 1.0], d), 0.0)
    y = np.where(rng.random(n) < 0.3, -1.0, 1.0) * network.predict(X)
    return network, X, y, draw(st.sampled_from(sets))(radii)
