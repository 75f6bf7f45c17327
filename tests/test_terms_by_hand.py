"""Terms that a user puts into a program: they count in the status, in the choice of points and in bounds, or are refused by name."""

import dataclasses

import numpy as np
import pytest

import relumodel as rm
from relumodel.functions.base import Linear, Nonnegative, ZeroIndicator
from relumodel.lift.sparsest import sparsest
from relumodel.maps.base import Dense, Identity
from user_losses import AtMost, with_term

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 2))
Y = X[:, 0] + 0.1 * RNG.standard_normal(20)
MODEL = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
PROGRAM = MODEL.compile(X, Y, rm.SamplePatterns(10, seed=0))
BELOW = with_term(PROGRAM, "cap", AtMost(-0.5), PROGRAM.term("loss").map)


def test_a_violated_constraint_is_never_optimal():
    """f <= -1/2 once ended "optimal" at the zero network, violation 0.5, gap -1.2."""

    class Zero:
        name, accepts, supports = "zero", rm.ConicForm, {"zero", "nonnegative", "second-order", "quadratic"}

        def solve(self, problem, options):
            return rm.RawSolution("solved", np.zeros_like(problem.c))

    solution = BELOW.solve(backend=Zero())
    assert solution.violation == 0.5
    assert solution.status == "tolerance not reached"


@pytest.mark.parametrize("backend", ["clarabel", "scs", "cvxpy", "auto"])
def test_a_constraint_holds_and_its_multiplier_is_in_the_bound(backend):
    """Against the penalty method: the same optimum as without the constraint is out of reach."""
    solution = BELOW.solve(backend=backend, tol=1e-5)
    assert solution.status == "optimal", str(solution)
    assert solution.violation <= 1e-5
    assert (solution.network()(X) <= -0.5 + 1e-5).all()
    assert PROGRAM.solve(tol=1e-5).objective < 0.5 * solution.bound
    assert abs(solution.gap) <= 1e-5


def test_an_infeasible_constraint_is_infeasible():
    both = with_term(BELOW, "floor", Nonnegative(), PROGRAM.term("loss").map)
    solution = both.solve(backend="clarabel")
    assert solution.status in ("infeasible", "tolerance not reached", "failed")
    assert solution.violation > 0.1


def test_the_choice_of_points_counts_violation():
    """A start that is cheap because it is outside loses to the backend's point inside."""
    free = PROGRAM.solve(backend="clarabel")
    solution = BELOW.solve(backend="clarabel", tol=1e-5, warm_start=free.point)
    assert solution.violation <= 1e-5
    assert solution.objective > free.objective


def test_a_sparser_point_leaves_no_constraint_further():
    blocks = BELOW.inverse.blocks(BELOW.solve(backend="clarabel").point)
    point = sparsest(BELOW, blocks, lambda some: some.reshape(-1), room=1e6)
    assert BELOW.outside(point) <= BELOW.outside(blocks.reshape(-1))
    assert not sparsest(PROGRAM, blocks, lambda some: some.reshape(-1), room=1e6).any()  # without it, anything goes: zero


@pytest.mark.parametrize("backend", ["admm", "torch", "descent"])
def test_backends_that_read_terms_name_the_one_they_do_not_know(backend):
    with pytest.raises(rm.BackendError, match=r"does not know the term 'cap'|lacks"):
        BELOW.solve(backend=backend)


@pytest.mark.parametrize("function", [Nonnegative(), AtMost(1e3)])
def test_terms_like_our_own_do_not_confuse_the_bound(function):
    """A second term on the cones' map, once an error of unpacking: it adds nothing, so the optimum is the old one."""
    more = with_term(PROGRAM, "more", function, PROGRAM.term("cones").map)
    solution = more.solve(backend="clarabel", tol=1e-5)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(PROGRAM.solve(tol=1e-6).objective, rel=1e-4)


def test_a_cost_that_falls_without_end_proves_nothing_wrong():
    """beta sum(v) has a conjugate whose domain is a point: multipliers cannot be scaled, so the bound is a bound or none."""
    cost = with_term(PROGRAM, "cost", Linear(1e-3), Identity(PROGRAM.n_variables))
    solution = cost.solve(backend="clarabel", tol=1e-5)
    assert solution.bound <= solution.objective + 1e-9


def test_a_polynomial_program_takes_a_term_too():
    model = rm.Model(rm.TwoLayer(rm.Polynomial(), bias=True), rm.Squared(), rm.WeightDecay(1e-2))
    program = model.compile(X, Y)
    capped = with_term(program, "cap", AtMost(-0.5), program.term("loss").map)
    solution = capped.solve(backend="clarabel", tol=1e-5)
    assert solution.bound <= solution.objective + 1e-9
    assert solution.status == "optimal"
    assert capped.outside(solution.point) <= 1e-5


class NoRows(AtMost):
    def rows(self, m):
        raise NotImplementedError


class NoDual(AtMost):
    def project_dual(self, q):
        raise NotImplementedError


@pytest.mark.parametrize(("function", "message"), [(NoRows(0.0), "term 'cap' has no conic form"), (NoDual(1.0), "into account")])
def test_a_face_that_is_needed_and_missing_is_named(function, message):
    with pytest.raises(rm.InputError, match=message):
        with_term(PROGRAM, "cap", function, PROGRAM.term("loss").map).solve(backend="clarabel")


def test_two_terms_of_one_name_are_refused():
    with pytest.raises(rm.InputError, match="Two terms of a program are named 'cap'"):
        with_term(BELOW, "cap", AtMost(0.0), PROGRAM.term("loss").map)


@pytest.mark.parametrize("suffix", [".mps", ".cbf"])
@pytest.mark.parametrize(
    ("program", "name"),
    [
        (BELOW, "cap"),
        (dataclasses.replace(PROGRAM, terms=PROGRAM.terms[:2]), "cones"),
        (
            dataclasses.replace(
                PROGRAM,
                terms=tuple(dataclasses.replace(t, function=ZeroIndicator()) if t.name == "cones" else t for t in PROGRAM.terms),
            ),
            "cones",
        ),
    ],
    ids=["put in", "taken out", "changed"],
)
def test_files_refuse_what_they_cannot_rebuild(program, name, suffix, tmp_path):
    """The term was dropped silently: the file was of another program."""
    with pytest.raises(rm.InputError, match=f"The term '{name}'.* by hand"):
        program.write(tmp_path / f"program{suffix}")
    assert not list(tmp_path.iterdir())


def test_violation_is_measured_against_the_numbers_it_is_made_of():
    """1 - 1 + 1e-9 leaves z <= 0 by 1e-9 of its parts, a hundred-thousandth of them in other units, and all of them if they are 0."""
    term = with_term(PROGRAM, "cap", AtMost(0.0), Dense(np.ones((1, PROGRAM.n_variables)))).term("cap")
    x = np.zeros(PROGRAM.n_variables)
    x[:2] = 1.0, -1.0 + 1e-9
    assert term.outside(x) == pytest.approx(5e-10, rel=1e-6)
    assert term.outside(1e5 * x) == pytest.approx(5e-10, rel=1e-6)
    assert dataclasses.replace(term, function=AtMost(-1.0)).outside(0 * x) == np.inf
