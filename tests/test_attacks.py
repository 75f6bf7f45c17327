"""Attacks: inside the box, never above the truth, the same for our networks and the same network in torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import relumodel as rm
from robust_networks import attacked_networks, random_network
from robust_reference import draws


def data(n=20, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return 3 * rng.standard_normal((n, d)), rng.choice([-1.0, 1.0], n)


def in_torch(network, dtype=torch.float64, logits=1):
    """The same network as a module with one score, or with two logits whose difference is the score."""
    hidden = torch.nn.Linear(network.n_features, network.n_neurons, bias=network.bias)
    output = torch.nn.Linear(network.n_neurons, logits, bias=False)
    hidden.weight.data = torch.tensor(network.hidden_weights[: network.n_features].T)
    if network.bias:
        hidden.bias.data = torch.tensor(network.hidden_weights[-1])
    a = torch.tensor(network.output_weights)
    output.weight.data = a[None] if logits == 1 else torch.stack([-0.25 * a, 0.75 * a])
    return torch.nn.Sequential(hidden, torch.nn.ReLU(), output).to(dtype)


@settings(max_examples=60)
@given(attacked_networks(sets=[rm.LInf]))
def test_attacks_stay_in_the_box_and_lower_the_margin(case):
    network, X, y, perturbation = case
    eps = np.array(perturbation.radius)
    moved = rm.attacks.pgd(network, X, y, eps, steps=10, starts=2)
    assert (np.abs(moved - X) <= eps).all()
    assert (np.abs(rm.attacks.fgsm(network, X, y, eps) - X) <= eps).all()
    assert (y * network(moved) <= y * network(X)).all()
    ball = perturbation.ball(network.n_features, bias=network.bias)
    if ball is None:
        np.testing.assert_array_equal(moved, X)
        return
    verdict = network.certified(X, y, perturbation)
    assert not ((network.predict(moved) != y) & (verdict == "certified")).any()
    assert (network.predict(moved) == y)[verdict == "certified"].all()


def test_thousands_of_attacks_never_beat_a_certificate():
    """PGD from 20 starts, FGSM and 5000 random points a sample, against certificates of the same boxes."""
    for seed in (1, 3):
        network = random_network(rm.ReLU(), 3, 12, seed)
        X, _ = data(40, seed=seed)
        y = network.predict(X)
        for eps in (0.05, 0.2):
            kept = network.certified(X, y, rm.LInf(eps)) == "certified"
            assert kept.sum() > 0
            for found in (
                rm.attacks.fgsm(network, X, y, eps),
                rm.attacks.pgd(network, X, y, eps, steps=200, starts=20),
                *(X + draws(rm.LInf(eps), np.full(3, eps), (500, 40), np.random.default_rng(seed))),
            ):
                assert (network.predict(found) == y)[kept].all()


def test_fgsm_by_hand():
    network = rm.Network(rm.ReLU(), False, np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([2.0, -3.0]), classifies=True)
    X = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    moved = rm.attacks.fgsm(network, X, [1, -1, 1], [0.5, 0.1])
    np.testing.assert_allclose(moved, [[0.5, 1.1], [1.5, 0.9], [0.5, -1.0]])  # where the gradient is 0 nothing moves
    np.testing.assert_array_equal(network.input_gradient(X), [[2, -3], [2, -3], [2, 0]])


def test_the_step_does_not_vanish_where_the_hinge_is_flat():
    """y f = 20 is far in the flat part of the hinge; the attack still moves to the far corner."""
    network = rm.Network(rm.ReLU(), False, np.array([[10.0]]), np.array([1.0]), classifies=True)
    for attack in (rm.attacks.fgsm, rm.attacks.pgd):
        np.testing.assert_allclose(attack(network, [[2.0]], [1], 0.5), [[1.5]], rtol=1e-15)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("logits", [1, 2])
def test_a_torch_module_is_attacked_as_our_network_is(bias, logits):
    network = random_network(rm.ReLU(), 3, 8, seed=5, bias=bias)
    module = in_torch(network, logits=logits)
    X, y = data()
    ours, theirs = rm.attacks.fgsm(network, X, y, 0.3), rm.attacks.fgsm(module, X, y, 0.3)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    ours, theirs = (rm.attacks.pgd(f, X, y, 0.3, starts=3, seed=2) for f in (network, module))
    np.testing.assert_allclose(y * network(ours), y * network(theirs), atol=1e-9)
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kind_of_x_is_kept(dtype):
    module = in_torch(random_network(rm.ReLU(), 3, 8, seed=5), dtype)
    X, y = data()
    eps = np.array([0.1, 0.0, 0.7])
    for attack in (rm.attacks.fgsm, rm.attacks.pgd):
        out = attack(module, X, y, eps)
        assert isinstance(out, np.ndarray)
        assert out.dtype == np.float64
        assert (np.abs(out - X) <= eps).all()
        tensor = torch.tensor(X, dtype=dtype, requires_grad=True)
        out = attack(module, tensor, torch.tensor(y), eps)
        assert isinstance(out, torch.Tensor)
        assert out.dtype == dtype
        assert not out.requires_grad
        assert (torch.abs(out - tensor) <= torch.tensor(eps, dtype=dtype)).all()
    network = random_network(rm.ReLU(), 3, 8, seed=5)
    out = rm.attacks.pgd(network, torch.tensor(X, dtype=dtype), y, 0.1)
    assert out.dtype == dtype
    assert (torch.abs(out - torch.tensor(X, dtype=dtype)) <= torch.tensor(0.1, dtype=dtype)).all()


def test_modules_of_images_and_plain_functions():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(1))
    X, y = torch.rand(5, 1, 6, 6), torch.tensor([1.0, -1, 1, -1, 1])
    module(X)
    out = rm.attacks.pgd(module, X, y, 0.1, steps=5)
    assert out.shape == X.shape
    assert (y * module(out)[:, 0]).sum() < (y * module(X)[:, 0]).sum()
    assert rm.attacks.fgsm(module, X.numpy(), y.numpy(), 0.1).shape == X.shape
    with torch.no_grad():
        out = rm.attacks.fgsm(lambda x: (x**2).sum(dim=1), torch.tensor([[1.0, -2.0]]), [1], 0.5)
    np.testing.assert_allclose(out.numpy(), [[0.5, -1.5]])


def test_more_starts_and_steps_only_help_and_the_seed_decides():
    network = random_network(rm.ReLU(), 3, 15, seed=9)
    X, y = data(60)
    margins = [y * network(rm.attacks.pgd(network, X, y, 0.8, starts=s, seed=4)) for s in (1, 3, 10)]
    assert (margins[1] <= margins[0]).all()
    assert (margins[2] <= margins[1]).all()
    assert (margins[2] < margins[0] - 1e-6).any()
    again = rm.attacks.pgd(network, X, y, 0.8, starts=3, seed=4)
    np.testing.assert_array_equal(again, rm.attacks.pgd(network, X, y, 0.8, starts=3, seed=4))
    assert not np.array_equal(again, rm.attacks.pgd(network, X, y, 0.8, starts=3, seed=5))


def test_the_step_size():
    """40 steps of eps / 30 reach every corner; one step of a given size goes that far."""
    network = rm.Network(rm.ReLU(), True, np.array([[1.0], [1.0], [50.0]]), np.array([1.0]), classifies=True)
    X, y = np.array([[1.0, 2.0]]), [1]
    np.testing.assert_allclose(rm.attacks.pgd(network, X, y, [0.3, 0.6]), [[0.7, 1.4]])
    np.testing.assert_allclose(rm.attacks.pgd(network, X, y, 0.3, steps=1, step_size=0.125), [[0.875, 1.875]])


def test_rounding_does_not_leave_the_box():
    network = rm.Network(rm.ReLU(), True, np.array([[-1.0], [1e6]]), np.array([1.0]), classifies=True)
    X = np.random.default_rng(0).uniform(0, 1, (2000, 1)) * 10.0 ** np.arange(-8, 2).repeat(200)[:, None]
    for eps in (10 / 255, 0.1, 1e-3):
        for dtype in (np.float64, np.float32):
            x = torch.tensor(X.astype(dtype))
            moved = rm.attacks.fgsm(network, x, np.ones(2000), eps)
            assert (torch.abs(moved - x) <= torch.tensor(eps, dtype=x.dtype)).all()


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"eps": -0.1}, rm.InputError, ">= 0; got -0.1"),
        ({"eps": np.nan}, rm.InputError, "got nan"),
        ({"eps": [0.1, 0.1]}, rm.InputError, "2 radii and X has 3 features"),
        ({"eps": "0.1"}, rm.InputTypeError, "must be a number"),
        ({"y": np.zeros(20)}, rm.InputError, "An attack needs labels -1 and \\+1; y holds 0"),
        ({"y": np.ones(3)}, rm.InputError, "X has 20 samples and y has 3"),
        ({"X": np.full((20, 3), np.nan)}, rm.InputError, "NaN"),
        ({"steps": 0}, rm.InputError, "steps must be a whole number >= 1"),
        ({"starts": 1.5}, rm.InputTypeError, "starts"),
        ({"step_size": 0.0}, rm.InputError, "step_size must be a finite number > 0"),
        ({"f": "net"}, rm.InputTypeError, "a network of relumodel or a torch module; got str"),
        ({"f": torch.nn.Linear(3, 4).double()}, rm.InputError, r"two logits, \(n, 2\); got \(20, 4\)"),
    ],
)
@pytest.mark.parametrize("of", ["ours", "torch"])
def test_bad_input(of, change, kind, words):
    network = random_network(rm.ReLU(), 3, 4, seed=1)
    X, y = data()
    with pytest.raises(kind, match=words):
        rm.attacks.pgd(**({"f": network if of == "ours" else in_torch(network), "X": X, "y": y, "eps": 0.1} | change))


def test_bad_tensors():
    module = torch.nn.Linear(2, 1)
    with pytest.raises(rm.InputTypeError, match="floating-point"):
        rm.attacks.fgsm(module, torch.ones(2, 2, dtype=torch.int64), [1, -1], 0.1)
    with pytest.raises(rm.InputError, match="finite numbers"):
        rm.attacks.fgsm(module, torch.full((2, 2), torch.nan), [1, -1], 0.1)
    with pytest.raises(rm.InputError, match="finite numbers"):
        rm.attacks.fgsm(module, torch.ones(2), [1, -1], 0.1)


def convolutional():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.5),
        torch.nn.Flatten(),
        torch.nn.Linear(36, 1),
    )


@pytest.mark.parametrize("attack", [rm.attacks.fgsm, lambda *given: rm.attacks.pgd(*given, steps=3, starts=2)], ids=["fgsm", "pgd"])
def test_an_attack_leaves_the_module_as_it_was(attack):
    """In training mode batch norm would count the attacked batches into its averages, and dropout would hide the gradient."""
    module, X = convolutional(), torch.rand(6, 3, 5, 5)
    y = np.where(np.arange(6) % 2 == 0, 1.0, -1.0)
    module[1].eval()  # a part that was frozen by hand stays so
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    moved = attack(module, X, y, 0.1)
    module[1].train()
    attack(module, X, y, 0.1)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    module[1].eval()
    assert [part.training for part in module.modules()] == modes
    assert torch.equal(moved, attack(module.eval(), X, y, 0.1))  # nothing is random but the starts


def test_radii_of_images_broadcast_by_their_shape():
    module, X, y = convolutional(), torch.rand(4, 3, 5, 5), np.array([1.0, -1.0, 1.0, -1.0])
    channels = np.array([0.1, 0.0, 0.3]).reshape(3, 1, 1)
    pixels = np.random.default_rng(0).uniform(0, 0.2, (1, 5, 5))
    for eps in (channels, torch.tensor(channels), pixels, channels + pixels):
        for points in (X, X.double().numpy()):
            moved = rm.attacks.pgd(module, points, y, eps, steps=40)
            away = np.abs(np.asarray(moved, dtype=float) - np.asarray(points, dtype=float))
            limit = np.broadcast_to(np.asarray(eps), away.shape)
            assert (away <= limit * (1 + 1e-6)).all()
            assert (away.max(axis=(0, 2, 3)) >= 0.5 * limit.max(axis=(0, 2, 3))).all()
    for wrong in (np.ones(3), np.ones(5), np.ones((5, 5)), np.ones((3, 5, 1, 1)), np.ones((2, 1, 1)), np.ones((4, 3, 5, 5))):
        with pytest.raises(
            rm.InputError, match=r"broadcasts to a sample, \(3, 5, 5\); for one a channel \(3, 1, 1\)\. It has shape"
        ):
            rm.attacks.fgsm(module, X, y, 0.1 * wrong)
    with pytest.raises(rm.InputError, match="Every radius must be a finite number >= 0"):
        rm.attacks.fgsm(module, X, y, -channels)
