"""`rm.robustify_head`: the rest of the module stays, the new head is never worse than the old on its features, and attacks agree."""

import builtins

import numpy as np
import pytest

import relumodel as rm

torch = pytest.importorskip("torch")
nn = torch.nn

ONE_ROUND = {"patterns": rm.AdaptivePatterns(rounds=1, gap=0.05, seed=0)}


def data(n=40):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (n, 2))
    return torch.tensor(X, dtype=torch.float32), torch.tensor((X[:, 0] * X[:, 1] > 0).astype(int))


def loader(X, y):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), batch_size=32)


def mlp(outputs=2, dropout=False, act=None, steps=60):
    torch.manual_seed(0)
    parts = [nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 5), act or nn.ReLU(), nn.Dropout(0.3) if dropout else nn.Identity()]
    module = nn.Sequential(*parts, nn.Linear(5, outputs))
    X, y = data()
    optimiser = torch.optim.Adam(module.parameters(), lr=0.03)
    for _ in range(steps):
        optimiser.zero_grad()
        out = module(X)
        loss = nn.functional.cross_entropy(out, y) if outputs > 1 else nn.functional.soft_margin_loss(out[:, 0], 2.0 * y - 1)
        loss.backward()
        optimiser.step()
    return module


def network_of(module, first, last, two):
    """The head as a network of ours."""
    hidden = np.vstack([module[first].weight.detach().numpy().T, module[first].bias.detach().numpy()]).astype(float)
    weights = module[last].weight.detach().numpy().astype(float)
    return rm.Network(rm.ReLU(), True, hidden, weights[1] - weights[0] if two else weights[0], classifies=True)


@pytest.mark.parametrize(("outputs", "perturbation"), [(1, None), (2, rm.LInf(0.05))])
def test_the_objective_on_the_features_falls(outputs, perturbation):
    X, y = data()
    module = mlp(outputs)
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e-2), perturbation, robust="crossing")
    out = rm.robustify_head(module, loader(X, y), model, **ONE_ROUND)
    assert all(torch.equal(kept[name], value) for name, value in module.state_dict().items())
    assert all(torch.equal(kept[f"0.{part}"], out.state_dict()[f"0.{part}"]) for part in ("weight", "bias"))
    features = module[:2](X).detach().double().numpy()
    labels = 2.0 * y.numpy() - 1
    old = module[5].weight.detach().double().numpy()
    shift = module[5].bias.detach().double().numpy()
    start = network_of(module, 2, 5, outputs == 2)
    constant, bias = np.zeros((7, 1)), (shift[1] - shift[0] if outputs == 2 else shift[0])
    constant[-1] = abs(bias)
    assert old.shape == (outputs, 5)
    start = rm.Network(rm.ReLU(), True, np.hstack([start.hidden_weights, constant]), np.append(start.output_weights, np.sign(bias)))
    found = network_of(out, 2, 5, outputs == 2)
    assert found.objective(model, features, labels) <= start.objective(model, features, labels) * (1 + 1e-5)
    with torch.no_grad():
        scores = out(X)
    assert scores.shape == (len(X), outputs)
    score = (scores[:, 1] - scores[:, 0] if outputs == 2 else scores[:, 0]).numpy()
    np.testing.assert_allclose(score, found(features), atol=1e-4)
    assert rm.attacks.fgsm(out, X, labels, 0.05).shape == X.shape


class Cnn(nn.Module):
    """Its activations are functions, its layers named, its head has dropout in between."""

    def __init__(self, outputs):
        super().__init__()
        self.conv, self.hidden, self.last = nn.Conv2d(1, 3, 3), nn.Linear(12, 8), nn.Linear(8, outputs)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.conv(x)), 2).flatten(1)
        return self.last(nn.functional.dropout(torch.relu(self.hidden(x)), 0.5, self.training))


def test_a_cnn_with_classes():
    torch.manual_seed(0)
    X, y = torch.randn(30, 1, 6, 6), torch.arange(30) % 3
    X[:, 0, 0, 0] += 2.0 * y
    module = Cnn(3).train()
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.MultiMargin(), rm.WeightDecay(1e-2))
    out = rm.robustify_head(module, loader(X, y), model, **ONE_ROUND)
    assert module.training
    assert out.training
    assert out.hidden.training
    out.eval()
    with torch.no_grad():
        assert out(X).shape == (30, 3)
        assert float((out(X).argmax(1) == y).float().mean()) > float((module.eval()(X).argmax(1) == y).float().mean())
    assert out.conv.weight is not module.conv.weight
    assert type(out) is Cnn


