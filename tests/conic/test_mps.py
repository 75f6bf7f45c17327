"""MPS files: every bit comes back, cones stand in both ways, and the strict reader refuses what is not one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import sparse

import relumodel as rm
from data_strategies import problems
from mps_reader import Mps, MpsError, read_mps
from relumodel.formats.mps import HOLDS, write_mps
from small_programs import KINDS, compiled

INTO_MPS = [kind for kind in KINDS if "exponential" not in kind and "SDP" not in kind]


def cones_of(read: Mps) -> list[list[str]]:
    """The members of every cone, head first, from either way to write them."""
    if read.csections:
        assert not read.qcmatrix
        return list(read.csections.values())
    for row, entries in read.qcmatrix.items():
        assert read.rows[row] == "L"
        assert row not in read.rhs
        assert list(entries.values()) == [-1.0] + [1.0] * (len(entries) - 1)
        assert all(first == second for first, second in entries)
    return [[first for first, _ in entries] for entries in read.qcmatrix.values()]


def same_as_form(form: rm.ConicForm, path, cones: str = "qcmatrix") -> None:
    """Rebuild the conic form from the file and compare it bit for bit."""
    read, (M, N) = read_mps(path), form.A.shape
    own, extra = list(read.columns)[:N], list(read.columns)[N:]
    assert own == list(form.names)
    column = {name: j for j, name in enumerate(own)}
    A, b = np.zeros((M, N)), np.zeros(M)
    for name in own:
        for row, value in read.columns[name].items():
            if row != "obj":
                A[int(row[1:]), column[name]] = value
    for row, value in read.rhs.items():
        if row != "obj":
            b[int(row[1:])] = value
    assert read.rhs.get("obj", 0.0) == -form.offset
    soc = form.rows("second-order")
    members = cones_of(read)
    assert [len(cone) for cone in members] == form.sizes("second-order")
    for i, name in enumerate((name for cone in members for name in cone), start=soc.start):
        if name in column:  # the row is the variable itself
            assert not A[i].any()
            assert f"r{i}" not in read.rows
            A[i, column[name]] = -1.0
        else:
            assert (name, read.columns[name]) == (f"soc[{i}]", {f"r{i}": 1.0})
            extra.remove(name)
    assert not extra
    assert (form.A.toarray() == A).all()
    assert (b == form.b).all()
    assert (np.array([read.columns[name].get("obj", 0.0) for name in own]) == form.c).all()
    kinds = {f"r{i}": "E" if i < form.rows("zero").stop or i >= soc.start else "L" for i in range(M)}
    assert all(read.rows[row] == kinds[row] for row in read.rows if row.startswith("r"))
    heads = {cone[0] for cone in members}
    assert read.bounds == {name: [0.0 if name in heads else -math.inf, math.inf] for name in read.columns}
    p = form.P.diagonal()
    assert read.quadobj == {(own[j], own[j]): p[j] for j in np.flatnonzero(p)}
    assert bool(read.csections) == (cones == "csection" and bool(members))


@pytest.mark.parametrize("kind", INTO_MPS)
@pytest.mark.parametrize(("suffix", "cones"), [(".mps", "qcmatrix"), (".mps.gz", "csection")])
def test_every_kind_of_program_round_trips(kind, suffix, cones, tmp_path):
    program = compiled(kind)
    same_as_form(program.conic(), program.write(tmp_path / f"p{suffix}", cones=cones), cones)


@settings(max_examples=20)
@given(problems())
def test_hypothesis_programs_round_trip(tmp_path_factory, problem):
    model, X, y = problem
    program = model.compile(X, y, patterns=rm.EnumeratePatterns())
    path = tmp_path_factory.mktemp("mps") / "p.mps"
    if program.kinds <= {*HOLDS, "quadratic"}:
        same_as_form(program.conic(), program.write(path))
    else:
        with pytest.raises(rm.InputError, match=r"MPS cannot hold exponential cones.*CBF can: write a \.cbf file"):
            program.write(path)
        assert not path.exists()


def test_a_variable_in_two_cones_and_a_scaled_row_get_their_own_columns(tmp_path):
    A = sparse.csc_array(-np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 2]]))
    cones = (rm.Cone("second-order", 2), rm.Cone("second-order", 2))
    form = rm.ConicForm(sparse.csc_array((3, 3)), np.zeros(3), A, np.zeros(4), cones, 2.5, ("a", "b", "c"))
    out: list[str] = []
    write_mps(form, "test", out.append, lambda more: None)
    path = tmp_path / "p.mps"
    path.write_text("".join(out))
    same_as_form(form, path)
    assert cones_of(read_mps(path)) == [["a", "b"], ["soc[2]", "soc[3]"]]
    assert read_mps(path).columns["b"] == {"obj": 0.0}  # every column has a line


@pytest.mark.parametrize("names", [("a", "a"), ("a", "b c"), ("a", "")])
def test_names_must_be_unique_words(names):
    form = rm.ConicForm(sparse.csc_array((2, 2)), np.zeros(2), sparse.csc_array((0, 2)), np.zeros(0), (), 0.0, names)
    with pytest.raises(rm.InputError, match="unique and without spaces"):
        write_mps(form, "test", [].append, lambda more: None)


GOOD = "NAME p\nROWS\n N obj\n L r0\nCOLUMNS\n x obj 1.0\n x r0 2.0\nRHS\n RHS r0 3.0\nBOUNDS\n FR BND x\nENDATA\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ROWS", "OBJSENSE\n MIN\nROWS", "line 2: unknown section 'OBJSENSE'"),  # GLPK refuses it
        (" L r0", " G r0", "line 4: unknown kind of row 'G'"),
        ("x r0 2.0", "x r9 2.0", "line 7: unknown row 'r9'"),
        ("x r0 2.0", "x obj 2.0", "line 7: a second value for 'obj'"),
        ("x r0 2.0", "x r0 inf", "line 7: 'inf' where"),
        ("x r0 2.0", "x r0", "line 7: 'x r0' where"),
        ("RHS\n", "RANGES\n", "line 8: unknown section 'RANGES'"),
        (" FR BND x", " FR BND z", "line 11: unknown column 'z'"),
        (" FR BND x\n", "", "line 11: no bounds for 'x'"),
        ("ENDATA\n", "", "line 11: the file ends without ENDATA"),
        ("BOUNDS\n", "COLUMNS\n", "line 10: COLUMNS after RHS"),
    ],
)
def test_the_strict_reader_names_the_line(old, new, message, tmp_path):
    path = tmp_path / "p.mps"
    path.write_text(GOOD)
    assert read_mps(path).columns == {"x": {"obj": 1.0, "r0": 2.0}}
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(MpsError, match=message):
        read_mps(path)


def test_windows_line_ends_are_the_same_file(tmp_path):
    program = compiled("SOCP")
    path = program.write(tmp_path / "p.mps")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    same_as_form(program.conic(), path)
