"""Solutions that come back from other solvers: every kind of file, and every kind of trouble with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import relumodel as rm
from relumodel.conic.assemble import assemble
from relumodel.formats.cbf import row_order
from relumodel.formats.solutions import read_solution_file
from relumodel.maps.symmetric import smat
from small_programs import KINDS, compiled, optimum


def raw(kind: str) -> rm.RawSolution:
    """The conic form's own point and multipliers, from Clarabel."""
    from relumodel.backend import find

    return find("clarabel").solve(compiled(kind).conic(), rm.Options(tol=1e-8))


def stated(kind: str) -> str:
    return repr(float(raw(kind).objective))


def named(kind: str) -> list[tuple[str, float]]:
    return list(zip(compiled(kind).conic().names, raw(kind).x.tolist(), strict=True))


def highs(kind: str) -> str:
    """What HiGHS would write for a linear or quadratic program."""
    z, rows = raw(kind).dual, range(len(raw(kind).dual))
    columns = "".join(f"{name} {value!r}\n" for name, value in named(kind))
    return (
        f"Model status\nOptimal\n\n# Primal solution values\nFeasible\nObjective {stated(kind)}\n# Columns {len(named(kind))}\n{columns}"
        f"# Rows {len(rows)}\n" + "".join(f"r{i} 0\n" for i in rows) + f"\n# Dual solution values\nFeasible\n"
        f"# Columns 1\nx 0\n# Rows {len(rows)}\n"
        + "".join(f"r{i} {-z[i]!r}\n" for i in rows).replace("np.float64(", "").replace(")", "")
        + "\n# Basis\nHiGHS_basis_file v2\nNone\n"
    )


def mosek(kind: str) -> str:
    """What MOSEK writes for a CBF file: rows of cones with multipliers, then the variables, numbered."""
    form, found = compiled(kind).conic(), raw(kind)
    scalar, matrices = np.split(found.dual, [form.rows("semidefinite").start])
    z = np.empty(len(scalar))
    z[row_order(form)] = scalar
    extra = [0.0] * (form.P.nnz + 2) if form.P.nnz else []
    triangles = [lower_triangle(part) for part in np.split(matrices, np.cumsum(form.sizes("semidefinite"))[:-1])]
    multipliers = [*z.tolist(), *extra, *(value for part in triangles for value in part)]
    rows = "".join(f"{i}  A1  {i}  0  {value!r}\n" for i, value in enumerate(multipliers))
    columns = "".join(
        f"{j}  X{j + 1}  SB {value!r} NONE NONE 0 0\n" for j, value in enumerate(found.x.tolist() + [0.25][: len(extra)])
    )
    return (
        "NAME                : \nPROBLEM STATUS      : PRIMAL_AND_DUAL_FEASIBLE\nSOLUTION STATUS     : OPTIMAL\n"
        f"OBJECTIVE NAME      : OBJ\nPRIMAL OBJECTIVE    : {stated(kind)}\nDUAL OBJECTIVE      : 0.5\n\n"
        f"AFFINE CONIC CONSTRAINTS\nINDEX NAME I ACTIVITY DUAL\n{rows}\n"
        f"VARIABLES\nINDEX NAME AT ACTIVITY LOWER LIMIT UPPER LIMIT DUAL LOWER DUAL UPPER\n{columns}"
    )


def lower_triangle(part: np.ndarray) -> list[float]:
    """The lower triangle by columns, off-diagonal entries times sqrt 2, of a matrix in our scaled triangle."""
    matrix = smat(part)
    return [matrix[i, j].item() * (1.0 if i == j else 2**0.5) for j in range(len(matrix)) for i in range(j, len(matrix))]


def mosek_rows(kind: str) -> str:
    """What MOSEK writes for an MPS file without cones: constraints by name."""
    z = raw(kind).dual.tolist()
    rows = "".join(f"{i} r{i} UL 0 NONE 0 0 {value!r}\n" for i, value in enumerate(z))
    columns = "".join(f"{j} {name} SB {value!r} NONE NONE 0 0\n" for j, (name, value) in enumerate(named(kind)))
    return (
        "NAME                : p\nPROBLEM STATUS      : PRIMAL_AND_DUAL_FEASIBLE\nSOLUTION STATUS     : OPTIMAL\n"
        f"PRIMAL OBJECTIVE    : {stated(kind)}\n\nCONSTRAINTS\nINDEX NAME AT ACTIVITY\n{rows}\nVARIABLES\nINDEX NAME AT ACTIVITY\n{columns}"
    )


