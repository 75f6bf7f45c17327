"""The files, solved by readers that we did not write: the optimum is ours to 1e-6. Which of them ran is in the test summary."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import relumodel as rm
from small_programs import KINDS, compiled, optimum

LINEAR = ["LP", "strict LP"]
QUADRATIC = [*LINEAR, "QP"]
CONES = [*QUADRATIC, "SOCP", "strict SOCP", "crossing", "random features", "three layers"]
MATRICES = ["SDP", "strict SDP"]
EVERYTHING = list(KINDS)
CONE_ORDER = ["zero", "nonnegative", "second-order", "exponential", "semidefinite"]


def highs(path: Path) -> float:
    """Its solution comes back through its own solution file as well."""
    import highspy

    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(path)) == highspy.HighsStatus.kOk
    solver.run()
    solver.writeSolution(str(path.with_suffix(".sol")), 0)
    return solver.getInfo().objective_function_value


def scip(path: Path) -> float:
    import pyscipopt

    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("numerics/epsilon", 1e-12)
    model.setParam("numerics/feastol", 1e-11)
    model.setParam("limits/time", 60.0)
    model.readProblem(str(path))
    model.optimize()
    model.writeBestSol(str(path.with_suffix(".sol")))
    return model.getObjVal()


def gurobi(path: Path) -> float:
    import gurobipy

    model = gurobipy.read(str(path), env=gurobipy.Env(params={"OutputFlag": 0}))
    model.Params.BarQCPConvTol = model.Params.BarConvTol = 1e-10
    model.optimize()
    model.write(str(path.with_suffix(".sol")))
    return model.ObjVal


def copt(path: Path) -> float:
    import coptpy

    config = coptpy.EnvrConfig()
    config.set("nobanner", "1")
    model = coptpy.Envr(config).createModel("p")
    model.setParam("Logging", 0)
    for name in ("RelGap", "FeasTol", "DualTol"):
        model.setParam(name, 1e-9)
    model.read(str(path))
    model.solve()
    model.writeSol(str(path.with_suffix(".sol")))
    return model.objval


def cplex(path: Path) -> float:
    import cplex

    model = cplex.Cplex()
    for silence in (model.set_results_stream, model.set_log_stream, model.set_warning_stream, model.set_error_stream):
        silence(None)
    model.read(str(path))
    model.parameters.barrier.convergetol.set(1e-10)
    model.parameters.barrier.qcpconvergetol.set(1e-10)
    model.solve()
    return model.solution.get_objective_value()


def xpress(path: Path) -> float:
    import xpress

    problem = xpress.problem()
    problem.controls.outputlog = 0
    problem.controls.bargapstop = 1e-10
    problem.read(str(path))
    problem.optimize()
    return problem.attributes.objval


def picos(path: Path) -> float:
    import picos

    problem, (x,), *_ = picos.import_cbf(str(path))
    problem.solve(solver="cvxopt", rel_ipm_opt_tol=1e-9, abs_ipm_opt_tol=1e-9)
    path.with_suffix(".sol").write_text("".join(f"{value!r}\n" for value in x.value))
    return problem.value


def mosek(path: Path) -> float:
    """MOSEK reads without a licence; Clarabel solves what it read."""
    import mosek

    task = mosek.Env().Task()
    task.readdata(str(path))
    N = task.getnumvar()
    rows, cols, values = task.getaccftrip()
    g = np.array(task.getaccgvector())
    F = sparse.csr_array((values, (rows, cols)), shape=(len(g), N))
    assert all(bound == mosek.boundkey.fr for bound in task.getvarboundslice(0, N)[0])
    cones, at = [], 0
    for i in range(task.getnumacc()):
        size = task.getaccn(i)
        kind, turn = into_ours(mosek, task.getdomaintype(task.getaccdomain(i)), size)
        cones.append((kind, i, turn, turn @ F[at : at + size], turn @ g[at : at + size]))
        at += size
    cones.sort(key=lambda cone: CONE_ORDER.index(cone[0]))
    raw = clarabel(np.array(task.getc()), [(kind, F, g) for kind, _, _, F, g in cones])
    # MOSEK writes its own kind of solution file, with the solution that was found elsewhere
    duals, at = [[]] * len(cones), 0
    for _, i, turn, _, g in cones:
        duals[i] = (turn.T @ raw.dual[at : at + len(g)]).tolist()
        at += len(g)
    free, none = [mosek.stakey.supbas] * N, [0.0] * N
    doty = [value for part in duals for value in part]
    task.putsolutionnew(mosek.soltype.itr, [], free, [], [], raw.x.tolist(), [], [], [], none, none, none, doty)
    task.writesolution(mosek.soltype.itr, str(path.with_suffix(".sol")))
    return raw.objective + task.getcfix()


def into_ours(mosek: Any, kind: Any, size: int) -> tuple[str, Any]:
    """Our kind of cone, and the matrix that turns a member of MOSEK's into one of ours."""
    same, kinds = sparse.eye_array(size, format="csr"), mosek.domaintype
    if kind == kinds.primal_exp_cone:
        return "exponential", same[::-1]
    if kind == kinds.rquadratic_cone:  # 2 p q >= |x|^2 is (p + q, p - q, sqrt 2 x) in the second-order cone
        turn = sparse.lil_array(np.sqrt(2) * same)
        turn[:2, :2] = [[1.0, 1.0], [1.0, -1.0]]
        return "second-order", turn.tocsr()
    if kind == kinds.svec_psd_cone:  # the lower triangle by columns, here the upper one
        order = int(np.sqrt(2 * size))
        place = np.zeros((order, order), int)
        place[np.triu_indices(order)] = np.arange(size)  # the upper triangle by rows is the lower one by columns
        return "semidefinite", same[place.T[np.tril_indices(order)]]
    return {kinds.rzero: "zero", kinds.rplus: "nonnegative", kinds.quadratic_cone: "second-order"}[kind], same


