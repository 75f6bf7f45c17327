import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relumodel as rm
from data_strategies import COVERING, MODELS, example, label, problems
from reference import minimum_over_cones
from relumodel.conic.assemble import assemble

KINDS = ("zero", "nonnegative", "second-order", "exponential")


def naive(program):
    """The conic form by dense blocks, one term after the other: (P, c, A, b, cones)."""
    faces = [(t, t.function.rows(t.map.shape[0])) for t in program.terms]
    n_total = program.n_variables + sum(len(r.cost) for _, r in faces)
    P, c, blocks, start = np.zeros((n_total, n_total)), np.zeros(n_total), [], program.n_variables
    for term, rows in faces:
        k = len(rows.cost)
        c[start : start + k] = rows.cost
        P[range(start, start + k), range(start, start + k)] = rows.quadratic
        for piece in rows.pieces:
            on_z = piece.on_z * np.eye(len(piece.b)) if isinstance(piece.on_z, float) else piece.on_z.toarray()
            block = np.zeros((len(piece.b), n_total))
            block[:, : program.n_variables] = on_z @ term.map.matrix().toarray()
            block[:, start : start + k] = piece.on_t.toarray()
            blocks.append((KINDS.index(piece.kind), block, piece.b, piece.sizes))
        start += k
    blocks.sort(key=lambda block: block[0])
    cones = [(KINDS[kind], size) for kind, _, _, sizes in blocks for size in sizes]
    return P, c, np.vstack([a for _, a, _, _ in blocks]), np.concatenate([b for _, _, b, _ in blocks]), cones


def merged(cones):
    """Zero and nonnegative cones as one each."""
    sums = [(kind, total) for kind in KINDS[:2] if (total := sum(size for k, size in cones if k == kind))]
    return [*sums, *[cone for cone in cones if cone[0] not in KINDS[:2]]]


@settings(max_examples=100)
@given(problems())
def test_as_a_naive_dense_assembly(problem):
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    form = program.conic()
    P, c, A, b, cones = naive(program)
    np.testing.assert_array_equal(form.P.toarray(), P)
    np.testing.assert_array_equal(form.c, c)
    np.testing.assert_array_equal(form.A.toarray(), A)
    np.testing.assert_array_equal(form.b, b)
    assert [tuple(cone) for cone in form.cones] == merged(cones)
    assert form.offset == 0
    assert form.P.format == form.A.format == "csc"
    assert (form.A.data != 0).all()
    assert len(set(form.names)) == len(form.names) == len(c)
    assert form.names[: program.n_variables] == tuple(name for v in program.variables for name in v.names())


@pytest.mark.parametrize("model", COVERING, ids=label)
def test_a_fixed_point_costs_what_the_program_says(model):
    """With the program's variables fixed at a feasible point, the least the auxiliaries can cost is the objective."""
    X, y = example(model, n=5)
    program = model.compile(X, y, patterns=rm.SamplePatterns(3, seed=0))
    rng = np.random.default_rng(1)
    x = program.inverse.repair(program, rng.standard_normal(program.n_variables))
    form, n = program.conic(), program.n_variables
    assert program.violation(x) == 0
    own, auxiliary = form.A[:, :n], form.A[:, n:]
    least = minimum_over_cones(form.P[n:, n:], form.c[n:], auxiliary, form.b - own @ x, form.cones)
    assert least == pytest.approx(program.objective(x), abs=1e-6)
    assert not form.c[:n].any()


@given(problems(), st.integers(0, 9))
def test_duals_are_composed_as_the_rows_are(problem, seed):
    """z in the rows' order becomes q_j with sum_j K_j'q_j = the program's part of A'z, whatever z is."""
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    assembled = assemble(program)
    z = np.random.default_rng(seed).standard_normal(len(assembled.form.b))
    q = assembled.duals(z)
    assert {name: len(v) for name, v in q.items()} == {t.name: t.map.shape[0] for t in program.terms}
    total = sum(t.map.adjoint(q[t.name]) for t in program.terms)
    np.testing.assert_allclose(total, (assembled.form.A.T @ z)[: program.n_variables], atol=1e-10)


def test_point_is_the_leading_part():
    model = MODELS[0]
    program = model.compile(*example(model), patterns=rm.EnumeratePatterns())
    x = np.arange(float(program.conic().A.shape[1]))
    np.testing.assert_array_equal(assemble(program).point(x), np.arange(program.n_variables))


def test_two_forms_of_one_program_share_nothing():
    """A solver may scale its form in place; the next solve must not see it."""
    model = MODELS[0]
    program = model.compile(*example(model), patterns=rm.EnumeratePatterns())
    first = program.conic()
    kept = first.A.copy(), first.b.copy(), first.c.copy()
    first.A.data *= 3
    first.b[:] = first.c[:] = 7
    again = program.conic()
    np.testing.assert_array_equal(again.A.toarray(), kept[0].toarray())
    np.testing.assert_array_equal(again.b, kept[1])
    np.testing.assert_array_equal(again.c, kept[2])