def scip(kind: str) -> str:
    """SCIP leaves out what is zero."""
    lines = [f"{name}      {value!r} \t(obj:0)\n" for name, value in named(kind) if abs(value) > 1e-7]
    return f"solution status: optimal solution found\nobjective value:    {stated(kind)}\n" + "".join(lines)


def gurobi(kind: str) -> str:
    columns = "".join(f"{name} {value!r}\n" for name, value in named(kind))
    return f"# Solution for model p\n# Objective value = {stated(kind)}\n{columns}"


def numbered(kind: str) -> str:
    """COPT's names for the columns of a CBF file."""
    more = [0.5] if compiled(kind).conic().P.nnz else []
    values = [value for _, value in named(kind)] + more
    return f"# Objective value {stated(kind)}\n" + "".join(f"C{j:07}  {value!r}\n" for j, value in enumerate(values))


def of_columns(kind: str) -> str:
    return "".join(f"{value!r}\n" for _, value in named(kind))


def of_variables(kind: str) -> str:
    return "".join(f"{value!r}\n" for _, value in named(kind)[: compiled(kind).n_variables])


def by_name(kind: str) -> str:
    return "".join(f"{name} {value!r}\n" for name, value in reversed(named(kind)[: compiled(kind).n_variables]))


WRITERS = [highs, mosek, mosek_rows, scip, gurobi, numbered, of_columns, of_variables, by_name]


@pytest.mark.parametrize("kind", ["QP", "exponential"])
@pytest.mark.parametrize("writer", WRITERS)
def test_every_kind_of_file_gives_the_optimum(writer, kind, tmp_path):
    path = tmp_path / "p.sol"
    path.write_text(writer(kind))
    solution = compiled(kind).read_solution(path, tol=1e-5)
    assert solution.objective == pytest.approx(optimum(kind), abs=1e-6)
    assert solution.bound <= optimum(kind) + 1e-9
    assert solution.violation == 0
    assert solution.backend == "p.sol"
    assert solution.message.startswith("read from a file (")
    assert ("no multipliers" in solution.message) == (writer not in (highs, mosek, mosek_rows))


@pytest.mark.parametrize("kind", KINDS)
def test_multipliers_prove_the_gap(kind, tmp_path):
    """Of the rows of a CBF file, for every kind of program."""
    path = tmp_path / "p.sol"
    path.write_text(mosek(kind))
    solution = compiled(kind).read_solution(path)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(optimum(kind), abs=1e-6)
    network = solution.network()
    assert network.n_neurons > 0


def test_the_multipliers_are_those_of_the_form(tmp_path):
    """Read back from both kinds of file, they are the solver's own."""
    for writer in (highs, mosek_rows):
        path = tmp_path / writer.__name__
        path.write_text(writer("LP"))
        found = read_solution_file(path).multipliers
        assert [found[f"r{i}"] for i in range(len(found))] == raw("LP").dual.tolist()
    assert assemble(compiled("LP")).duals(raw("LP").dual).keys() == {"loss", "penalty", "cones"}


def test_windows_line_ends_and_a_byte_order_mark_are_the_same_file(tmp_path):
    path = tmp_path / "p.sol"
    for writer in WRITERS:
        path.write_text(writer("QP"))
        plain = compiled("QP").read_solution(path)
        path.write_bytes(b"\xef\xbb\xbf" + writer("QP").replace("\n", "\r\n").encode())
        again = compiled("QP").read_solution(path)
        assert np.array_equal(again.point, plain.point)
        assert again.bound == plain.bound


TROUBLE = [
    (highs, "# Columns 56", "# Columns x", r"line 7: 'x' where the number of columns should be"),
    (highs, "# Columns 56", "# Columns", r"line 7: '# Columns' without a count"),
    (highs, "loss.0 ", "loss.0 9 ", r"where line 25 of the 56 columns should be"),
    (highs, "Feasible\nObj", "None\nObj", r"line 5: there is no solution in the file; HiGHS ended with 'Optimal'"),
    (highs, "v[0,0] ", "v[0,1] ", r"line 9: a second value for 'v\[0,1\]'"),
    (mosek, "OPTIMAL", "PRIMAL_INFEASIBLE_CER", r"line 3: there is no solution in the file; MOSEK ended with PRIMAL_INF"),
    (mosek, "AFFINE CONIC CONSTRAINTS", "BARRED VARIABLES", r"a table 'BARRED VARIABLES'"),
    (mosek, " NONE NONE 0 0\n", "\n", r"4 entries where a line of VARIABLES has 8"),
    (scip, "objective value:", "solution status:", r"the file ends before its objective value"),
    (scip, "solution status: optimal solution found\n", "no solution available\n", r"line 1: there is no solution"),
    (scip, "(obj:0)", "(obj:0) 5", r"where a name and a value should be"),
    (by_name, "v[0,0] ", "", r"where a name and a value should be"),
    (by_name, "v[0,0] ", "q[0,0] ", r"a value for 'q\[0,0\]', which this program does not have"),
    (
        gurobi,
        "model p",
        "model relumodel-0123456789abcdef",
        r"of another program: of relumodel-0123456789abcdef; this one is relumodel-",
    ),
    (of_variables, "\n", "\n1.0\n", r"25 values where this program has 24 \(variables\), 56 .*\.mps.*, 57 .*\.cbf"),
]


