"""Training by batches: what is reported is true of all the data, and near the optimum of the program in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import relumodel as rm
from batch_programs import NETWORKS, example, whole_program
from relumodel.batches import steps

PATTERNS = rm.SamplePatterns(5, seed=0)
LOSSES = [rm.Squared(), rm.Absolute(reduction="sum"), rm.Logistic(), rm.Hinge(), rm.MultiMargin(), rm.SoftmaxCrossEntropy()]


def problem(network: Any, loss: Any, penalty: Any = None, **more: Any) -> tuple[Any, np.ndarray, np.ndarray, Any]:
    X, y = example(loss)
    beta = 0.02 * (len(X) if loss.reduction == "sum" else 1)
    model = rm.Model(network, loss, penalty or rm.WeightDecay(beta))
    return model, X, y, model.compile_batches((X, y), patterns=PATTERNS, batch_size=16, **more)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_what_is_reported_holds(network: Any, loss: Any) -> None:
    model, X, y, program = problem(network, loss)
    solution = program.solve(epochs=10, device=None)
    assert np.isclose(solution.objective, solution.network().objective(model, X, y), rtol=1e-10)
    whole = whole_program(program, X, y)
    optimum = whole.solve(backend="clarabel", tol=1e-5)
    assert solution.bound <= optimum.objective * (1 + 1e-9)
    assert solution.violation == pytest.approx(whole.violation(solution.point), abs=1e-12)
    if solution.violation == 0:
        assert np.isclose(whole.objective(solution.point), solution.objective, rtol=1e-10)
    assert solution.objective < whole.objective(np.zeros(whole.n_variables))


@pytest.mark.parametrize("penalty", [rm.WeightDecay(0.02), rm.PathNorm(0.02)], ids=repr)
@pytest.mark.parametrize("loss", [rm.Squared(), rm.SoftmaxCrossEntropy(), rm.MultiMargin()], ids=repr)
def test_gated_networks_come_near_the_optimum(loss: Any, penalty: Any) -> None:
    _, X, y, program = problem(NETWORKS[2], loss, penalty)
    solution = program.solve(epochs=100, device=None, dtype="float64")
    optimum = whole_program(program, X, y).solve(backend="clarabel", tol=1e-5).objective
    assert optimum * (1 - 1e-4) <= solution.objective <= 1.02 * optimum


@pytest.mark.parametrize("network", [NETWORKS[0], NETWORKS[1], NETWORKS[3]], ids=repr)
def test_witnesses_lead_into_the_cones(network: Any) -> None:
    from relumodel.batches.passes import measure, repaired
    from relumodel.program.arrays import Arrays

    _, X, y, program = problem(network, rm.MultiMargin())
    arrays, whole = Arrays(), whole_program(program, X, y)
    layer, witness = program.layer(arrays), program.witness(arrays)
    inside = (layer.gates * witness[:, None]) + np.zeros(program.shape)
    assert whole.violation(inside.reshape(-1)) == 0
    U = inside + 0.003 * np.random.default_rng(0).standard_normal(program.shape)
    before, _, lengths = measure(program, arrays, U)
    assert before.violation == pytest.approx(whole.violation(U.reshape(-1)))
    moved = repaired(U, lengths, layer.gates, witness)
    assert moved.any()
    assert whole.violation(moved.reshape(-1)) == 0
    after, _, more = measure(program, arrays, moved)
    assert after.violation == 0
    assert not more.any()
    assert np.isclose(after.objective, whole.objective(moved.reshape(-1)), rtol=1e-12)


def test_torch_and_numpy_take_the_same_steps() -> None:
    pytest.importorskip("torch")
    for network in NETWORKS:
        *_, program = problem(network, rm.MultiMargin())
        one, other = (program.solve(epochs=3, device=device, dtype="float64") for device in (None, "cpu"))
        np.testing.assert_allclose(one.point, other.point, rtol=1e-6, atol=1e-9)
        assert np.isclose(one.bound, other.bound, rtol=1e-6)


def test_a_seed_gives_the_same_network_again() -> None:
    *_, program = problem(NETWORKS[0], rm.Hinge())
    one, same, other = (program.solve(epochs=2, device=None, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.point, same.point)
    assert not np.array_equal(one.point, other.point)


def test_several_outputs_and_weights() -> None:
    X, y = example(rm.Squared())
    Y, weight = np.column_stack([y, -y, y**2]), np.random.default_rng(0).uniform(0.5, 2, len(y))
    model = rm.Model(NETWORKS[0], rm.Squared(), rm.WeightDecay(0.02))
    program = model.compile_batches((X, Y, weight), patterns=PATTERNS, batch_size=16)
    solution = program.solve(epochs=5, device=None)
    assert solution.network().n_outputs == 3
    assert np.isclose(solution.objective, solution.network().objective(model, X, Y, sample_weight=weight), rtol=1e-10)


def test_directions_of_networks() -> None:
    for network in (NETWORKS[0], NETWORKS[3]):
        model, X, y, program = problem(network, rm.Squared())
        trained = program.solve(epochs=3, device=None).network()
        again = model.compile_batches((X, y), patterns=rm.PatternsOf(trained), batch_size=16)
        solution = again.solve(epochs=3, device=None)
        assert np.isclose(solution.objective, solution.network().objective(model, X, y), rtol=1e-10)
        assert solution.bound <= whole_program(again, X, y).solve(backend="clarabel").objective * (1 + 1e-9)
        wrong = NETWORKS[3] if network == NETWORKS[0] else NETWORKS[0]
        with pytest.raises(rm.InputError, match="three-layer"):
            rm.Model(wrong, rm.Squared(), rm.WeightDecay(0.1)).compile_batches((X, y), patterns=rm.PatternsOf(trained))


def test_it_stops_when_asked_and_returns_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    model, X, y, program = problem(NETWORKS[0], rm.Hinge())
    told: list[rm.Progress] = []
    solution = program.solve(epochs=50, device=None, callback=lambda p: told.append(p) or len(told) == 3, verbose=True)
    assert (solution.status, solution.epochs, len(told)) == ("interrupted", 3, 3)
    assert np.isclose(solution.objective, solution.network().objective(model, X, y), rtol=1e-10)
    assert "interrupted" in capsys.readouterr().out
    late = program.solve(epochs=100_000, device=None, time_limit=0.2)
    assert late.status == "time limit"
    assert late.objective < 1


def test_ctrl_c_returns_what_it_has() -> None:
    import signal

    *_, program = problem(NETWORKS[0], rm.Hinge())

    def interrupt(progress: rm.Progress) -> None:
        if progress.iteration == 2:
            signal.raise_signal(signal.SIGINT)

    solution = program.solve(epochs=50, device=None, callback=interrupt)
    assert (solution.status, solution.epochs) == ("interrupted", 2)


def test_an_error_in_the_callback_is_raised() -> None:
    *_, program = problem(NETWORKS[0], rm.Hinge())
    with pytest.raises(ZeroDivisionError):
        program.solve(epochs=2, device=None, callback=lambda progress: 1 / 0)


@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_no_network_is_worse_than_what_it_starts_from(network: Any) -> None:
    _, _, _, program = problem(network, rm.SoftmaxCrossEntropy())
    first = program.solve(epochs=60, device=None, dtype="float64")
    again = program.solve(epochs=1, device=None, dtype="float64", warm_start=first)  # its rates are those of a beginning
    assert again.objective <= first.objective
    assert np.isclose(
        again.objective, again.network().objective(again.program.model, *example(rm.SoftmaxCrossEntropy())), rtol=1e-10
    )


def test_a_warm_start_goes_on() -> None:
    *_, program = problem(NETWORKS[2], rm.Squared())
    first = program.solve(epochs=30, device=None)
    again = program.solve(epochs=1, device=None, warm_start=first)
    assert again.objective < program.solve(epochs=1, device=None).objective
    with pytest.raises(rm.InputError, match="shape"):
        program.solve(warm_start=np.zeros(3))


def test_steps_that_overflow_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "RATES", (1e30, 1e30))
    model, X, y, program = problem(NETWORKS[0], rm.Squared())
    solution = program.solve(epochs=60, device=None)
    assert np.isfinite(solution.point).all()
    assert np.isclose(solution.objective, solution.network().objective(model, X, y), rtol=1e-10)


def test_no_penalty_and_no_data_to_learn_from() -> None:
    X, y = example(rm.Squared())
    free = rm.Model(NETWORKS[2], rm.Squared(), rm.WeightDecay(0.0)).compile_batches((X, y), patterns=PATTERNS)
    solution = free.solve(epochs=5, device=None)
    assert 0 <= solution.bound + 1e-12 <= solution.objective
    blank = rm.Model(NETWORKS[1], rm.Squared(), rm.WeightDecay(0.1)).compile_batches(
        (np.eye(8, 4), np.zeros(8)), patterns=rm.SamplePatterns(2, seed=0)
    )
    assert blank.solve(epochs=2, device=None).objective == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs"),
        ({"dtype": "float16"}, "dtype"),
        ({"callback": 3}, "callback"),
        ({"tol": 0}, "tol"),
        ({"time_limit": -1}, "time_limit"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    *_, program = problem(NETWORKS[0], rm.Hinge())
    with pytest.raises(rm.RelumodelError, match=message):
        program.solve(**options)


@pytest.mark.parametrize(
    ("network", "loss", "penalty", "scale"),
    [
        (NETWORKS[0], rm.Squared(), rm.WeightDecay(100.0), 1.0),  # zero is optimal
        (NETWORKS[1], rm.Logistic(), rm.PathNorm(0.5), 1000.0),  # two epochs do not come below zero
        (NETWORKS[3], rm.MultiMargin(), rm.PathNorm(0.5), 1.0),
        (NETWORKS[0], rm.Squared(), rm.WeightDecay(0.02), 1e30),  # squares are beyond float32
    ],
)
def test_no_network_is_worse_than_none(network: Any, loss: Any, penalty: Any, scale: float) -> None:
    X, y = example(loss)
    model = rm.Model(network, loss, penalty)
    program = model.compile_batches((scale * X, y), patterns=rm.SamplePatterns(2, seed=0), batch_size=16)
    solution = program.solve(epochs=4, device=None)
    zero = program.network(np.zeros(program.n_variables)).objective(model, scale * X, y)
    assert solution.bound <= solution.objective <= zero * (1 + 1e-12)
    assert np.isclose(solution.objective, solution.network().objective(model, scale * X, y), rtol=1e-10)


def test_starts_of_other_solves() -> None:
    _, X, y, program = problem(NETWORKS[0], rm.Squared())
    optimum = whole_program(program, X, y).solve(backend="clarabel")
    again = program.solve(epochs=1, device=None, warm_start=optimum)
    assert again.objective <= optimum.objective * (1 + 1e-9)
    overflowing = program.solve(epochs=1, device=None, warm_start=1e200 * optimum.point)
    assert np.isfinite(overflowing.objective)


def test_a_device_that_is_not_here_is_refused() -> None:
    pytest.importorskip("torch")
    *_, program = problem(NETWORKS[0], rm.Hinge())
    with pytest.raises(rm.InputError, match="is not here"):
        program.solve(device="tpu")
    with pytest.raises(rm.InputError, match="'cpu:x' is not here"):
        program.solve(device="cpu:x")


def test_it_prints() -> None:
    *_, program = problem(NETWORKS[0], rm.Hinge())
    solution = program.solve(epochs=1, device=None)
    assert "60 samples, 5 features with the ones column, slices of arrays, 4 a pass" in str(program)
    assert "never written down" in str(program)
    assert repr(program).startswith("<BatchProgram")
    assert repr(solution).startswith("<BatchSolution")
    assert all(word in str(solution) for word in ("objective", "bound", "before repair", "epochs"))


@pytest.mark.parametrize("network", [NETWORKS[0], NETWORKS[3]], ids=repr)
def test_multipliers_of_cones_take_over_what_the_penalty_does_not_carry(network: Any) -> None:
    from relumodel.batches.passes import measure, tighten
    from relumodel.program.arrays import Arrays

    *_, program = problem(network, rm.SoftmaxCrossEntropy(), rm.WeightDecay(0.005))
    _, dual, _ = measure(program, Arrays(), np.zeros(program.shape), (1.0, 0.0))  # at zero the cones have no multipliers
    better = tighten(program, Arrays(), dual)
    before, after = (np.linalg.norm(part.rest.reshape(*program.shape[:2], -1), axis=2) for part in (dual, better))
    assert (after <= before * (1 + 1e-12)).all()
    assert (after < 0.9 * before).any()
    assert better.bound(program.model.penalty, program.shape[-1]) > dual.bound(program.model.penalty, program.shape[-1])


def test_the_units_of_the_data_do_not_matter() -> None:
    X, y = example(rm.Squared())

    def objective(by_x: float, by_y: float) -> float:
        model = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Squared(), rm.WeightDecay(0.02 * by_x * by_y))
        program = model.compile_batches((by_x * X, by_y * y), patterns=PATTERNS, batch_size=16)
        return program.solve(epochs=5, device=None, dtype="float64").objective / by_y**2

    np.testing.assert_allclose([objective(1e4, 1), objective(1, 1e-4)], objective(1, 1), rtol=1e-6)
