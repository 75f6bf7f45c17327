"""What users get back has the verbs on it, wherever the library made it."""

import numpy as np
import pytest

import relumodel as rm

X = np.array([[-1.0], [-0.3], [0.4], [1.0]])
y = np.array([0.2, 0.0, 0.5, 1.0])
MODEL = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(0.1))
PATTERNS = rm.SamplePatterns(3, seed=0)


def programs():
    """Every way to a program, by name."""
    program = MODEL.compile(X, y, PATTERNS)
    solution = program.solve()
    fit = MODEL.fit(X, y)
    given = MODEL.fit(X, y, patterns=PATTERNS)
    polished = rm.polish(fit.network, MODEL, X, y)
    two = MODEL.compile(X, np.column_stack([y, -y]), PATTERNS)
    return {
        "compile": program,
        "with_penalty": program.with_penalty(0.2),
        "parts": two.parts[1],
        "solve": solution.program,
        "path": rm.path(MODEL, X, y, [0.1, 0.2], PATTERNS)[1].program,
        "fit": fit.program,
        "solution of a fit": fit.solution.program,
        "fit on given patterns": given.program,
        "polish": polished.program,
        "reread": rm.Model.from_dict(MODEL.to_dict()).compile(X, y, PATTERNS),
    }


@pytest.fixture(scope="module")
def found():
    return programs()


@pytest.mark.parametrize(
    "way",
    ["compile", "with_penalty", "parts", "solve", "path", "fit", "solution of a fit", "fit on given patterns", "polish", "reread"],
)
def test_programs_can_be_solved_wherever_they_come_from(found, way):
    program = found[way]
    assert isinstance(program, rm.Program)
    solution = program.solve()
    assert solution.status == "optimal"
    assert isinstance(solution.program, rm.Program)


def test_crossing_programs_too():
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(0.1), rm.LInf(0.05), robust="crossing")
    solution = model.compile(X, y, PATTERNS).solve(tol=1e-4)
    assert isinstance(rm.refine(solution, rounds=1, tol=1e-4).program, rm.Program)


def test_files_too(tmp_path):
    program = MODEL.compile(X, y, PATTERNS)
    program.write(tmp_path / "p.cbf")
    assert isinstance(rm.load_program(tmp_path / "p.json"), rm.Program)


def test_backends_get_the_program_that_they_accept():
    seen = []

    class Looks:
        name, accepts, supports = "looks", rm.Program, {"zero", "nonnegative", "second-order", "quadratic"}

        def solve(self, problem, options):
            seen.append(type(problem))
            assert problem.conic().A.shape[1] >= problem.n_variables
            return rm.RawSolution("failed", np.zeros(problem.n_variables))

    MODEL.fit(X, y, patterns=PATTERNS, backend=Looks())
    assert seen == [rm.Program]
