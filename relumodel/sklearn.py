"""Two-layer networks as scikit-learn estimators: `Model.fit` behind fit and predict.

Features are used as they come, so put a `StandardScaler` in front in a pipeline. More than two classes are trained one against the
rest. Samples are sorted and repeated ones merged into one with their weights, so that a fit depends on neither their order nor on
whether a sample is repeated or weighted.
"""

from __future__ import annotations

import warnings
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from . import errors
from .api import Model
from .data import merged_samples
from .declare.networks import Activation, ReLU, TwoLayer
from .declare.perturbations import Perturbation
from .declared import number
from .errors import InputError, InputTypeError, MissingPackageError, ZeroNetworkWarning
from .fit.result import Fit
from .frames import refuse_names
from .functions.losses import Absolute, Huber, Loss, Squared
from .functions.margin_losses import Hinge, Logistic, SquaredHinge
from .functions.penalties import Penalty, WeightDecay
from .functions.plq import EpsilonInsensitive, Expectile, Pinball
from .patterns import AdaptivePatterns, GivenPatterns
from .resources.deadline import limited

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning
    from sklearn.utils import check_random_state
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingPackageError(
        "relumodel.sklearn needs scikit-learn 1.6 or newer, which is not installed: pip install 'relumodel[sklearn]'"
    ) from error

Matrix = NDArray[np.float64]

#: The first descent's neurons and the random starts of a pricing, where `patterns` is None: half of what `Model.fit` takes, or less.
WIDTH, STARTS = 30, 100


class ConvergenceWarning(errors.ConvergenceWarning, SklearnConvergenceWarning):
    """Training ended before it reached its gap: scikit-learn's own warning of that, and ours."""