@pytest.mark.parametrize(("writer", "old", "new", "message"), TROUBLE)
def test_trouble_is_named_with_its_line(writer, old, new, message, tmp_path):
    path, text = tmp_path / "p.sol", writer("QP")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(rm.FileError, match=message):
        compiled("QP").read_solution(path)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("word", ["nan", "inf", "-1e999", "1_0", "0x1p-3"])
def test_what_is_no_finite_number_is_refused(writer, word, tmp_path):
    path = tmp_path / "p.sol"
    value = repr(max((value for _, value in named("QP")[:24]), key=abs))
    text = writer("QP")
    path.write_text(text.replace(value, word))
    line = next(i for i, row in enumerate(path.read_text().splitlines(), start=1) if word in row.split())
    with pytest.raises(rm.FileError, match=rf"line {line}: '{word}' where a finite number is needed"):
        compiled("QP").read_solution(path)


@pytest.mark.parametrize("writer", [highs, mosek, gurobi, numbered, of_columns, of_variables, by_name])
def test_a_file_cut_short_is_refused(writer, tmp_path):
    """Wherever the variables are not complete; SCIP leaves out zeros, so of its files only the start can be missed."""
    lines = writer("QP").splitlines(keepends=True)
    last = {highs: 7 + 56, mosek: len(lines)}.get(writer, len(lines))
    path = tmp_path / "p.sol"
    for kept in (1, 3, last // 2, last - 1):
        path.write_text("".join(lines[:kept]))
        if writer is gurobi and kept - 2 >= compiled("QP").n_variables:
            continue  # the auxiliaries are not needed
        with pytest.raises(rm.FileError, match=r"cut short|there is no value"):
            compiled("QP").read_solution(path)


@pytest.mark.parametrize("writer", [highs, mosek, gurobi, by_name])
def test_a_solution_of_another_program_is_refused(writer, tmp_path):
    path = tmp_path / "p.sol"
    path.write_text(writer("QP"))
    X, y = np.random.default_rng(1).standard_normal((8, 2)), np.arange(8.0)
    model = compiled("QP").model
    other = model.compile(X, y, patterns=rm.SamplePatterns(3, seed=0))
    with pytest.raises(rm.FileError, match="another program"):
        other.read_solution(path)


def test_a_point_far_off_is_measured_and_not_believed(tmp_path):
    """Of the program's own variables; with all columns, what they violate and what they give tells that it is no solution."""
    path, program = tmp_path / "p.sol", compiled("LP")
    names = program.conic().names
    path.write_text("".join(f"{name} 100.0\n" for name in names[: program.n_variables]))
    solution = program.read_solution(path)
    assert solution.status == "tolerance not reached"
    assert solution.violation == 0
    assert solution.bound <= optimum("LP") <= solution.objective
    path.write_text("# Objective value = -5\n" + "".join(f"{name} 100.0\n" for name in names))
    with pytest.raises(rm.FileError, match=r"states the objective -5, and its values give 220; is it cut short, or"):
        program.read_solution(path)
    path.write_text("".join(f"{name} {float(k)}\n" for k, name in enumerate(names)))
    with pytest.raises(rm.FileError, match=r"has values that violate a constraint of this program by \d+%"):
        program.read_solution(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\xff\xfe\x00", "is not a text file"),
        (b'<?xml version = "1.0"?>', "line 1: not a solution file that relumodel reads"),
        (b"Columns\n Index Status\n", r"line 2: a table without the names .*style 0"),
        (b"# nothing\n", "there is no value in the file"),
        (b"Hello, how are you?\n", "line 1: 'Hello, how are you"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "p.sol"
    path.write_bytes(content)
    with pytest.raises(rm.FileError, match=message):
        compiled("LP").read_solution(path)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(rm.FileError, match=r"p\.sol cannot be read: No such file"):
        compiled("LP").read_solution(tmp_path / "p.sol")


def test_a_bad_tolerance_is_refused(tmp_path: Path):
    with pytest.raises(rm.InputError, match="tol must be a finite number > 0"):
        compiled("LP").read_solution(tmp_path / "p.sol", tol=0)
