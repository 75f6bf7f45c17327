"""The estimators: scikit-learn's own checks, none left out, and that they are Model.fit behind fit and predict."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import relumodel as rm
from relumodel.sklearn import ConvexReLUClassifier, ConvexReLURegressor

QUICK = rm.AdaptivePatterns(gap=0.05, width=8, starts=10, rounds=2, proof=0)
#: for scikit-learn's checks, which are of the estimators' conventions and fit hundreds of times
QUICKEST = rm.AdaptivePatterns(gap=1e-4, width=2, starts=1, rounds=1, proof=0)
SMALL = rm.AdaptivePatterns(gap=0.05, width=4, starts=4, rounds=2, proof=0)


def xor(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    return X, np.where(X[:, 0] * X[:, 1] > 0, "same", "other")


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X)[::3], np.array(["a", "b", "c"])[y][::3]


@pytest.mark.usefixtures("short_search")
@pytest.mark.filterwarnings("ignore")  # the checks give deliberately odd data; they look at the warnings that matter to them
@parametrize_with_checks([ConvexReLUClassifier(patterns=QUICKEST), ConvexReLURegressor(patterns=QUICKEST)])
def test_scikit_learns_own_checks(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize("loss", [None, rm.Hinge(), rm.Squared(reduction="sum")])
def test_two_classes_are_one_model_fit(loss) -> None:
    X, y = xor(20)
    c = ConvexReLUClassifier(loss=loss, beta=1e-2).fit(X, y)
    assert c.classes_.tolist() == ["other", "same"]
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), loss or rm.Logistic(), rm.WeightDecay(1e-2))
    signs = np.where(y == "same", 1.0, -1.0)
    assert np.isclose(c.network_.objective(model, X, signs), c.objective_, rtol=1e-9)
    assert c.bound_ <= c.objective_
    assert c.gap_ == (c.objective_ - c.bound_) / c.objective_ <= 1e-2
    assert c.status_ == "optimal"
    assert c.bound_kind_ in ("certified", "estimated")  # whether the proof ends in its time is the machine's matter
    assert c.n_neurons_ == c.network_.n_neurons > 0
    assert np.array_equal(c.decision_function(X), c.network_(X))
    assert np.array_equal(c.predict(X) == "same", c.network_(X) > 0)


@pytest.mark.parametrize(
    ("estimator", "loss"),
    [(ConvexReLUClassifier, rm.MultiMargin()), (ConvexReLURegressor, rm.SoftmaxCrossEntropy()), (ConvexReLURegressor, rm.Hinge())],
)
def test_losses_of_another_kind_are_refused(estimator, loss) -> None:
    X, _ = xor()
    with pytest.raises(rm.InputError, match=rf"{estimator.__name__} takes a loss of .*; got {type(loss).__name__}"):
        estimator(loss=loss).fit(X, np.arange(len(X)) % 2)


def test_more_classes_are_one_against_the_rest() -> None:
    X, y = iris()
    c = ConvexReLUClassifier(patterns=QUICK).fit(X, y)
    assert c.score(X, y) > 0.9
    assert len(c.network_) == 3
    assert c.n_neurons_ == sum(network.n_neurons for network in c.network_)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Logistic(), rm.WeightDecay(c.beta))
    each = [network.objective(model, X, np.where(y == k, 1.0, -1.0)) for network, k in zip(c.network_, c.classes_, strict=True)]
    assert np.isclose(sum(each), c.objective_, rtol=1e-9)
    probabilities = c.predict_proba(X)
    sigmoid = 1 / (1 + np.exp(-c.decision_function(X)))
    assert np.allclose(probabilities, sigmoid / sigmoid.sum(axis=1, keepdims=True))
    assert np.array_equal(c.classes_[probabilities.argmax(axis=1)], c.predict(X))


def test_probabilities_are_those_of_the_logistic_loss_and_of_no_other() -> None:
    X, y = xor()
    c = ConvexReLUClassifier(patterns=QUICK).fit(X, y)
    likelihood = np.where(y == "same", c.predict_proba(X)[:, 1], c.predict_proba(X)[:, 0])
    signs = np.where(y == "same", 1.0, -1.0)
    assert np.allclose(-np.log(likelihood), rm.Logistic().value(signs * c.decision_function(X)))
    assert np.allclose(c.predict_proba(X).sum(axis=1), 1)
    for loss in (rm.Hinge(), rm.SquaredHinge(), rm.Squared()):
        assert not hasattr(ConvexReLUClassifier(loss=loss), "predict_proba")
    far = ConvexReLUClassifier(patterns=QUICK).fit(1e4 * X, y).predict_log_proba(1e4 * X)  # probabilities would round to 0
    assert np.isfinite(far).all()


def test_regression_is_model_fit() -> None:
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:120], (y[:120] - 150) / 75
    r = ConvexReLURegressor(loss=rm.Huber(1.0), beta=0.1).fit(X, y)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Huber(1.0), rm.WeightDecay(0.1))
    assert np.isclose(r.network_.objective(model, X, y), r.objective_, rtol=1e-9)
    assert r.gap_ <= 1e-2
    assert r.score(X, y) > 0.4
    assert not hasattr(r, "classes_")
    assert not hasattr(r, "predict_proba")


@pytest.mark.usefixtures("short_search")
def test_the_order_of_samples_and_how_they_are_repeated_do_not_matter() -> None:
    X, y = (part[::2] for part in iris())
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    c = ConvexReLUClassifier(patterns=QUICK, loss=rm.SquaredHinge())
    one = clone(c).fit(X, y, sample_weight=weights).decision_function(X)
    shuffled = np.random.default_rng(1).permutation(np.repeat(np.arange(len(y)), weights))
    assert np.array_equal(clone(c).fit(X[shuffled], y[shuffled]).decision_function(X), one)
    without = clone(c).fit(X, y, sample_weight=(y != "b").astype(float))
    assert without.classes_.tolist() == ["a", "c"]


def test_exact_patterns_are_certified_and_given_ones_refused() -> None:
    X, y = xor(15)
    c = ConvexReLUClassifier(loss=rm.Squared(), patterns=rm.EnumeratePatterns()).fit(X, y)
    assert c.bound_kind_ == "certified"
    assert c.gap_ <= 1e-6
    with pytest.raises(rm.InputError, match="reorder and merge samples"):
        ConvexReLUClassifier(patterns=rm.GivenPatterns(np.ones((15, 1), bool))).fit(X, y)


def test_robust_training_knows_features_by_name() -> None:
    X, y = xor(24)
    frame = pd.DataFrame({"noise": X[:, 0], "exact": X[:, 1]})
    set_ = rm.LInf(0.05, fixed=("exact",))
    c = ConvexReLUClassifier(loss=rm.Hinge(), perturbation=set_, patterns=rm.AdaptivePatterns(rounds=1, width=8)).fit(frame, y)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(c.beta), perturbation=set_, robust="crossing")
    signs = np.where(y == "same", 1.0, -1.0)
    assert np.isclose(c.network_.objective(model, frame, signs), c.objective_, rtol=1e-6)
    assert c.network_.feature_names == ("noise", "exact")
    moved = c.network_.worst_case(model, frame, signs).X
    assert np.array_equal(moved[:, 1], X[:, 1])


@pytest.mark.usefixtures("short_search")
def test_frames_pipelines_searches_and_pickles() -> None:
    X, y = xor(30)
    frame = pd.DataFrame(X, columns=["left", "right"])
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), ConvexReLUClassifier(patterns=QUICKEST))
    grid = {"convexreluclassifier__beta": [1e-2, 1e-1], "convexreluclassifier__loss": [rm.SquaredHinge(), None]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(frame, y)
    best = search.best_estimator_[-1]
    assert best.feature_names_in_.tolist() == ["left", "right"]
    assert best.network_.feature_names == ("left", "right")
    with pytest.raises(ValueError, match="feature names should match"):
        best.predict(frame[["right", "left"]])
    again = pickle.loads(pickle.dumps(search))
    assert np.array_equal(again.predict(frame), search.predict(frame))
    assert repr(clone(best)) == repr(best)


def test_random_states() -> None:
    X, y = xor(20)
    given = [0, np.random.RandomState(3), np.random.RandomState(3), None]
    a, b, c, d = (ConvexReLUClassifier(random_state=state, gap=0.1).fit(X, y) for state in given)
    assert np.array_equal(b.decision_function(X), c.decision_function(X))
    assert max(a.bound_, b.bound_, d.bound_) <= min(a.objective_, b.objective_, d.objective_)


def test_a_time_limit_warns_and_keeps_the_best_so_far() -> None:
    X, y = iris()
    with pytest.warns(ConvergenceWarning, match=r"cut short \(time limit\): the objective .* above the optimum"):
        c = ConvexReLUClassifier(beta=1e-4, gap=1e-9, time_limit=1e-3).fit(X, y)
    assert c.status_ == "time limit"
    assert c.bound_ <= c.objective_
    assert c.predict(X).shape == y.shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "quantile"}, "loss is a declared loss such as"),
        ({"loss": 3}, "loss must be a Loss, for example"),
        ({"beta": -1}, "beta must be a finite number >= 0"),
        ({"penalty": rm.WeightDecay(1.0)}, "penalty must be a class, rm.WeightDecay or rm.PathNorm"),
        ({"patterns": 50}, "patterns must say where patterns come from"),
        ({"gap": 0}, "gap must be a finite number > 0"),
        ({"gap": 0, "patterns": rm.SamplePatterns(5)}, "gap must be a finite number > 0"),
        ({"time_limit": 0}, "time_limit must be a finite number > 0"),
        ({"perturbation": 0.1}, "perturbation must be a Perturbation"),
        ({"robust": "very"}, "robust must be 'strict' or 'crossing'"),
        ({"random_state": -1}, "seed must be a whole number >= 0"),
    ],
)
def test_bad_parameters_are_refused_at_fit(change, message: str) -> None:
    X, y = xor(10)
    with pytest.raises(rm.RelumodelError, match=message):
        ConvexReLUClassifier(**change).fit(X, y)


def test_regression_refuses_losses_of_labels() -> None:
    with pytest.raises(rm.InputError, match="takes a loss of residuals"):
        ConvexReLURegressor(loss=rm.Hinge()).fit([[0.0], [1.0]], [0.5, 2.0])


def test_one_class_is_refused() -> None:
    with pytest.raises(rm.InputError, match="at least two classes; y holds one class, a"):
        ConvexReLUClassifier().fit([[0.0], [1.0]], ["a", "a"])


def test_without_scikit_learn_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import relumodel as rm\n"
        "try:\n    import relumodel.sklearn\nexcept rm.MissingPackageError as error:\n    print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'relumodel[sklearn]'" in answer.stdout


def test_a_score_of_zero_is_the_same_class_everywhere():
    """The network without neurons gives 0 to every sample."""
    X, y = np.random.default_rng(0).standard_normal((20, 2)), np.repeat([3, 8], 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = ConvexReLUClassifier(beta=1e3).fit(X, y)
    assert estimator.n_neurons_ == 0
    assert not estimator.decision_function(X).any()
    np.testing.assert_array_equal(estimator.predict(X), np.where(estimator.network_.predict(X) > 0, 8, 3))
    assert (estimator.predict(X) == 8).all()


def test_losses_by_name_and_quantiles() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (30, 1))
    y = X[:, 0] + rng.normal(size=30)
    below = {}
    for level in (0.2, 0.8):
        named = ConvexReLURegressor(loss="pinball", quantile=level, beta=1e-2, patterns=SMALL).fit(X, y)
        declared = ConvexReLURegressor(loss=rm.Pinball(level), beta=1e-2, patterns=SMALL).fit(X, y)
        assert named.objective_ == declared.objective_
        below[level] = np.mean(y <= named.predict(X) + 1e-9)
    assert abs(below[0.2] - 0.2) <= 0.17
    assert abs(below[0.8] - 0.8) <= 0.17
    with pytest.raises(rm.InputError, match="one of 'squared', 'absolute'"):
        ConvexReLURegressor(loss="quantile").fit(X, y)
    assert ConvexReLUClassifier(loss="hinge", patterns=SMALL).fit(X, y > 0).score(X, y > 0) > 0.6


def test_monotonic_constraints_and_bounds_hold_everywhere() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(-1, 1, (16, 2)), columns=["income", "age"])
    y = X.income.to_numpy() ** 3 - np.sin(3 * X.age.to_numpy()) + 0.3 * rng.normal(size=16)
    by_name = ConvexReLURegressor(beta=2e-2, patterns=SMALL, monotonic_cst={"income": 1}, bounds=(-0.5, None)).fit(X, y)
    near = pd.DataFrame(rng.uniform(X.min(), X.max(), (2000, 2)), columns=X.columns)
    higher = near.assign(income=rng.uniform(near.income, X.income.max()))
    assert (by_name.predict(higher) - by_name.predict(near)).min() >= -1e-12
    assert by_name.predict(near).min() >= -0.5
    assert [c.proved for c in by_name.certificates_] == [True, True]
    assert by_name.bound_ <= by_name.objective_
    neurons = {"beta": 1e-2, "patterns": SMALL, "monotonic_how": "neurons"}
    named = ConvexReLURegressor(monotonic_cst={"income": 1}, **neurons).fit(X, y)
    assert ConvexReLURegressor(monotonic_cst=[1, 0], **neurons).fit(X, y).objective_ == named.objective_
    far = rng.uniform(-4, 4, (2000, 2))
    classes = ConvexReLUClassifier(**neurons, monotonic_cst=[0, -1]).fit(X.to_numpy(), y > 0)
    assert (classes.decision_function(far + np.array([0, 1.5])) - classes.decision_function(far)).max() <= 1e-9
    bowl = ConvexReLURegressor(beta=1e-2, patterns=rm.SamplePatterns(15, seed=0), convexity="convex").fit(X.to_numpy(), y)
    assert (0.5 * (bowl.predict(far) + bowl.predict(far[::-1])) - bowl.predict(0.5 * (far + far[::-1]))).min() >= -1e-9
    with pytest.raises(rm.InputError, match="'convex', 'concave'"):
        ConvexReLURegressor(convexity="up").fit(X, y)
    with pytest.raises(rm.InputError, match="low <= high"):
        ConvexReLURegressor(bounds=(1, 0)).fit(X, y)
    with pytest.raises(rm.InputTypeError, match="a pair"):
        ConvexReLURegressor(bounds=1).fit(X, y)
    for wrong, words in (({"size": 1}, "names the feature 'size'"), ([1], "each of the 2 features"), ([2, 0], "1, 0 or -1")):
        with pytest.raises(rm.InputError, match=words):
            ConvexReLURegressor(monotonic_cst=wrong).fit(X, y)
