"""Problems of readings against the same problems written by hand in CVXPY, on the same patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import relumodel as rm

cp = pytest.importorskip("cvxpy")

RNG = np.random.default_rng(0)
X, X2, E = RNG.uniform(-1, 1, (16, 2)), RNG.uniform(-1, 1, (7, 2)), RNG.uniform(-1, 1, (5, 2))
Y, Y2 = np.sin(3 * X[:, 0]) + 0.1 * RNG.normal(size=16), RNG.normal(size=7)
SIGNS = np.where(Y > 0, 1.0, -1.0)
W = RNG.uniform(0.5, 2, 16)
ZERO = np.zeros(2)
BETA = 0.02
STEP = X @ np.array([[0.4, 0.3], [-0.3, 0.4]])
F = rm.TwoLayer(rm.ReLU(), bias=True)
TWO = rm.TwoLayer(rm.ReLU(), bias=True, outputs=2)


class Hand:
    """The lifted network as CVXPY expressions: what a user would write without relumodel."""

    def __init__(self, program: rm.Program, points: np.ndarray, outputs: int = 1, slope: float = 0.0) -> None:
        self.points, self.D, Z = points, program.patterns, np.column_stack([points, np.ones(len(points))])
        n, P = self.D.shape
        assert n == len(points)
        self.cones, self.norms, self.values = [], 0, []
        for _ in range(outputs):
            V, U = cp.Variable((P, 3)), cp.Variable((P, 3))
            mask = np.where(self.D, 1.0, slope)
            self.values.append(cp.sum(cp.multiply(mask, Z @ (V - U).T), axis=1))
            sides = np.where(self.D, 1.0, -1.0)
            self.cones += [cp.multiply(sides, Z @ V.T) >= 0, cp.multiply(sides, Z @ U.T) >= 0]
            self.norms += cp.sum(cp.norm(V, 2, axis=1)) + cp.sum(cp.norm(U, 2, axis=1))

    def f(self, some: np.ndarray, output: int = 0) -> Any:
        at = [int(np.flatnonzero((self.points == row).all(axis=1))[0]) for row in np.atleast_2d(some)]
        return self.values[output][at]

    def solved(self, objective: Any, constraints: list[Any]) -> float:
        problem = cp.Problem(cp.Minimize(objective + BETA * self.norms), [*constraints, *self.cones])
        return float(problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9))


def pinball(r: Any, level: float) -> Any:
    """Of r = y - f."""
    return cp.sum(cp.maximum(level * r, (level - 1) * r)) / r.size


def slopes(hand: Hand, h: float) -> Any:
    steps = h * np.eye(2)
    return cp.vstack([(hand.f(E + step) - hand.f(E - step)) / (2 * h) for step in steps]).T


Case = tuple[rm.Problem, Callable[[Hand], tuple[Any, list[Any]]]]
DECAY = rm.WeightDecay(BETA)
SQUARED = rm.Squared()(F(X), Y)


def squared(hand: Hand) -> Any:
    return cp.sum_squares(hand.f(X) - Y) / 32


CASES: dict[str, Case] = {
    "pinball": (rm.Problem(rm.Pinball(0.9)(F(X), Y) + DECAY), lambda h: (pinball(Y - h.f(X), 0.9), [])),
    "expectile": (
        rm.Problem(rm.Expectile(0.8)(F(X), Y) + DECAY),
        lambda h: (cp.sum(0.8 * cp.pos(Y - h.f(X)) ** 2 + 0.2 * cp.pos(h.f(X) - Y) ** 2) / 16, []),
    ),
    "epsilon-insensitive, weights": (
        rm.Problem(rm.EpsilonInsensitive(0.2)(F(X), Y, weight=W) + DECAY),
        lambda h: (W @ cp.pos(cp.abs(h.f(X) - Y) - 0.2) / W.sum(), []),
    ),
    "two data sets": (
        rm.Problem(SQUARED + 0.5 * rm.Absolute(reduction="sum")(F(X2), Y2) + DECAY),
        lambda h: (squared(h) + 0.5 * cp.norm(h.f(X2) - Y2, 1), []),
    ),
    "interpolation": (rm.Problem(DECAY, [F(X) == Y]), lambda h: (0, [h.f(X) == Y])),
    "bounds elsewhere": (
        rm.Problem(rm.Hinge()(F(X), SIGNS) + DECAY, [F(E) <= 0.3, F(E) >= -0.2]),
        lambda h: (cp.sum(cp.pos(1 - cp.multiply(SIGNS, h.f(X)))) / 16, [h.f(E) <= 0.3, h.f(E) >= -0.2]),
    ),
    "parity": (
        rm.Problem(rm.Logistic()(F(X), SIGNS) + DECAY, [F(X[:6]).mean() - F(X[6:]).mean() <= 0.05]),
        lambda h: (
            cp.sum(cp.logistic(-cp.multiply(SIGNS, h.f(X)))) / 16,
            [cp.sum(h.f(X[:6])) / 6 - cp.sum(h.f(X[6:])) / 10 <= 0.05],
        ),
    ),
    "Lyapunov": (
        rm.Problem(DECAY, [F(ZERO) == 0, F(STEP) - F(X) <= -0.05, F(X) >= 0.1 * np.abs(X).sum(axis=1)]),
        lambda h: (0, [h.f(ZERO) == 0, h.f(STEP) - h.f(X) <= -0.05, h.f(X) >= 0.1 * np.abs(X).sum(axis=1)]),
    ),
    "norms": (
        rm.Problem(0.3 * rm.norm(F(X) - Y, np.inf) + rm.norm(F(X2) - Y2, 2) + DECAY, [rm.norm(F(E), 1) <= 1]),
        lambda h: (0.3 * cp.norm(h.f(X) - Y, "inf") + cp.norm(h.f(X2) - Y2, 2), [cp.norm(h.f(E), 1) <= 1]),
    ),
    "slopes": (
        rm.Problem(
            SQUARED + rm.Squared()(F.slope(E, 0.1), np.ones((5, 2))) + DECAY, [F(ZERO) == 0.3, F.slope(E, 0.1)[:, 0] >= 0.2]
        ),
        lambda h: (
            squared(h) + cp.sum_squares(slopes(h, 0.1) - 1) / 10,
            [h.f(ZERO) == 0.3, slopes(h, 0.1)[:, 0] >= 0.2],
        ),
    ),
    "a matrix on values": (
        rm.Problem(SQUARED + DECAY, [rm.norm(np.arange(10.0).reshape(2, 5) @ F(E), 2) <= 3, 2 * F(X2) - 0.5 <= 1]),
        lambda h: (squared(h), [cp.norm(np.arange(10.0).reshape(2, 5) @ h.f(E), 2) <= 3, 2 * h.f(X2) - 0.5 <= 1]),
    ),
    "two quantiles that do not cross": (
        rm.Problem(
            rm.Pinball(0.1)(TWO(X)[:, 0], Y) + rm.Pinball(0.9)(TWO(X)[:, 1], Y) + DECAY, [TWO(E)[:, 0] <= TWO(E)[:, 1] - 0.3]
        ),
        lambda h: (pinball(Y - h.f(X), 0.1) + pinball(Y - h.f(X, 1), 0.9), [h.f(E) <= h.f(E, 1) - 0.3]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_problem_written_by_hand(name: str) -> None:
    problem, by_hand = CASES[name]
    program = problem.compile(rm.SamplePatterns(12, seed=0))
    hand = Hand(program, program.inverse.read.points, problem.outputs)
    expected = hand.solved(*by_hand(hand))
    solution = program.solve(tol=1e-7)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert solution.bound <= expected + 1e-8 * (1 + abs(expected))
    assert solution.violation <= 1e-9
    # the network is what the program says: its values are those of the lifting, and its penalty is the program's
    network = solution.network()
    values = program.term("loss").map.K if hasattr(program.term("loss").map, "K") else program.term("loss").map
    expected_values = values.forward(solution.point).reshape(problem.outputs, -1).T
    found = np.atleast_2d(network(program.inverse.read.points).T).T
    np.testing.assert_allclose(found, expected_values, atol=1e-9)
    assert problem.penalty.of_network(network.hidden_weights[:], network.output_weights) == pytest.approx(
        program.term("penalty").function.value(solution.point), rel=1e-9
    )


@pytest.mark.parametrize("name", ["Lyapunov", "norms", "two quantiles that do not cross", "bounds elsewhere"])
@pytest.mark.parametrize("backend", ["clarabel", "scs", "cvxpy", "admm"])
def test_backends_agree(name: str, backend: str) -> None:
    program = CASES[name][0].compile(rm.SamplePatterns(12, seed=0))
    try:
        solution = program.solve(backend=backend, tol=1e-5)
    except rm.BackendError as error:
        assert backend == "admm"
        assert "cannot take this program" in str(error)  # noqa: PT017
        return
    best = program.solve(tol=1e-7)
    assert solution.objective == pytest.approx(best.objective, rel=1e-4)
    assert solution.bound <= best.objective * (1 + 1e-7) + 1e-9
    assert solution.violation <= 1e-6


def test_multipliers_are_the_price_of_giving_way() -> None:
    """The optimum's derivative in the right-hand sides is minus the multipliers, by differences."""

    def optimum(high: np.ndarray, at: float, radius: float) -> tuple[float, Any]:
        constraints = [F(E) <= high, F(ZERO) == at, rm.norm(F(X2), 2) <= radius]
        solution = rm.Problem(SQUARED + DECAY, constraints).compile(PATTERNS).solve(tol=1e-9, backend="clarabel")
        return solution.objective, [solution.dual_of(c) for c in constraints]

    union = rm.Problem(SQUARED + DECAY, [F(E) <= 1, F(ZERO) == 1, rm.norm(F(X2), 2) <= 1]).compile(rm.SamplePatterns(12, seed=0))
    PATTERNS = rm.GivenPatterns(union.patterns)
    high, h = np.full(5, -0.2), 1e-3
    _, (on_high, on_value, on_norm) = optimum(high, 0.3, 0.5)
    assert on_high.shape == (5,)
    assert (on_high >= -1e-9).all()
    assert on_high.max() > 1e-3
    k = int(on_high.argmax())
    bump = h * np.eye(5)[k]
    ups, downs = optimum(high + bump, 0.3, 0.5)[0], optimum(high - bump, 0.3, 0.5)[0]
    assert (downs - ups) / (2 * h) == pytest.approx(on_high[k], rel=2e-2)
    assert (optimum(high, 0.3 - h, 0.5)[0] - optimum(high, 0.3 + h, 0.5)[0]) / (2 * h) == pytest.approx(float(on_value), rel=2e-2)
    assert (optimum(high, 0.3, 0.5 - h)[0] - optimum(high, 0.3, 0.5 + h)[0]) / (2 * h) == pytest.approx(on_norm, rel=2e-2)


