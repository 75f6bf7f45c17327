"""CBF files: every bit comes back, and the strict reader refuses what is not one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import sparse

import relumodel as rm
from cbf_reader import CbfError, read_cbf
from data_strategies import MODELS, label, problems
from relumodel.formats.cbf import row_order, write_cbf
from relumodel.maps.symmetric import smat
from small_programs import KINDS, compiled

OURS = {"zero": "L=", "nonnegative": "L+", "second-order": "Q", "exponential": "EXP"}


def text(form: rm.ConicForm) -> str:
    out: list[str] = []
    write_cbf(form, out.append, lambda more: None)
    return "".join(out)


def same_as_form(form: rm.ConicForm, path) -> None:
    """Every number of the form is in the file with all its bits, and nothing else is."""
    read, (M, N) = read_cbf(path), form.A.shape
    p = form.P.diagonal()
    k = int(np.count_nonzero(p))
    assert read.variables == [("F", N + (k > 0))]
    assert read.cones == [(OURS[cone.kind], cone.size) for cone in form.cones] + [("QR", k + 2)] * (k > 0)
    order = row_order(form)
    assert (read.A[order, :N] != -form.A).nnz == 0
    assert (read.b[order] == form.b).all()
    assert (read.c[:N] == form.c).all()
    assert read.offset == form.offset
    if k:
        rest = read.A[M:].toarray()
        assert (read.A[:M, [N]].nnz, read.c[N]) == (0, 1.0)
        assert (rest[0] == np.append(np.zeros(N), 1.0)).all()
        assert read.b[M:].tolist() == [0.0, 1.0] + [0.0] * k
        assert (rest[1:2] == 0).all()
        assert (rest[2:, :N].sum(axis=0) == np.sqrt(p)).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "SDP" not in kind])  # matrices have tests of their own below
@pytest.mark.parametrize("suffix", [".cbf", ".cbf.gz"])
def test_every_kind_of_program_round_trips(kind, suffix, tmp_path):
    program = compiled(kind)
    same_as_form(program.conic(), program.write(tmp_path / f"p{suffix}"))


@settings(max_examples=20)
@given(problems())
def test_hypothesis_programs_round_trip(tmp_path_factory, problem):
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    same_as_form(program.conic(), program.write(tmp_path_factory.mktemp("cbf") / "p.cbf"))


@pytest.mark.parametrize("model", MODELS[::25], ids=label)
def test_numbers_of_all_sizes_keep_their_bits(model, tmp_path):
    rng = np.random.default_rng(3)
    X = np.ldexp(rng.standard_normal((6, 2)), rng.integers(-40, 40, (6, 2)))
    y = np.array([1.0, -1.0] * 3)
    program = model.compile(X, y, patterns=rm.SamplePatterns(2, seed=0))
    same_as_form(program.conic(), program.write(tmp_path / "p.cbf"))


def test_an_exponential_cone_is_written_backwards(tmp_path):
    """(x, y, z) with y exp(x / y) <= z is (u0, u1, u2) = (z, y, x) of the format."""
    form = rm.ConicForm(
        P=sparse.csc_array((3, 3)),
        c=np.array([1.0, 0.0, 0.0]),
        A=sparse.csc_array(-np.diag([2.0, 3.0, 5.0])),
        b=np.array([7.0, 11.0, 13.0]),
        cones=(rm.Cone("exponential", 3),),
        offset=0.5,
        names=("a", "b", "c"),
    )
    (tmp_path / "p.cbf").write_text(text(form))
    read = read_cbf(tmp_path / "p.cbf")
    assert read.A.toarray().tolist() == [[0, 0, 5], [0, 3, 0], [2, 0, 0]]
    assert read.b.tolist() == [13, 11, 7]
    assert read.offset == 0.5


def test_duplicates_and_zeros_are_coalesced(tmp_path):
    A = sparse.csc_array((np.array([1.0, 2.0, 0.0, 4.0]), np.array([0, 0, 1, 1]), np.array([0, 3, 4])), shape=(2, 2))
    form = rm.ConicForm(sparse.csc_array((2, 2)), np.zeros(2), A, np.zeros(2), (rm.Cone("nonnegative", 2),), 0.0, ("a", "b"))
    assert "ACOORD\n2\n0 0 -3.0\n1 1 -4.0\n" in text(form)
    assert form.A.nnz == 4  # the form itself stays as it is


def test_only_a_diagonal_quadratic_is_taken():
    P = sparse.csc_array([[2.0, 1.0], [1.0, 2.0]])
    form = rm.ConicForm(P, np.zeros(2), sparse.csc_array((0, 2)), np.zeros(0), (), 0.0, ("a", "b"))
    with pytest.raises(rm.InputError, match="Only a diagonal"):
        text(form)


GOOD = "VER\n3\n\nOBJSENSE\nMIN\n\nVAR\n2 1\nF 2\n\nCON\n2 1\nL+ 2\n\nACOORD\n1\n0 1 2.0\n\nBCOORD\n1\n0 1.5\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3\n\nO", "2\n\nO", "line 2: the version"),
        ("MIN", "MAX", "line 5: the sense"),
        ("F 2", "F 1", "line 9: cones of total size 1"),
        ("L+ 2", "X 2", "line 13: unknown cone 'X'"),
        ("0 1 2.0", "0 2 2.0", "line 17: column '2'"),
        ("0 1 2.0", "0 1 nan", "line 17: 'nan'"),
        ("0 1 2.0", "0 1", "line 17: '0 1' where"),
        ("0 1.5", "9 1.5", "line 21: index '9'"),
        ("BCOORD\n1\n0 1.5\n", "BCOORD\n1\n", "line 21: the file ends"),
        ("BCOORD", "ACOORD", "line 19: a second ACOORD"),
        ("ACOORD\n1", "ACOORD\n2", "line 18: '' where"),
        ("BCOORD", "OBJACOORD", "line 19: OBJACOORD after ACOORD"),
        ("BCOORD", "HELLO", "line 19: 'HELLO' where a keyword"),
    ],
)
def test_the_strict_reader_names_the_line(old, new, message, tmp_path):
    path = tmp_path / "p.cbf"
    path.write_text(GOOD)
    assert read_cbf(path).b.tolist() == [1.5, 0.0]
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(CbfError, match=message):
        read_cbf(path)


def test_windows_line_ends_are_the_same_file(tmp_path):
    program = compiled("exponential")
    path = program.write(tmp_path / "p.cbf")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    same_as_form(program.conic(), path)


POLYNOMIAL = [
    (rm.Squared(), None),
    (rm.Logistic(), rm.L2(0.3)),
    (rm.Huber(0.5), rm.LInf(0.1)),
]


def polynomial(loss, perturbation) -> rm.Program:
    model = rm.Model(rm.TwoLayer(rm.Polynomial(), bias=True), loss, rm.WeightDecay(0.05), perturbation=perturbation)
    rng = np.random.default_rng(0)
    return model.compile(rng.standard_normal((6, 2)), np.array([1.0, -1.0] * 3))


@pytest.mark.parametrize(("loss", "perturbation"), POLYNOMIAL, ids=str)
def test_matrices_have_their_natural_entries(loss, perturbation, tmp_path):
    """For any x the matrices of the file are those whose scaled triangles are the form's rows; the scalar rows are as ever."""
    form = polynomial(loss, perturbation).conic()
    read = read_cbf(polynomial(loss, perturbation).write(tmp_path / "p.cbf.gz"))
    rows = form.rows("semidefinite")
    sizes = form.sizes("semidefinite")
    assert [order * (order + 1) // 2 for order in read.orders] == sizes
    x = np.random.default_rng(1).standard_normal(form.A.shape[1])
    s = form.b - form.A @ x
    for k, part in enumerate(np.split(s[rows], np.cumsum(sizes)[:-1])):
        matrix = read.D.get(k, 0) + sum(x[j] * H for (which, j), H in read.H.items() if which == k)
        np.testing.assert_allclose(matrix, smat(part), atol=1e-12)
    scalar = read.b[: rows.start] + read.A[: rows.start, : len(x)] @ x
    np.testing.assert_allclose(scalar[row_order(form)], s[: rows.start], atol=1e-12)
    assert [cone for cone in read.cones if cone[0] != "QR"] == [
        (OURS[cone.kind], cone.size) for cone in form.cones if cone.kind != "semidefinite"
    ]


@pytest.mark.parametrize(("loss", "perturbation"), POLYNOMIAL, ids=str)
def test_a_polynomial_program_comes_back_as_it_left(loss, perturbation, tmp_path):
    program = polynomial(loss, perturbation)
    program.write(tmp_path / "p.cbf")
    again = rm.load_program(tmp_path / "p.json")
    assert (again.conic().A != program.conic().A).nnz == 0
    solution = program.solve(backend="clarabel")
    (tmp_path / "p.txt").write_text("\n".join(repr(float(v)) for v in solution.point))
    found = again.read_solution(tmp_path / "p.txt")
    assert found.objective == pytest.approx(solution.objective, rel=1e-9)
    assert found.network().n_neurons == solution.network().n_neurons


def test_mps_cannot_hold_matrices(tmp_path):
    with pytest.raises(rm.InputError, match=r"MPS cannot hold .*semidefinite.* cones.*CBF can: write a \.cbf file"):
        polynomial(rm.Squared(), None).write(tmp_path / "p.mps")
