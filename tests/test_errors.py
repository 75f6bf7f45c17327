"""Every kind of wrong input, met the way a user meets it; details are in the tests of each module."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import relumodel as rm

FAMILY = {
    rm.InputError: ValueError,
    rm.InputTypeError: TypeError,
    rm.BackendError: RuntimeError,
    rm.MissingPackageError: ImportError,
    rm.ProofError: ArithmeticError,
    rm.RankError: RuntimeError,
    rm.MemoryLimitError: MemoryError,
    rm.FileError: OSError,
}

X = np.array([[1.0, -2.0], [0.5, 3.0], [-2.0, 2.0]])
Y = np.array([1.0, -1.0, 1.0])
MODEL = rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge(), rm.WeightDecay(0.1))
NAN, INF = float("nan"), float("inf")


def compiled(X=X, y=Y, patterns=None):
    return MODEL.compile(X, y, patterns=patterns or rm.EnumeratePatterns())


class LinearOnly:
    name, accepts, supports = "linear-only", rm.ConicForm, {"zero", "nonnegative"}

    def solve(self, problem, options):
        raise AssertionError("must not be asked")


class NotInstalled(LinearOnly):
    supports = frozenset({"zero", "nonnegative", "second-order", "exponential", "quadratic"})

    def unavailable(self):
        return "the package fastsolver is not installed (pip install fastsolver)"


CASES = {
    "NaN": (lambda: compiled(X * NAN), rm.InputError, "X holds 6 NaN values"),
    "inf": (lambda: compiled(X * [[1, INF]]), rm.InputError, "X holds 3 infinite values"),
    "inf in y": (lambda: MODEL.compile(X, Y * INF, rm.EnumeratePatterns()), rm.InputError, "y holds 3 infinite values"),
    "huge": (
        lambda: compiled(1e160 * X),
        rm.InputError,
        r"X holds numbers up to 3e\+160, whose powers are beyond float64; rescale",
    ),
    "huge in y": (
        lambda: rm.Model(MODEL.network, rm.Squared(), MODEL.penalty).fit(X, 1e160 * Y),
        rm.InputError,
        r"y holds numbers up to 1e\+160, .* Training takes numbers up to 1e\+75",
    ),
    "huge weights": (
        lambda: MODEL.fit(X, Y, sample_weight=[1e300, 1, 1]),
        rm.InputError,
        "sample_weight holds numbers up to 1e\\+300",
    ),
    "wrong shape": (lambda: compiled(X[0]), rm.InputError, r"X must be two-dimensional, \(samples, features\); got shape \(2,\)"),
    "wrong lengths": (lambda: compiled(X, Y[:2]), rm.InputError, "X has 3 samples and y has 2"),
    "empty data": (lambda: compiled(X[:0], Y[:0]), rm.InputError, "X must hold at least one sample"),
    "one class only": (lambda: compiled(X, abs(Y)), rm.InputError, "Hinge needs both classes"),
    "one sample": (lambda: compiled(X[:1], Y[:1]), rm.InputError, "Hinge needs both classes"),
    "labels 0/1": (lambda: compiled(X, Y > 0), rm.InputError, r"Hinge needs labels -1 and \+1; y holds 0"),
    "text": (lambda: compiled(X, ["a", "b", "a"]), rm.InputTypeError, "y must hold real numbers"),
    "text column": (
        lambda: compiled(pd.DataFrame({"a": X[:, 0], "town": ["Ulm"] * 3})),
        rm.InputTypeError,
        r"X must hold real numbers.*\(columns town\)",
    ),
    "missing value": (lambda: compiled(pd.DataFrame(X).mask(X > 2)), rm.InputError, r"X holds 1 NaN values, .* \(column '1'\)"),
    "sparse": (lambda: compiled(sparse.csr_array(X)), rm.InputTypeError, r"X is a sparse matrix; pass X.toarray\(\)"),
    "beta < 0": (lambda: rm.WeightDecay(-1), rm.InputError, "beta must be a finite number >= 0; got -1"),
    "beta < 0 on a path": (
        lambda: rm.path(MODEL, X, Y, betas=[1, -1], patterns=rm.EnumeratePatterns()),
        rm.InputError,
        "every beta must be a finite number >= 0; got -1",
    ),
    "unknown reduction": (lambda: rm.Hinge(reduction="avg"), rm.InputError, "reduction must be 'mean' or 'sum'; got 'avg'"),
    "class for a loss": (
        lambda: rm.Model(rm.TwoLayer(rm.ReLU()), rm.Hinge, rm.WeightDecay(1)),
        rm.InputTypeError,
        "loss must be a Loss, .* got the class Hinge",
    ),
    "class for patterns": (lambda: compiled(patterns=rm.EnumeratePatterns), rm.InputTypeError, "compiles on activation patterns"),
    "class for a backend": (lambda: compiled().solve(backend=LinearOnly), rm.InputTypeError, r"Add parentheses: LinearOnly\(\)"),
    "no such backend": (lambda: compiled().solve(backend="gurobi"), rm.BackendError, "There is no backend 'gurobi'; known are"),
    "lacks a cone": (
        lambda: compiled().solve(backend=LinearOnly()),
        rm.BackendError,
        r"'linear-only' lacks second-order, which this program needs; it supports zero, nonnegative\. .* take it: .*clarabel",
    ),
    "missing package": (
        lambda: compiled().solve(backend=NotInstalled()),
        rm.MissingPackageError,
        "is not available: the package fastsolver is not installed",
    ),
    "unknown option": (
        lambda: compiled().solve(backend="clarabel", max_iters=3),
        rm.InputError,
        "Backend 'clarabel' has no option 'max_iters'; its options are max_iter, ",
    ),
    "tol 0": (lambda: compiled().solve(tol=0), rm.InputError, "tol must be a finite number > 0; got 0"),
    "tol NaN": (lambda: compiled().solve(tol=NAN), rm.InputError, "tol must be a finite number > 0; got nan"),
    "tol text": (lambda: compiled().solve(tol="1e-6"), rm.InputTypeError, "tol must be a number; got '1e-6'"),
    "time limit 0": (lambda: compiled().solve(time_limit=0), rm.InputError, "time_limit must be a finite number > 0; got 0"),
    "callback": (lambda: compiled().solve(callback=3), rm.InputTypeError, "callback must be callable; got 3"),
    "warm start": (lambda: compiled().solve(warm_start=[1, 2]), rm.InputError, r"A point of this program has shape .* got \(2,\)"),
    "warm start NaN": (
        lambda: compiled().solve(warm_start=np.full(24, NAN)),
        rm.InputError,
        "The point holds NaN or infinite entries",
    ),
    "point": (lambda: compiled().objective("abc"), rm.InputTypeError, "A point is a vector of 24 numbers; got str"),
    "prediction": (lambda: compiled().solve().network()([[1, 2, 3]]), rm.InputError, "X must have 2 features, as in training"),
    "unwritable path": (
        lambda: compiled().solve().network().save("/nowhere/net.npz"),
        rm.FileError,
        "/nowhere/net.npz cannot be written: No such file or directory",
    ),
    "unreadable path": (lambda: rm.load("/nowhere/net.npz"), rm.FileError, "There is no file /nowhere/net.npz"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_bad_input_has_its_error(case):
    call, error, message = CASES[case]
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error


@pytest.mark.parametrize("error", FAMILY, ids=lambda e: e.__name__)
def test_one_family_that_python_habits_expect(error):
    assert issubclass(error, rm.RelumodelError)
    assert issubclass(error, FAMILY[error])
    with pytest.raises(FAMILY[error], match="why"):
        raise error("why")


def test_the_family_is_public():
    own = {e for e in vars(sys.modules["relumodel.errors"]).values() if isinstance(e, type) and issubclass(e, Exception)}
    assert {e for e in own if not issubclass(e, Warning)} == {*FAMILY, rm.RelumodelError}
    assert {e.__name__ for e in own} <= set(rm.__all__)
