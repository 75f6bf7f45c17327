"""Random programs against the identities that the library promises."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from campaign_draws import Array, Problem, Rng, any_network, features, moves, pick, random_network, targets, two_layers

import relumodel as rm

TOL = 1e-5

#: Relative differences that are rounding.
ROUNDING = 1e-8


def below(low: float, high: float, what: str, room: float = ROUNDING) -> None:
    """An error where low > high by more than rounding."""
    assert low <= high + room * max(abs(low), abs(high)) + 1e-12, f"{what}: {low!r} > {high!r}"


def equal(a: float, b: float, what: str, room: float = ROUNDING) -> None:
    below(a, b, what, room)
    below(b, a, what, room)


def sound(solution: rm.Solution, problem: Problem) -> rm.Solution:
    """What holds of every solution, whatever the backend did."""
    program, x = solution.program, solution.point
    assert np.isfinite(x).all(), "the point is not finite"
    assert solution.objective == program.objective(x), "the objective stated is not that of the point"
    assert solution.violation == program.violation(x) <= 1e-9 * (1 + np.abs(x).max()), f"violation {solution.violation}"
    below(solution.bound, solution.objective, "bound > objective")
    below(solution.objective, program.objective(np.zeros_like(x)), "worse than no network")
    if solution.status == "optimal":
        assert solution.gap <= solution.tol, f"optimal with gap {solution.gap}"
    cost = problem.objective(solution.network(), program.model)
    room = 1e-7 if np.abs(problem.X).max() < 1e3 else 1e-5
    if program.model.perturbation is None or (program.model.robust == "strict" and program.guarantee.kind == "exact"):
        equal(cost, solution.objective, "objective of the network and of the program", room)
    else:  # the worst case of the network may be less than its bound in the program
        below(cost, solution.objective, "objective of the network above that of the program", room)
    return solution


def backends_agree(rng: Rng) -> str:
    """A random program through two backends: neither beats the bound of the other."""
    problem = any_network(rng)
    program = problem.compile()
    names = [name for name in rm.backend.able(program) if name != "torch"]
    first, second = rng.permutation(names)[:2] if len(names) > 1 else names * 2
    # the native engine takes its time over crossing programs of residual losses, as its pages say
    ends = {"admm": {"time_limit": 5.0}}
    one, other = (sound(program.solve(backend=str(name), tol=TOL, **ends.get(str(name), {})), problem) for name in (first, second))
    below(one.bound, other.objective, f"bound of {first} above {second}")
    below(other.bound, one.objective, f"bound of {second} above {first}")
    if one.status == other.status == "optimal":
        equal(one.objective, other.objective, f"{first} and {second}", 2.5 * TOL)
    return one.status if one.status == other.status else f"{one.status} / {other.status}"


def exact_bounds_hold(rng: Rng) -> str:
    """All patterns: no network beats the bound, no selection of patterns does, and it is the order of things."""
    problem = two_layers(rng, rows=(1, 6), columns=(1, 2))
    program = problem.compile(patterns=rm.EnumeratePatterns(limit=300))
    best = sound(program.solve(tol=TOL), problem)
    some = sound(problem.compile().solve(tol=TOL), problem)
    network: Any = problem.model.network
    if network.activation.self_gated:
        below(best.bound, some.objective, "bound over all patterns above sampled ones")
        trained = best.network()
        for _ in range(20):
            other = random_network(rng, network, problem.X.shape[1])
            below(best.bound, problem.objective(other), "a random network beats the bound")
            noise = 0.05 * rng.standard_normal(trained.hidden_weights.shape)
            moved = dataclasses.replace(trained, hidden_weights=trained.hidden_weights * (1 + noise))
            below(best.bound, problem.objective(moved), "a network nearby beats the bound")
    return best.status


def robust_is_never_cheaper(rng: Rng) -> str:
    """A robust network costs no more without the perturbation, crossing <= strict and clean <= strict on the same patterns, and no
    perturbation within the set costs more than the worst case stated."""
    problem = two_layers(rng, perturbed=True)
    model, program = problem.model, problem.compile()
    robust = sound(program.solve(tol=TOL), problem)
    network, clean = robust.network(), dataclasses.replace(model, perturbation=None)
    below(problem.objective(network, clean), robust.objective, "the robust network costs more without the perturbation", 1e-7)
    attacked(rng, network, model, problem.X, problem.y)
    if model.robust == "strict" and model.network.activation.self_gated:
        given = rm.GivenPatterns(program.patterns)
        used = np.ones(len(problem.X), bool) if problem.weights is None else problem.weights > 0
        kept = Problem(model, problem.X[used], problem.y[used], given, None if problem.weights is None else problem.weights[used])
        for other in (clean, dataclasses.replace(model, robust="crossing")):
            cheaper = sound(kept.compile(model=other).solve(tol=TOL), kept)
            below(cheaper.bound, robust.objective, f"{'clean' if other is clean else 'crossing'} bound above the strict objective")
    return f"{model.robust}, {robust.status}"


def attacked(rng: Rng, network: Any, model: rm.Model, X: Array, y: Array) -> None:
    """Points of the set cost no more than the worst case, and labels that are certified survive them."""
    found = network.worst_case(model, X, y)
    assert model.perturbation is not None
    loss, ball = model.loss, model.perturbation
    certain = network.certified(X, y, ball) == "certified" if network.classifies else np.zeros(len(X), bool)
    points = [X + moves(rng, ball, X.shape) for _ in range(30)]
    if isinstance(ball, rm.LInf) and network.classifies:
        points.append(rm.attacks.pgd(network, X, y, ball.radii(X.shape[1]), steps=10))
    for moved in [found.X, *points]:
        f = network(moved)
        each = loss.value(y * f if loss.reads == "margin" else f - y)
        excess = each - found.losses * (1 + 1e-8) - 1e-9 * (1 + np.abs(f))
        assert (excess <= 0).all(), (
            f"a perturbed sample costs {each[excess.argmax()]}, its worst case {found.losses[excess.argmax()]}"
        )
        if network.classifies:
            assert (network.predict(moved)[certain] == y[certain]).all(), "an attack beats a certificate"


def certificates_survive(rng: Rng) -> str:
    """Random networks under random sets: worst cases, certificates, the exact ones too."""
    problem = two_layers(rng, perturbed=True)
    model, network = problem.model, problem.model.network
    if model.loss.reads == "residual":
        attacked(rng, random_network(rng, network, problem.X.shape[1]), model, problem.X, problem.y)
        return "worst cases"
    f = random_network(rng, network, problem.X.shape[1], classifies=True)
    y = np.where(rng.random(len(problem.X)) < 0.3, -1.0, 1.0) * f.predict(problem.X)
    y[:2] = 1, -1  # a model wants both
    attacked(rng, f, model, problem.X, y)
    if isinstance(model.perturbation, rm.L2):
        return "bounds"
    quick, exact = f.certified(problem.X, y, model.perturbation), f.certified(problem.X, y, model.perturbation, exact=True)
    decided = quick != "unknown"
    assert (quick[decided] == exact[decided]).all(), "exact verdicts contradict bounds"
    for _ in range(30):
        moved = problem.X + moves(rng, model.perturbation, problem.X.shape)
        assert (f.predict(moved) == y)[exact == "certified"].all(), "an attack beats an exact certificate"
    return "exact verdicts"


def files_lead_back(rng: Rng) -> str:
    """JSON of the model, program files with a solution, the network's file: all lead back to the same."""
    problem = any_network(rng)
    assert rm.Model.from_dict(json.loads(json.dumps(problem.model.to_dict()))) == problem.model, "the model's JSON"
    program = problem.compile()
    solution = sound(program.solve(tol=TOL), problem)
    linear = program.kinds <= {"zero", "nonnegative", "quadratic", "second-order"}
    with tempfile.TemporaryDirectory() as folder:
        kind = pick(rng, (".cbf", ".cbf.gz", ".mps", ".mps.gz") if linear else (".cbf", ".cbf.gz"))
        program.write(Path(folder) / f"p{kind}")
        again = rm.load_program(Path(folder) / "p.json")
        a, b = program.conic(), again.conic()
        assert str(again) == str(program), "the program's file prints differently"
        same = (a.A != b.A).nnz == 0 and (a.P != b.P).nnz == 0 and (a.b == b.b).all() and (a.c == b.c).all() and a.names == b.names
        assert same, "the program's file"
        lines = [f"{n} {v!r}\n" for n, v in zip(a.names[: program.n_variables], solution.point.tolist(), strict=True)]
        (Path(folder) / "p.sol").write_text("".join(lines))
        read = again.read_solution(Path(folder) / "p.sol", tol=TOL)
        below(read.objective, solution.objective, "a solution read back is worse", 1e-5)
        below(read.bound, solution.objective, "bound of a solution read back")
        network = solution.network()
        loaded = rm.load(network.save(Path(folder) / "net.npz"))
        assert (loaded(problem.X) == network(problem.X)).all(), "the network's file"
    return kind


