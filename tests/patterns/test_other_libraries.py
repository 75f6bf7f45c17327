"""Networks of other libraries are what they compute, not what they are made of."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import relumodel as rm
from relumodel.patterns.other_libraries import read_whole

torch = pytest.importorskip("torch")
nn = torch.nn

X = np.random.default_rng(0).uniform(-1, 1, (30, 3))
Y = X[:, 0] * X[:, 1]
MODEL = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Squared(), rm.WeightDecay(1e-3))
ONE_ROUND = rm.AdaptivePatterns(width=8, starts=30, rounds=1, gap=0.9, proof=0)


class Net(nn.Module):
    """Two layers, and what a subclass does besides."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 1)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


class Scaled(Net):
    def forward(self, x):
        return super().forward((x - 0.5) / 2)


class Skip(Net):
    def forward(self, x):
        return super().forward(x) + x[:, :1]


class Backwards(Net):
    """The layer made first is the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(1, 3), nn.Linear(3, 1)

    def forward(self, x):
        return self.first(torch.relu(self.second(x)))


class Squashed(Net):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))


class Clipped(Net):
    def forward(self, x):
        return super().forward(x.clamp(-5, 5))


def hooked() -> nn.Module:
    net = Net()
    net.first.register_forward_hook(lambda layer, given, out: 2 * out - 1)
    return net


def normalised() -> nn.Module:
    norm = nn.BatchNorm1d(5)
    norm.running_mean += 0.3
    return nn.Sequential(nn.Linear(3, 5), norm, nn.ReLU(), nn.Linear(5, 1))


OTHER = {
    "scaling": Scaled,
    "skip connection": Skip,
    "output function": Squashed,
    "hook": hooked,
    "normalisation": normalised,
    "another activation": lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)),
    "no activation": lambda: nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1)),
}


@pytest.mark.parametrize("kind", OTHER)
def test_a_module_that_does_more_than_its_layers_is_refused_with_the_size_of_it(kind: str) -> None:
    module = OTHER[kind]()
    module.train()
    for read in (lambda: rm.polish(module, MODEL, X, Y), lambda: rm.PatternsOf(module)):
        with pytest.raises(
            rm.InputError, match=r"computes another function than Linear, ReLU, Linear: outputs differ by up to "
        ) as found:
            read()
    assert module.training
    assert all(part.training for part in module.modules())
    with pytest.raises(rm.InputError) as found:
        read_whole(module, X)
    stated = float(re.search(r"differ by up to (\S+) at 30 points", str(found.value)).group(1))
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    module.eval()
    with torch.no_grad():
        x = torch.tensor(X, dtype=torch.float32)
        hidden = torch.relu(nn.functional.linear(x, linear[0].weight, linear[0].bias))
        layers = nn.functional.linear(hidden, linear[1].weight, linear[1].bias)
        assert stated == pytest.approx(float((module(x) - layers).abs().max()), rel=1e-2)


def test_layers_in_another_order_and_clipping_are_refused() -> None:
    with pytest.raises(rm.InputError, match="takes 1 features"):
        rm.polish(Backwards(), MODEL, X, Y)
    with pytest.raises(rm.InputError, match="cannot be compared with its layers"):
        rm.PatternsOf(Backwards())
    with pytest.raises(rm.InputError, match="another function"):  # beyond the data, where nothing else could be known
        rm.PatternsOf(Clipped())
    assert read_whole(Clipped(), X).layer.neurons == 5  # on the data it is the same


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_modules_that_compute_their_layers_are_read_in_every_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    dropout = nn.Sequential(nn.Flatten(), nn.Linear(3, 50), nn.LeakyReLU(0.2), nn.Dropout(0.5), nn.Linear(50, 2))
    normed = Net()
    nn.utils.parametrizations.weight_norm(normed.first)
    for module in (Net(), dropout, normed):
        module = module.to(dtype)
        read = read_whole(module, X)
        module.eval()
        with torch.no_grad():
            values = module(torch.tensor(X, dtype=dtype)).double().numpy()
        np.testing.assert_allclose(read(X)[0], values, atol=10 * torch.finfo(dtype).eps)
        assert rm.PatternsOf(module).network == read.layer


def test_the_result_states_the_objective_of_the_start() -> None:
    module = Net()
    found = rm.polish(module, MODEL, X, Y, patterns=ONE_ROUND)
    with torch.no_grad():
        values = module(torch.tensor(X, dtype=torch.float32)).double().numpy()[:, 0]
    loss = MODEL.loss.value(values - Y).mean()
    assert loss < found.start
    assert found.objective <= found.start
    assert f"{found.start:.8g}, the objective of the network given" in str(found)
    assert MODEL.fit(X, Y, patterns=ONE_ROUND).start is None


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_scikit_learn_networks_are_compared_too() -> None:
    class Doubled(MLPRegressor):
        def predict(self, X):
            return 2 * super().predict(X)

    class Flipped(MLPClassifier):
        def predict_proba(self, X):
            return super().predict_proba(X)[:, ::-1]

    few = {"hidden_layer_sizes": (4,), "max_iter": 20, "random_state": 0}
    for mlp in (Doubled(**few).fit(X, Y), Flipped(**few).fit(X, Y > 0)):
        with pytest.raises(rm.InputError, match="computes another function than its two layers"):
            rm.PatternsOf(mlp)
    for classes in (Y > 0, np.arange(30) % 3):
        mlp = MLPClassifier(**few).fit(X.astype(np.float32), classes)
        assert read_whole(mlp, X).output.shape[1] == (1 if classes.dtype == bool else 3)
    with pytest.raises(rm.InputError, match='activation="tanh"'):
        rm.PatternsOf(MLPRegressor(activation="tanh", **few).fit(X, Y))


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_a_pipeline_is_refused_and_its_two_parts_are_right() -> None:
    pipeline = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, random_state=0)).fit(5 + 3 * X, Y)
    with pytest.raises(
        rm.InputTypeError, match=r"got Pipeline\. Its last step is pipeline\[-1\], which takes pipeline\[:-1\]\.transform"
    ):
        rm.polish(pipeline, MODEL, 5 + 3 * X, Y)
    with pytest.raises(rm.InputTypeError, match=r"got LinearRegression\.$"):
        rm.PatternsOf(LinearRegression())
    inner = pipeline[:-1].transform(5 + 3 * X)
    found = rm.polish(pipeline[-1], MODEL, inner, Y, patterns=ONE_ROUND)
    assert found.start >= MODEL.loss.value(pipeline.predict(5 + 3 * X) - Y).mean()


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_the_columns_of_an_mlp_are_those_of_its_training() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    mlp = MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, random_state=0).fit(frame, Y)
    assert rm.polish(mlp, MODEL, frame, Y, patterns=ONE_ROUND).start > 0
    with pytest.raises(rm.InputError, match="column 0 is 'c', in training it was 'a'"):
        rm.polish(mlp, MODEL, frame[["c", "b", "a"]], Y)
