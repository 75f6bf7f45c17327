"""Solution files as the solvers themselves wrote them, for three small programs whose JSON files are of version 0.1.

HiGHS 1.16 (all styles), GLPK 5.0 (glpsol -o and -w, simplex and interior point), CBC 2.10 (also with printingOptions all), SCIP 10,
Gurobi 13, COPT 8, CPLEX 22.2, Xpress 9.9; MOSEK 11 wrote a solution that Clarabel found. MIPLIB's form is made here by its description.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import relumodel as rm
from relumodel.formats.import_solution import import_solution
from relumodel.formats.solutions import read_solution_file

SAMPLES = Path(__file__).parent / "solutions"
FILES = sorted(path.name for path in SAMPLES.iterdir() if path.suffix != ".json")

FORMS = {
    "highs-1": "HiGHS, style -1",
    "highs0": "HiGHS, style 0",
    "highs1": "HiGHS, style 1",
    "highs2": "GLPK, as glpsol -w and HiGHS style 2 write it",
    "highs3": "GLPK, as glpsol -o and HiGHS style 3 write it",
    "highs4": "HiGHS, style 4",
    "glpk_w": "GLPK, as glpsol -w and HiGHS style 2 write it",
    "glpk_iw": "GLPK, as glpsol -w and HiGHS style 2 write it",
    "glpk_o": "GLPK, as glpsol -o and HiGHS style 3 write it",
    "glpk_io": "GLPK, as glpsol -o and HiGHS style 3 write it",
    "cbc": "CBC",
    "cbc_all": "CBC",
    "scip": "SCIP",
    "gurobi.sol": "Gurobi or COPT",
    "copt.sol": "Gurobi or COPT",
    "cbf.copt.sol": "Gurobi or COPT",
    "cplex.xml": "CPLEX, XML",
    "slx": "Xpress, .slx",
    "mosek.sol": "MOSEK",
}

#: Those whose multipliers are all there: rows by name or number, and for MOSEK of cones.
WITH_MULTIPLIERS = {"highs-1", "highs0", "highs1", "highs2", "highs3", "glpk_w", "glpk_iw", "glpk_o", "glpk_io", "cbc_all"}


@cache
def program(name: str) -> rm.Program:
    return rm.load_program(SAMPLES / f"{name.split('.', 1)[0]}.json")


@cache
def optimum(kind: str) -> float:
    solution = program(kind).solve(backend="clarabel", tol=1e-7)
    assert solution.status == "optimal"
    return solution.objective


@pytest.mark.parametrize("name", FILES)
def test_what_solvers_write_is_read_and_proved(name):
    """With the file's multipliers where it has them, else with those that are computed from the point."""
    kind, form = name.split(".", 1)
    solution = program(name).read_solution(SAMPLES / name)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(optimum(kind), abs=1e-6)
    assert solution.bound <= optimum(kind) + 1e-9
    assert solution.violation == 0
    assert solution.message.startswith(f"read from a file ({FORMS[form]})")
    found = import_solution(program(name), SAMPLES / name)
    assert (found.duals is not None) == (form in WITH_MULTIPLIERS or name in ("lp.cplex.xml", "socp.mosek.sol"))


def test_multipliers_are_computed_where_the_file_has_none():
    """The point stays the file's; what a solver finds from there counts as bound alone."""
    given, alone = (program("lp").read_solution(SAMPLES / "lp.scip", prove=prove) for prove in (True, False))
    assert alone.status == "tolerance not reached"
    assert alone.gap > 0.1
    assert "it has no multipliers" in alone.message
    assert given.status == "optimal"
    assert np.array_equal(given.point, alone.point)
    assert "the bound is of multipliers computed here (" in given.message


@pytest.mark.parametrize("name", FILES)
def test_a_cut_that_is_accepted_has_lost_nothing(name, tmp_path):
    """At 25 random places: refused, or the values of the program are those of the whole file to the last digit."""
    whole = (SAMPLES / name).read_bytes()
    point, path = import_solution(program(name), SAMPLES / name).point, tmp_path / "cut.sol"
    for end in np.random.default_rng(0).integers(0, len(whole.rstrip()), 25).tolist():
        path.write_bytes(whole[:end])
        try:
            cut = import_solution(program(name), path)
        except rm.FileError:
            continue
        assert np.array_equal(cut.point, point), f"cut after {end} of {len(whole)} bytes"


@pytest.mark.parametrize("name", ["lp.scip", "qp.scip", "socp.scip", "lp.cbc", "lp.highs4"])
def test_a_missing_line_shows_in_the_stated_objective(name, tmp_path):
    """Of files that leave out zeros: any line with a cost that is not zero."""
    lines, path = (SAMPLES / name).read_text().splitlines(keepends=True), tmp_path / "p.sol"
    at = max(
        i for i, line in enumerate(lines) if "penalty." in line and float(line.replace("**", "").split("penalty.")[1].split()[1])
    )
    path.write_text("".join(lines[:at] + lines[at + 1 :]))
    with pytest.raises(rm.FileError, match=r"states the objective .*cut short|the file ends|columns should be"):
        import_solution(program(name), path)


