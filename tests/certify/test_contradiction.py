"""A bound above an objective is never an answer: it is an error that names the faces that disagree."""

import dataclasses

import numpy as np
import pytest

import relumodel as rm
from relumodel.certify.contradiction import refuse_above
from relumodel.functions.base import SampleLoss
from relumodel.pricing import training_bound
from user_losses import Elastic, HeavierHuber, WrongFar

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 2))
Y = 2 * X[:, 0] + 0.1 * RNG.standard_normal(20)
NETWORK = rm.TwoLayer(rm.ReLU(), bias=True)
PATTERNS = rm.SamplePatterns(10, seed=0)
FAR = 1e8 * Y  # residuals of 1e8, where WrongFar's value is a tenth of what its conjugate says


def test_a_loss_whose_faces_disagree_is_refused_when_it_is_declared():
    """Once its bound was "certified" above its objective: another value, with the conjugate it inherits."""
    with pytest.raises(
        rm.InputError, match=r"faces of HeavierHuber .*: value, conjugate and clip disagree: at z = .*check_loss\(Heavier"
    ):
        rm.Model(NETWORK, HeavierHuber(1.0), rm.WeightDecay(0.1))


class Shorter(Elastic):
    """A gauge of half the size: it says that the penalty carries twice what it does."""

    def function(self, size):
        class Gauge(type(super().function(size))):
            def block_gauges(self, q):
                return 0.5 * super().block_gauges(q)

        return Gauge(self.beta, size)


def test_so_is_a_penalty():
    with pytest.raises(rm.InputError, match=r"faces of Shorter .* value, conjugate and project_dual disagree"):
        rm.Model(NETWORK, rm.Squared(), Shorter(0.1))


def spoiled(program):
    """A program whose loss was changed by hand, behind the model's back."""
    loss = dataclasses.replace(program.term("loss").function, loss=HeavierHuber(1.0))
    terms = [dataclasses.replace(t, function=loss) if t.name == "loss" else t for t in program.terms]
    return dataclasses.replace(program, terms=tuple(terms))


@pytest.mark.parametrize(
    "ask",
    [
        lambda model: model.compile(X, FAR, PATTERNS).solve(backend="clarabel"),
        lambda model: rm.path(model, X, FAR, [1e20, 1e21], PATTERNS, backend="clarabel"),
        lambda model: model.fit(X, FAR, PATTERNS, backend="clarabel"),
        lambda model: model.fit(X, FAR, rm.AdaptivePatterns(rounds=1), backend="clarabel"),
        lambda model: training_bound(model, X, FAR, FAR / 20, time_limit=5),
        lambda model: (
            dataclasses.replace(model, penalty=rm.WeightDecay(1e8)).compile_batches((X, FAR), PATTERNS).solve(1, device=None)
        ),
    ],
    ids=["solve", "path", "fit on patterns", "fit", "training bound", "batches"],
)
def test_no_call_returns_a_bound_above_its_objective(ask):
    """Where the checks when a model is declared did not look: the penalty keeps the network near zero, where the loss is far too small."""
    with pytest.raises(rm.ProofError, match=r"A bound of .* was proved, but the objective is"):
        ask(rm.Model(NETWORK, WrongFar(), rm.WeightDecay(1e20)))


def test_the_error_names_the_faces(tmp_path):
    program = rm.Model(NETWORK, rm.Huber(1.0), rm.WeightDecay(1e-2)).compile(X, Y, PATTERNS)
    object.__setattr__(program.model, "loss", HeavierHuber(1.0))
    with pytest.raises(rm.ProofError, match="Faces disagree: of the loss HeavierHuber, value, conjugate and clip disagree"):
        spoiled(program).solve(backend="clarabel")


def test_the_error_names_the_term_where_no_check_sees_the_fault():
    """The sum of z.q over all terms is 0, so where the bound is above the objective one of them says less than its product."""
    program = rm.Model(NETWORK, WrongFar(), rm.WeightDecay(1e20)).compile(X, FAR, PATTERNS)
    with pytest.raises(
        rm.ProofError, match=r"value and conjugate of the term 'loss' \(SampleLoss of WrongFar\) add up to .* less than z.q"
    ):
        program.solve(backend="clarabel")


def test_a_fault_of_ours_is_said_to_be_one():
    with pytest.raises(rm.ProofError, match="please report it"):
        refuse_above(1.0, 0.5, rm.Squared(), rm.WeightDecay(1.0))
    refuse_above(1.0 + 1e-12, 1.0, rm.Squared(), rm.WeightDecay(1.0))  # rounding is none


def test_an_honest_loss_on_large_targets_passes():
    """Targets far from zero: the bound is a difference of large numbers, right up to their rounding."""
    solution = rm.Model(NETWORK, rm.Squared(), rm.WeightDecay(1e-3)).compile(X, Y + 1e6, PATTERNS).solve(tol=1e-4)
    assert solution.bound <= solution.objective
    assert SampleLoss.bind(rm.Squared(), FAR).value(FAR) == 0