@pytest.mark.parametrize("activation", [rm.LeakyReLU(0.2), rm.GatedReLU(), rm.Polynomial()], ids=lambda a: type(a).__name__)
def test_other_activations(activation: Any) -> None:
    f = rm.TwoLayer(activation, bias=True)
    problem = rm.Problem(rm.Squared()(f(X), Y) + rm.WeightDecay(BETA), [f(E) <= 0.1, f(ZERO) == 0])
    free = rm.Problem(rm.Squared()(f(X), Y) + 0 * rm.norm(f(np.vstack([E, ZERO]))) + rm.WeightDecay(BETA))
    patterns = None if activation.unit_neurons else rm.SamplePatterns(12, seed=0)
    solution = problem.compile(patterns).solve(tol=1e-5)
    assert solution.status == "optimal"
    network = solution.network()
    assert network(E).max() <= 0.1 + 1e-7
    assert abs(network(ZERO[None])[0]) <= 1e-7
    assert solution.objective >= free.compile(patterns).solve(tol=1e-5).bound - 1e-9


def test_random_features_and_three_layers() -> None:
    for f in (rm.RandomFeatures(bias=True), rm.ParallelThreeLayer(2, bias=True)):
        problem = rm.Problem(rm.Squared()(f(X), Y) + rm.WeightDecay(BETA), [f(E) <= 0.1])
        solution = problem.compile(rm.SamplePatterns(8, seed=0)).solve(tol=1e-5)
        assert solution.network()(E).max() <= 0.1 + 1e-6
        assert solution.bound <= solution.objective + 1e-9