def clarabel(c: np.ndarray, cones: list[tuple[str, Any, np.ndarray]]) -> rm.RawSolution:
    """The minimum of c'x over F x + g in cones."""
    from relumodel.backend import find

    form = rm.ConicForm(
        P=sparse.csc_array((len(c), len(c))),
        c=c,
        A=sparse.vstack([-F for _, F, _ in cones], format="csc"),
        b=np.concatenate([g for _, _, g in cones]),
        cones=tuple(rm.Cone(kind, len(g)) for kind, _, g in cones),
        offset=0.0,
        names=tuple(f"x{j}" for j in range(len(c))),
    )
    raw = find("clarabel").solve(form, rm.Options(tol=1e-6))
    assert raw.status == "solved"
    return raw


#: reader, its package, the file it reads, what it takes. Xpress stops at 200 rows and columns together without a licence.
READERS: list[tuple[Callable[[Path], float], str, str, dict[str, str], list[str]]] = [
    (highs, "highspy", ".mps", {}, QUADRATIC),
    (scip, "pyscipopt", ".mps", {}, CONES),
    (gurobi, "gurobipy", ".mps.gz", {}, CONES),
    (copt, "coptpy", ".mps", {}, CONES),
    (copt, "coptpy", ".cbf", {}, EVERYTHING),
    (cplex, "cplex", ".mps", {}, CONES),
    (xpress, "xpress", ".mps", {}, ["LP", "QP", "SOCP"]),
    (xpress, "xpress", ".mps", {"cones": "csection"}, ["SOCP"]),
    (picos, "picos", ".cbf", {}, [*CONES, *MATRICES]),
    (mosek, "mosek", ".cbf", {}, EVERYTHING),
]

CASES = [
    pytest.param(read, package, suffix, options, kind, id=" ".join([package, suffix, *options.values(), kind]))
    for read, package, suffix, options, kinds in READERS
    for kind in kinds
]


@pytest.mark.parametrize(("read", "package", "suffix", "options", "kind"), CASES)
def test_another_reader_finds_our_optimum(read, package, suffix, options, kind, tmp_path, record_property):
    record_property("file reader", package)
    with warnings.catch_warnings():  # what readers warn of (versions, licences, their own style) is theirs
        warnings.simplefilter("ignore")
        pytest.importorskip(package)
        path = compiled(kind).write(tmp_path / f"p{suffix}", **options)
        found = read(path)
    allowed = 1e-6
    assert found == pytest.approx(optimum(kind), rel=allowed, abs=allowed)
    solution_file = path.with_suffix(".sol")
    if solution_file.exists():
        solution = rm.load_program(tmp_path / "p.json").read_solution(solution_file)
        assert solution.objective == pytest.approx(optimum(kind), rel=10 * allowed)
        assert solution.bound <= optimum(kind) + 1e-9
        assert solution.violation == 0
        assert solution.network().n_neurons > 0
        if read in (highs, mosek):  # with multipliers
            assert solution.status == "optimal"


@pytest.mark.parametrize("kind", ["SOCP", "crossing"])
def test_highs_says_that_it_does_not_take_cones(kind, tmp_path):
    highspy = pytest.importorskip("highspy")
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    path = compiled(kind).write(tmp_path / "p.mps")
    assert solver.readModel(str(path)) == highspy.HighsStatus.kError