class _ConvexReLU(BaseEstimator):
    """What both estimators share: parameters, training, scores."""

    _loss: ClassVar[Loss]
    _reads: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        loss: Loss | str | None = None,
        beta: float = 1e-2,
        penalty: type[Penalty] = WeightDecay,
        activation: Activation | None = None,
        bias: bool = True,
        patterns: Any = None,
        perturbation: Perturbation | None = None,
        robust: str = "crossing",
        gap: float = 1e-2,
        tol: float | None = None,
        backend: Any = "auto",
        time_limit: float | None = None,
        verbose: bool = False,
        random_state: Any = 0,
        monotonic_cst: Any = None,
        monotonic_how: str = "everywhere",
    ) -> None:
        self.loss = loss
        self.beta = beta
        self.penalty = penalty
        self.activation = activation
        self.bias = bias
        self.patterns = patterns
        self.perturbation = perturbation
        self.robust = robust
        self.gap = gap
        self.tol = tol
        self.backend = backend
        self.time_limit = time_limit
        self.verbose = verbose
        self.random_state = random_state
        self.monotonic_cst = monotonic_cst
        self.monotonic_how = monotonic_how

    def _train(self, X: Matrix, targets: list[Matrix], weights: Matrix) -> list[Fit]:
        """Fit once for every vector of targets, within the time limit together, and set the attributes."""
        refuse_names(map(str, getattr(self, "feature_names_in_", ())), "X")
        from .fit.fit import fit  # here, because importing estimators should not wait for it
        from .fit.outcome import gap_wanted
        from .fit.shaped import fit_shaped, summary

        model, patterns = self._model(), self._patterns()
        shapes = self._shapes()
        train = partial(fit_shaped, model, shapes) if shapes.any else partial(fit, model)
        limit = None if self.time_limit is None else number(self.time_limit, "time_limit", above=0)
        how: tuple[Any, ...] = (self.backend, self.tol, None, self.verbose, None, {})
        results: list[Fit] = []
        with limited(limit) as deadline:  # after Ctrl-C the classes still to come get what a moment allows
            for k, y in enumerate(targets):
                with limited(deadline.remaining() / (len(targets) - k)):
                    results.append(train(X, y, weights, patterns, *how))
        for name, value in summary(results, tuple(map(str, getattr(self, "feature_names_in_", ()))) or None).items():
            setattr(self, name, value)
        # the bound of a shaped fit is one on networks of any shape
        self._warn(results, None if shapes.any else gap_wanted(model, patterns))
        return results

    def _shapes(self) -> Any:
        from .fit.shaped import Shapes

        return Shapes.of(self, tuple(map(str, getattr(self, "feature_names_in_", ()))))

    def _warn(self, results: list[Fit], wanted: float | None) -> None:
        """Of training that ended early, and of networks that are zero. wanted : the gap that was to be reached, or None."""
        ended = {"time limit", "interrupted", "failed", *(() if wanted is None else ("gap not reached",))}
        cut = {result.status for result in results} & ended
        cut |= {"shapes not proved" for result in results for c in result.certificates if not c.proved}
        if cut:
            warnings.warn(
                f"Training was cut short ({', '.join(sorted(cut))}): the objective {self.objective_:.6g} may be {self.gap_:.1%} "
                "above the optimum. Allow more time, or ask for a larger gap.",
                ConvergenceWarning,
                stacklevel=4,
            )
        smallest = [result.beta_max for result in results if result.beta_max is not None]
        if len(smallest) == len(results):
            from .fit.outcome import zero_message

            warnings.warn(zero_message(max(smallest), self.beta), ZeroNetworkWarning, stacklevel=4)

    def _model(self) -> Model:
        if not (isinstance(self.penalty, type) and issubclass(self.penalty, Penalty)):
            raise InputTypeError(
                f"penalty must be a class, rm.WeightDecay or rm.PathNorm, with beta= its strength; got {self.penalty!r}."
            )
        activation = ReLU() if self.activation is None else self.activation
        loss = self._loss_used()
        if isinstance(loss, Loss) and loss.reads not in self._reads:
            other = (
                "a loss of residuals, e.g. rm.Squared()"
                if self._reads == ("residual",)
                else "a loss of one output, e.g. rm.Logistic()"
            )
            raise InputError(f"{type(self).__name__} takes {other}; got {loss}. Model.fit trains with every loss.")
        return Model(TwoLayer(activation, self.bias), loss, self.penalty(self.beta), self._perturbation(), self.robust)

    def _loss_used(self) -> Loss:
        if isinstance(self.loss, str):
            known = self._named()
            if self.loss not in known:
                raise InputError(
                    f"loss is a declared loss such as {self._loss}, or one of {', '.join(map(repr, known))}; got {self.loss!r}."
                )
            return known[self.loss]
        return self._loss if self.loss is None else self.loss

    def _named(self) -> dict[str, Loss]:
        raise NotImplementedError

    def _perturbation(self) -> Perturbation | None:
        """With a radius per column: training sees arrays, but features may be fixed by name."""
        if not isinstance(self.perturbation, Perturbation):
            return self.perturbation
        names = tuple(map(str, getattr(self, "feature_names_in_", ()))) or None
        return type(self.perturbation)(tuple(self.perturbation.radii(self.n_features_in_, names).tolist()))

    def _patterns(self) -> Any:
        adaptive = AdaptivePatterns(
            gap=self.gap, seed=self._seed(), width=WIDTH, starts=STARTS
        )  # bad values are refused even where idle
        if isinstance(self.patterns, GivenPatterns):
            raise InputError(
                "GivenPatterns has a row for every sample, and the estimators reorder and merge samples; use Model.fit, or another source."
            )
        return adaptive if self.patterns is None else self.patterns

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _scores(self, X: Any) -> Matrix:
        """The outputs of the network, or networks: (n,) or (n, classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        if isinstance(self.network_, list):
            return np.column_stack([network(X) for network in self.network_])
        return self.network_(X)


def _has_likelihood(estimator: Any) -> bool:
    loss = estimator._loss_used()
    return isinstance(loss, Loss) and loss.likelihood


class ConvexReLUClassifier(ClassifierMixin, _ConvexReLU):
    """A two-layer network trained to a known gap, as a scikit-learn classifier; more than two classes one against the rest.

    loss : a declared loss, or "logistic", "hinge", "squared_hinge"; `rm.Logistic()` if None. Losses for regression fit the labels -1 and +1.
    beta, penalty : the penalty's strength, and its class (`rm.WeightDecay` or `rm.PathNorm`).
    activation, bias : of the network; `rm.ReLU()` if None.
    patterns : where activation patterns come from; if None `rm.AdaptivePatterns(gap, seed=random_state, width=30, starts=100)`.
    perturbation, robust : the set to be robust against, and the program for it, as in `rm.Model`.
    gap : the relative gap to every other network at which adaptive training stops.  tol : that of the convex programs.
    backend : solver of the convex programs.  time_limit : seconds for the whole fit.  verbose : a line a round on stderr.
    random_state : a seed, a `RandomState`, or None for NumPy's global one.
    monotonic_cst : 1, 0 or -1 for each feature, or a dictionary by name, as in scikit-learn's boosted trees. Two classes; for ReLU and leaky
        ReLU.  monotonic_how : "everywhere" in the box of the training data, "neurons" or "points", see `f.increasing`.

    After fit:
    network_ : the `rm.Network`, whose positive outputs mean classes_[1]; a list of networks, one a class, for more than two classes.
    objective_, bound_, gap_ : the training objective, a lower bound on that of every network, and (objective - bound) / objective;
        for more than two classes the sums of objectives and of bounds.
    bound_kind_ : "certified", "estimated" or "none", as for `Model.fit`.  status_ : "optimal", or why the gap was not reached.
    certificates_ : what is proved of shapes everywhere.  n_neurons_ : in all networks.  classes_, n_features_in_, feature_names_in_ : as in scikit-learn.
    """

    _loss = Logistic()
    _reads = ("margin", "residual")

    def _named(self) -> dict[str, Loss]:
        return {"logistic": Logistic(), "hinge": Hinge(), "squared_hinge": SquaredHinge()}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on features X (n, d) and labels y (n,) of any kind. sample_weight : (n,) numbers >= 0."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        labels, codes = np.unique(y, return_inverse=True)
        X, merged, weights = merged_samples(X, codes, sample_weight)
        present = np.unique(merged).astype(int)  # a class whose samples all weigh nothing is absent
        self.classes_ = labels[present]
        if len(present) < 2:
            raise InputError(f"A classifier needs at least two classes; y holds one class, {self.classes_[0]}.")
        positive = present if len(present) > 2 else present[1:]
        self._train(X, [np.where(merged == k, 1.0, -1.0) for k in positive], weights)
        return self

    def decision_function(self, X: Any) -> Matrix:
        """The outputs of the network: (n,), positive for classes_[1]; (n, classes) for more than two classes."""
        return self._scores(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of every row of X: (n,); classes_[1] where the output is exactly 0, as `Network.predict` has it."""
        scores = self.decision_function(X)
        return self.classes_[(scores >= 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]

    @available_if(_has_likelihood)
    def predict_log_proba(self, X: Any) -> Matrix:
        """The logarithms of `predict_proba`."""
        scores = self.decision_function(X)
        value = self._loss_used().value
        if scores.ndim == 1:
            return -np.column_stack([value(-scores), value(scores)])
        from scipy.special import logsumexp

        each = -value(scores)
        return each - logsumexp(each, axis=1, keepdims=True)

    @available_if(_has_likelihood)
    def predict_proba(self, X: Any) -> Matrix:
        """The probability of every class, (n, classes), in the order of classes_; only for the logistic loss.

        For more than two classes the probabilities that each network gives its own class, divided by their sum.
        """
        return np.exp(self.predict_log_proba(X))


class ConvexReLURegressor(RegressorMixin, _ConvexReLU):
    """A two-layer network trained to a known gap, as a scikit-learn regressor.

    loss : a declared loss for regression, or "squared", "absolute", "huber", "epsilon_insensitive", "pinball", "expectile"; `rm.Squared()` if None.
    quantile : the level of "pinball" and "expectile", in (0, 1).  bounds : (low, high) that predictions keep everywhere in the box of the training
    data, None for no bound on a side.  convexity : "convex", "concave" or None. The other parameters and the attributes are those of
    `ConvexReLUClassifier`, without classes_.
    """

    _loss = Squared()
    _reads = ("residual",)

    def __init__(
        self,
        loss: Loss | str | None = None,
        beta: float = 1e-2,
        penalty: type[Penalty] = WeightDecay,
        activation: Activation | None = None,
        bias: bool = True,
        patterns: Any = None,
        perturbation: Perturbation | None = None,
        robust: str = "crossing",
        gap: float = 1e-2,
        tol: float | None = None,
        backend: Any = "auto",
        time_limit: float | None = None,
        verbose: bool = False,
        random_state: Any = 0,
        monotonic_cst: Any = None,
        monotonic_how: str = "everywhere",
        quantile: float = 0.5,
        bounds: Any = None,
        convexity: str | None = None,
    ) -> None:
        super().__init__(
            loss,
            beta,
            penalty,
            activation,
            bias,
            patterns,
            perturbation,
            robust,
            gap,
            tol,
            backend,
            time_limit,
            verbose,
            random_state,
            monotonic_cst,
            monotonic_how,
        )
        self.quantile = quantile
        self.bounds, self.convexity = bounds, convexity

    def _named(self) -> dict[str, Loss]:
        names = {"squared": Squared(), "absolute": Absolute(), "huber": Huber(1.0), "epsilon_insensitive": EpsilonInsensitive(0.1)}
        return {**names, "pinball": Pinball(self.quantile), "expectile": Expectile(self.quantile)}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on features X (n, d) and targets y (n,). sample_weight : (n,) numbers >= 0."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        X, y, weights = merged_samples(X, y.astype(np.float64), sample_weight)
        self._train(X, [y], weights)
        return self

    def predict(self, X: Any) -> Matrix:
        """The network's outputs: (n,)."""
        return self._scores(X)
