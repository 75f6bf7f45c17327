import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from relumodel.functions.trust_region import unit_ball_minimum


@st.composite
def quadratics(draw):
    """Diagonals with repeated and zero entries, gradients that miss directions (the hard case) or are zero or tiny."""
    p, m = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    small = st.sampled_from([-2.0, -1.0, 0.0, 0.0, 1.0, 3.0])
    L = np.array(draw(st.lists(small, min_size=p, max_size=p)))
    G = np.random.default_rng(draw(st.integers(0, 999))).standard_normal((m, p)) * draw(st.sampled_from([1e-9, 0.1, 1.0, 10.0]))
    G[:, draw(st.lists(st.booleans(), min_size=p, max_size=p))] = 0.0
    return L, G


@settings(max_examples=300)
@given(quadratics(), st.booleans())
def test_the_point_attains_the_bound_and_no_other_point_goes_below(problem, sphere):
    L, G = problem
    found = unit_ball_minimum(L, G, sphere)
    norms = np.linalg.norm(found.point, axis=1)
    assert (abs(norms - 1) <= 1e-9).all() if sphere else (norms <= 1 + 1e-12).all()
    attained = (found.point**2) @ L + (G * found.point).sum(axis=1)
    np.testing.assert_allclose(attained, found.value, atol=1e-8 * (1 + abs(G).max()))
    others = np.random.default_rng(0).standard_normal((500, len(L)))
    others /= np.linalg.norm(others, axis=1)[:, None]
    if not sphere:
        others *= np.random.default_rng(1).uniform(0, 1, (500, 1))
    lowest = ((others**2) @ L + G @ others.T).min(axis=1)
    assert (found.value <= lowest + 1e-12 * (1 + abs(G).max())).all()
    assert (L.min() + found.mu >= -1e-12).all()
    assert sphere or (found.mu >= 0).all()