@pytest.mark.parametrize("name", FILES)
def test_a_solution_of_another_program_is_refused(name):
    """Of one with the same names, sizes and costs, but other data; and of another penalty, other labels, other patterns."""
    model, inverse = program(name).model, program(name).inverse
    X, y, D = inverse.X[:, :-1], program(name).term("loss").function.targets, program(name).patterns
    for data, labels, patterns in ((X[::-1] + 0.3, y, D), (X, -y, D), (X, y, ~D)):
        other = model.compile(data, labels, patterns=rm.GivenPatterns(patterns))
        with pytest.raises(rm.FileError, match="another program"):
            import_solution(other, SAMPLES / name)
    if name != "lp.highs-1":  # which has neither names nor an objective, and the constraints are the same
        with pytest.raises(rm.FileError, match="another program"):
            import_solution(program(name).with_penalty(0.1), SAMPLES / name)


def test_what_a_file_states_is_compared_with_what_its_values_give(tmp_path):
    path = tmp_path / "p.sol"
    text = (SAMPLES / "lp.gurobi.sol").read_text()
    path.write_text(text.replace("5.0547818", "4.0547818"))
    with pytest.raises(rm.FileError, match=r"states the objective 0\.405478.*and its values give 0\.505478"):
        program("lp").read_solution(path)
    own = [f"{name} {value!r}\n" for name, value in _own("lp")]
    path.write_text("# nothing stated\n" + "".join(own))
    assert program("lp").read_solution(path, prove=False).objective == pytest.approx(optimum("lp"), abs=1e-6)
    # the stated objective alone makes it a file of Gurobi, which names every column
    path.write_text("# Objective value = 0.1\n" + "".join(own))
    with pytest.raises(rm.FileError, match=r"values for 12 of 30 columns, and no value for 'loss\.0'"):
        program("lp").read_solution(path)


def _own(kind: str) -> list[tuple[str, float]]:
    return list(
        zip(program(kind).conic().names, import_solution(program(kind), SAMPLES / f"{kind}.scip").point.tolist(), strict=False)
    )


def test_the_solution_format_of_miplib(tmp_path):
    path = tmp_path / "p.sol"
    lines = [line.split()[:2] for line in (SAMPLES / "lp.scip").read_text().splitlines()[1:]]
    path.write_text(f"=obj= {optimum('lp')!r}\n" + "".join(f"{name} {value}\n" for name, value in lines))
    solution = program("lp").read_solution(path)
    assert solution.status == "optimal"
    assert solution.message.startswith("read from a file (MIPLIB)")
    path.write_text("=infeas=\n")
    with pytest.raises(rm.FileError, match="there is no solution in the file: '=infeas='"):
        program("lp").read_solution(path)


BROKEN = [
    ("lp.highs1", "    Index Status", "    Status", r"line 2: a table without the names"),
    ("lp.highs1", "Objective value:", "Objective:", r"where a line of a table should be"),
    ("lp.highs-1", "T Primal solution", "F Primal solution", r"there is no solution in the file"),
    ("lp.highs4", "# Columns -7 sparse", "# Columns -9 sparse", r"where line 8 of the 9 columns should follow"),
    ("lp.highs0", "# Columns 30", "# Columns 3\N{SUPERSCRIPT TWO}", r"where the number of columns should be"),
    ("lp.highs0", "# Columns 30", "# Columns " + "9" * 6000, r"where the number of columns should be"),
    ("lp.glpk_w", "j 30 ", "j 31 ", r"where row or column 30, its value"),
    ("lp.glpk_w", "s bas 72 30 f f", "s bas 72 30 u u", r"there is no solution in the file; its status is 'u'"),
    ("lp.glpk_w", "s bas 72 30", "s bas 72 31", r"30 columns where line 's' has 31"),
    ("lp.glpk_o", "Columns:    30", "Columns:    31", r"30 columns and 72 rows where its head has 31 and 72"),
    ("lp.glpk_o", "OPTIMAL", "INFEASIBLE (FINAL)", r"there is no solution in the file; its status is 'INFEASIBLE"),
    ("lp.cbc", "Optimal", "Infeasible", r"there is no solution in the file; CBC ended with 'Infeasible'"),
    ("lp.cbc", "value 0.50547818", "value none", r"'none' where a finite number is needed"),
    ("lp.cplex.xml", 'name="v[0,0]" ', "", r"a <variable> without name or value"),
    ("lp.cplex.xml", 'primalFeasible="1"', 'primalFeasible="0"', r"there is no solution in the file; CPLEX ended with 'optimal'"),
    ("lp.cplex.xml", "CPLEXSolution", "Solution", r"XML of <Solution>"),
    ("lp.cplex.xml", "<CPLEX", '<!DOCTYPE a [<!ENTITY b "c">]><CPLEX', r"XML with a document type or entities"),
    ("lp.cplex.xml", "</variables>", "", r"or one cut short: not XML"),
    ("lp.slx", "ENDATA", "NAME again", r"a second solution"),
    ("lp.slx", "  C v[0,0]", "  D v[0,0]", r"line 2: .* where 'C', a name and a value should be"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), BROKEN)
def test_trouble_is_named(name, old, new, message, tmp_path):
    text, path = (SAMPLES / name).read_text(), tmp_path / "p.sol"
    assert old in text
    path.write_text(text.replace(old, new) if old == "CPLEXSolution" else text.replace(old, new, 1))
    with pytest.raises(rm.FileError, match=message):
        read_solution_file(path)