def test_patterns_are_those_of_the_union_in_the_order_of_first_appearance() -> None:
    program = rm.Problem(SQUARED + DECAY, [F(np.vstack([E, X[3:5]])) <= 1, F(ZERO) == 0]).compile(rm.SamplePatterns(5, seed=1))
    np.testing.assert_array_equal(program.inverse.read.points, np.vstack([X, E, ZERO]))
    assert program.patterns.shape[0] == 22


def test_a_model_on_data_is_a_problem() -> None:
    model = rm.Model(F, rm.Squared(), DECAY)
    patterns = rm.SamplePatterns(12, seed=0)
    alone, composed = model.compile(X, Y, patterns).solve(), model.problem(X, Y).compile(patterns).solve()
    assert composed.objective == pytest.approx(alone.objective, rel=1e-6)
    bounded = model.problem(X, Y).subject_to(F(X) <= 0.5).plus(rm.Absolute()(F(X2), Y2))
    assert len(bounded.terms) == 2
    assert len(bounded.constraints) == 1
    assert "subject to  f(16 points) <= 0.5" in str(bounded)
    assert bounded.with_penalty(0.5).penalty.beta == 0.5


def test_what_is_not_convex_or_makes_no_sense_is_refused() -> None:
    other = rm.TwoLayer(rm.ReLU(), bias=True)
    for wrong, words in (
        (lambda: rm.norm(F(X)) >= 1, "not a convex constraint"),
        (lambda: F(X) * F(X), "not convex"),
        (lambda: F(X) != 1, "no convex constraint"),
        (lambda: F(X) < 1, "strict"),
        (lambda: F(X) + other(X), "two networks"),
        (lambda: rm.Problem(SQUARED + rm.Squared()(other(X), Y) + DECAY), "two networks"),
        (lambda: rm.Problem(SQUARED), "one penalty"),
        (lambda: rm.Problem(DECAY), "needs a term or a constraint"),
        (lambda: rm.Problem(SQUARED + DECAY + rm.PathNorm(1)), "one penalty"),
        (lambda: F(X) + np.zeros(3), "does not add"),
        (lambda: np.ones((2, 3)) @ F(X), "does not fit"),
        (lambda: rm.Squared()(F(X), Y[:3]), "must agree"),
        (lambda: rm.Hinge()(F(X)), "needs the labels"),
        (lambda: F(np.array([[1.0, np.nan]])), "NaN"),
        (lambda: rm.Problem(SQUARED + DECAY, [F(np.zeros((1, 3))) == 0]), "same features"),
        (lambda: (-1) * SQUARED, ">= 0"),
        (lambda: F(X)[99], "no entries"),
        (lambda: rm.PLQ((0.0,), (1.0, -1.0)), "not convex"),
        (lambda: rm.PLQ((0.0,), (1.0, 2.0)), "no least value"),
    ):
        with pytest.raises(rm.InputError, match=words):
            wrong()
    for strange in (lambda: rm.Squared()(X), lambda: bool(F(X) <= 1), lambda: rm.Problem(3.0), lambda: rm.norm(X)):
        with pytest.raises(rm.InputTypeError):
            strange()
    with pytest.raises(rm.InputError, match="has no constraint"):
        rm.Problem(SQUARED + DECAY, [F(E) <= 1]).compile(rm.SamplePatterns(5, seed=0)).solve().dual_of(F(E) <= 1)


def test_files_for_other_solvers(tmp_path: Any) -> None:
    """What a solver finds for the file comes back to the program at hand; a file of another program beside it goes."""
    program = CASES["bounds elsewhere"][0].compile(rm.SamplePatterns(12, seed=0))
    (tmp_path / "p.json").write_text("of another program")
    for name in ("p.cbf", "p.mps"):
        assert program.write(tmp_path / name).stat().st_size > 0
        assert not (tmp_path / "p.json").exists()
    best = program.solve(tol=1e-7)
    names = [name for variable in program.variables for name in variable.names()]
    (tmp_path / "p.sol").write_text("".join(f"{n} {v:.17g}\n" for n, v in zip(names, best.point, strict=True)))
    back = program.read_solution(tmp_path / "p.sol")
    assert back.objective == pytest.approx(best.objective, rel=1e-6)
    with pytest.raises(rm.FileError, match="There is no file"):
        rm.load_program(tmp_path / "p.json")