def fits_enclose(rng: Rng) -> str:
    """Model.fit on small data: the identity of objectives, and proved bounds that exact programs and networks respect."""
    problem = two_layers(rng, rows=(3, 6), columns=(1, 2))
    network: Any = problem.model.network
    if not network.activation.self_gated:
        problem.model = dataclasses.replace(problem.model, network=rm.TwoLayer(rm.ReLU(), network.bias))
        network = problem.model.network
    patterns = rm.AdaptivePatterns(gap=1e-3, width=10, starts=60, rounds=4, proof=0.2, seed=int(rng.integers(99)))
    found = problem.model.fit(problem.X, problem.y, patterns=patterns, sample_weight=problem.weights)
    equal(problem.objective(found.network), found.objective, "objective of the fit and of its network", 1e-7)
    below(found.bound, found.objective, "bound > objective")
    exact = problem.compile(patterns=rm.EnumeratePatterns(limit=2000)).solve(tol=TOL)
    below(exact.bound, found.objective, "the fit beats the exact bound")
    if found.bound_kind == "certified":
        below(found.bound, exact.objective, "a certified bound above the exact optimum")
        for _ in range(20):
            below(found.bound, problem.objective(random_network(rng, network, problem.X.shape[1])), "a network beats the bound")
    better = rm.polish(found.network, problem.model, problem.X, problem.y, patterns, sample_weight=problem.weights)
    below(better.objective, found.objective, "polish made it worse")
    return f"{found.status}, {found.bound_kind}"