def test_a_head_of_zero():
    """A penalty beyond use leaves no neuron; the module still works."""
    X, y = data(20)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e3))
    out = rm.robustify_head(mlp(1, steps=1), [(X, y)], model, **ONE_ROUND)
    assert not out(X).detach().numpy().any()


MODEL = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e-2))


@pytest.mark.parametrize(
    ("module", "model", "message"),
    [
        (nn.Linear(2, 1), MODEL, "ends in two Linear layers, the second taking what the first gives; Linear has none"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 1)), MODEL, "0: 2 -> 3, 1: 2 -> 1"),
        (nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), MODEL, "computes something else than the model's activation"),
        (nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3)), MODEL, "Hinge.* is for two classes; the module has 3 outputs"),
        (
            nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3)),
            rm.Model(rm.TwoLayer(rm.ReLU(), True), rm.MultiMargin(), rm.WeightDecay(0.1)),
            "labels must be 0 to 2, every one present",
        ),
        (mlp(steps=1), rm.Model(rm.TwoLayer(rm.GatedReLU(), True), rm.Hinge(), rm.WeightDecay(0.1)), "must be rm.TwoLayer with"),
        (mlp(steps=1), rm.Model(rm.RandomFeatures(), rm.Hinge(), rm.WeightDecay(0.1)), "must be rm.TwoLayer with"),
    ],
)
def test_modules_and_models_of_another_kind(module, model, message):
    with pytest.raises(rm.InputError, match=message):
        rm.robustify_head(module, [data(10)], model)


class Shared(nn.Module):
    """Its head is used twice."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, x):
        return self.b(torch.relu(self.a(torch.relu(self.a(x)))))


def test_loaders_of_another_kind():
    X, _ = data(10)
    with pytest.raises(rm.InputTypeError, match=r"must give pairs \(inputs, labels\)"):
        rm.robustify_head(mlp(steps=1), [X], MODEL)
    with pytest.raises(rm.InputError, match=r"takes one label or target a sample; got targets of shape \(5, 3\)"):
        rm.robustify_head(mlp(steps=1), [(torch.zeros(5, 2), torch.zeros(5, 3))], MODEL)
    with pytest.raises(rm.InputError, match="The loader gave no samples"):
        rm.robustify_head(mlp(steps=1), [], MODEL)
    with pytest.raises(rm.InputError, match="once through its last two Linear layers"):
        rm.robustify_head(Shared(), [data(10)], MODEL)
    with pytest.raises(rm.InputTypeError, match=r"takes a torch\.nn\.Module; got Network"):
        rm.robustify_head(rm.Network(rm.ReLU(), False, np.ones((2, 1)), np.ones(1)), [data(10)], MODEL)


def test_torch_is_named_when_it_is_missing(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **named):
        if name == "torch":
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(rm.MissingPackageError, match=r"pip install 'relumodel\[torch\]'"):
        rm.robustify_head(None, [], MODEL)


class Halved(nn.Linear):
    def forward(self, x):
        return super().forward(x) / 2


def hooked(at, before):
    module = mlp(1, steps=1)
    (module[at].register_forward_pre_hook if before else module[at].register_forward_hook)(
        (lambda layer, given: (given[0] + 1,)) if before else (lambda layer, given, out: out + 1)
    )
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: nn.Sequential(mlp(1, steps=1), nn.Sigmoid()), "After its last Linear layer Sequential computes something else"),
        (lambda: hooked(2, True), "The second to last Linear layer of Sequential computes something else"),
        (lambda: hooked(2, False), "The second to last Linear layer of Sequential computes something else"),
        (lambda: hooked(5, True), "The last Linear layer of Sequential computes something else"),
        (lambda: nn.Sequential(nn.Linear(2, 4), nn.ReLU(), Halved(4, 1)), "The last Linear layer of Sequential .* differ by up to"),
    ],
)
def test_a_head_that_does_more_than_its_layers_is_refused_with_the_size_of_it(module, message):
    X, y = data(20)
    model = rm.Model(rm.TwoLayer(rm.ReLU(), bias=True), rm.Hinge(), rm.WeightDecay(1e-2))
    with pytest.raises(rm.InputError, match=message):
        rm.robustify_head(module(), [(X, y)], model, **ONE_ROUND)