def three_layers_fit(rng: Rng) -> str:
    """Three layers: the identity of objectives, and a polish that is never worse."""
    X, loss = features(rng, rows=(4, 8), columns=(1, 2)), pick(rng, (rm.Squared(), rm.Hinge(), rm.Logistic(reduction="sum")))
    y = targets(rng, loss, len(X))
    model = rm.Model(rm.ParallelThreeLayer(width=2, bias=True), loss, pick(rng, (rm.WeightDecay, rm.PathNorm))(1e-2))
    patterns = rm.AdaptivePatterns(gap=0.05, width=4, starts=4, rounds=2)
    found = model.fit(X, y, patterns=patterns, time_limit=5)
    equal(found.network.objective(model, X, y), found.objective, "objective of the fit and of its network", 1e-7)
    below(found.bound, found.objective, "bound > objective")
    return found.status


def batches_agree(rng: Rng) -> str:
    """Training by batches: the network's objective on all data is the one stated, and its bound holds for the same program."""
    problem = two_layers(rng, rows=(20, 40), columns=(2, 4))
    problem.model = dataclasses.replace(problem.model, penalty=type(problem.model.penalty)(pick(rng, (0.02, 0.1))))
    program = problem.model.compile_batches((problem.X, problem.y), patterns=rm.SamplePatterns(4, seed=0), batch_size=16)
    solution = program.solve(epochs=6, tol=1e-3)
    cost = solution.network().objective(problem.model, problem.X, problem.y)
    equal(cost, solution.objective, "objective of the network and of the batches", 1e-5)
    below(solution.bound, solution.objective, "bound > objective")
    D = (np.column_stack([problem.X, np.ones(len(problem.X))]) if problem.model.network.bias else problem.X) @ program.gates.T >= 0
    if np.unique(D, axis=1).shape[1] == D.shape[1]:
        known = problem.model.compile(problem.X, problem.y, patterns=rm.GivenPatterns(D)).solve(tol=TOL)
        below(solution.bound, known.objective, "bound of batches above the optimum", 1e-5)
        if solution.violation == 0:  # else each block has its own pattern, and it is no point of the program
            below(known.bound, solution.objective, "batches beat the bound", 1e-5)
    return solution.status


def estimators_agree(rng: Rng) -> str:
    """The scikit-learn estimators are Model.fit behind fit and predict."""
    from relumodel.sklearn import ConvexReLUClassifier, ConvexReLURegressor

    X = features(rng, rows=(8, 15))
    quick = rm.AdaptivePatterns(gap=0.1, width=6, starts=4, rounds=1, proof=0)
    if rng.random() < 0.5:
        y = rng.permutation(np.array(["a", "b", "c"])[np.arange(len(X)) % int(rng.integers(2, 4))])
        found: Any = ConvexReLUClassifier(patterns=quick, beta=pick(rng, (1e-3, 0.1))).fit(X, y)
        assert set(found.predict(X)) <= set(y), "labels that were not given"
        assert np.allclose(found.predict_proba(X).sum(axis=1), 1), "probabilities"
    else:
        found = ConvexReLURegressor(patterns=quick, beta=pick(rng, (1e-3, 0.1))).fit(X, rng.standard_normal(len(X)))
        assert np.isfinite(found.predict(X)).all(), "predictions"
    below(found.bound_, found.objective_, "bound > objective")
    return found.status_


CHECKS = {
    "backends agree": backends_agree,
    "exact bounds": exact_bounds_hold,
    "robust programs": robust_is_never_cheaper,
    "certificates": certificates_survive,
    "round trips": files_lead_back,
    "fits": fits_enclose,
    "three layers": three_layers_fit,
    "batches": batches_agree,
    "estimators": estimators_agree,
}
