"""`rm.robustify_head`: the last two layers of a trained torch network, trained anew for the worst case on its features."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..declare.networks import LeakyReLU, ReLU, TwoLayer
from ..errors import InputError, InputTypeError, MissingPackageError
from ..evaluation_mode import evaluation_mode
from .polish import polish

if TYPE_CHECKING:
    from ..declare.model import Model
    from ..trained.network import Network

Matrix = NDArray[np.float64]

#: What lies between the two layers may differ from the model's activation by this, relative to its largest value.
SAME = 1e-4


def robustify_head(module: Any, loader: Any, model: Model, **options: Any) -> Any:
    """A copy of `module` whose last two `Linear` layers are trained anew under `model` on the features that enter them.

    module : a trained `torch.nn.Module` that ends in Linear, the model's activation (ReLU or LeakyReLU), Linear; called in evaluation
        mode. It is not changed, and neither are the other layers of the copy.
    loader : pairs (inputs, labels) in batches, such as a `DataLoader`; read once. Labels: -1/+1 or 0/1 (1 is +1) for margin losses,
        0 ... c - 1 in the order of the module's outputs for class losses, numbers for residual losses.
    model : a two-layer model. The radius of its perturbation is in units of the features, not of the inputs.
    options : those of `rm.polish`, which starts from the module's own head: the objective of the new one on the features is never
        above it, in the worst case too where the model has a perturbation.

    With a margin loss the module has one output, the score, or two, of which the second is that of label +1; the copy's two are
    -+ half the score. Raises `InputError` or `InputTypeError` for modules, labels and models of another kind.
    Source: Bai et al. 2023, section 5 (a convex-trained robust head on a ResNet's features).
    """
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise InputTypeError(f"robustify_head takes a torch.nn.Module; got {type(module).__name__}.")
    activation = model.network.activation if isinstance(model.network, TwoLayer) else None
    if not isinstance(activation, ReLU | LeakyReLU):
        raise InputError(f"The model's network must be rm.TwoLayer with rm.ReLU() or rm.LeakyReLU(); got {model.network}.")
    head = _head(module, torch)
    features, labels = _features(module, head, loader, activation, torch)
    two = model.loss.reads == "margin" and head.output.out_features == 2
    targets = _targets(labels, model, head.output.out_features)
    start = _start(head, activation, two, torch)
    result: Any = polish(start, model, features, targets, **options)
    return _with_head(module, head, result.network, two)


@dataclass(frozen=True)
class Head:
    """The last two Linear layers of a module, with their names in it."""

    names: tuple[str, str]
    hidden: Any
    output: Any


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError(
            "robustify_head needs the package torch; install it with pip install 'relumodel[torch]'."
        ) from error
    return torch


def _head(module: Any, torch: Any) -> Head:
    linear = [(name, part) for name, part in module.named_modules() if isinstance(part, torch.nn.Linear) and name]
    fits = len(linear) > 1 and linear[-2][1].out_features == linear[-1][1].in_features
    if not fits:
        shown = ", ".join(f"{name}: {part.in_features} -> {part.out_features}" for name, part in linear) or "none"
        raise InputError(
            f"A module to robustify ends in two Linear layers, the second taking what the first gives; {type(module).__name__} "
            f"has {shown}."
        )
    (first, hidden), (second, output) = linear[-2:]
    return Head((first, second), hidden, output)


def _features(module: Any, head: Head, loader: Any, activation: Any, torch: Any) -> tuple[Matrix, NDArray[Any]]:
    """What enters the head (n, d), and the labels (n,); the way between the two layers is checked on it."""
    features: list[Any] = []
    labels: list[NDArray[Any]] = []
    passed: list[tuple[Any, Any, Any]] = []  # (layer, what enters, what leaves) in one batch
    entered: list[Any] = []

    def enter(layer: Any, given: tuple[Any, ...]) -> None:
        entered.append(given[0])

    def leave(layer: Any, given: tuple[Any, ...], out: Any) -> None:
        passed.append((layer, entered.pop(), out))

    # before and after the layer's own hooks, which the new layers will not have
    hooks = [layer.register_forward_pre_hook(enter, prepend=True) for layer in (head.hidden, head.output)]
    hooks += [layer.register_forward_hook(leave) for layer in (head.hidden, head.output)]
    try:
        with torch.no_grad(), evaluation_mode(module):
            for batch in loader:
                if not isinstance(batch, tuple | list) or len(batch) != 2:
                    raise InputTypeError("The loader must give pairs (inputs, labels); a DataLoader of a TensorDataset(X, y) does.")
                inputs = torch.as_tensor(batch[0]).to(head.hidden.weight.device)
                answer = module(inputs.to(head.hidden.weight.dtype) if inputs.is_floating_point() else inputs)
                target = torch.as_tensor(batch[1])
                if target.ndim > 1 and target.shape[1:].numel() != 1:
                    raise InputError(
                        f"robustify_head takes one label or target a sample; got targets of shape {tuple(target.shape)}."
                    )
                labels.append(target.cpu().numpy().reshape(-1))
                _check(passed, answer, head, len(labels[-1]), activation, type(module).__name__)
                features.append(passed[0][1])
                passed.clear()
    finally:
        for hook in hooks:
            hook.remove()
    if not labels:
        raise InputError("The loader gave no samples.")
    return torch.cat(features).cpu().double().numpy(), np.concatenate(labels)


def _check(passed: list[tuple[Any, Any, Any]], answer: Any, head: Head, n: int, activation: Any, name: str) -> None:
    """One way through both layers a batch, one row a sample, the activation between them, and nothing else up to the answer."""
    in_order = [layer for layer, _, _ in passed] == [head.hidden, head.output]
    if not in_order or passed[0][1].shape != (n, head.hidden.in_features):
        raise InputError(f"{name} must pass every sample of a batch once through its last two Linear layers, the last one last.")
    (_, features, before), (_, after, scores) = passed
    _same(
        before,
        _affine(head.hidden, features),
        f"The second to last Linear layer of {name} computes something else than its weights",
    )
    expected = before.clamp(min=0) + activation.inactive * before.clamp(max=0)
    _same(
        after,
        expected,
        f"Between its last two Linear layers {name} computes something else than the model's activation, {activation}",
    )
    _same(scores, _affine(head.output, after), f"The last Linear layer of {name} computes something else than its weights")
    given = (
        answer.reshape(scores.shape) if getattr(answer, "shape", None) is not None and answer.numel() == scores.numel() else None
    )
    _same(given, scores, f"After its last Linear layer {name} computes something else")


def _affine(layer: Any, x: Any) -> Any:
    """What the weights alone give."""
    out = x @ layer.weight.T
    return out if layer.bias is None else out + layer.bias


def _same(given: Any, expected: Any, otherwise: str) -> None:
    """An error, with the size of the difference, where two tensors differ by more than `SAME`, relative to the largest entry."""
    difference = float("inf") if given is None else float((given - expected).abs().max())
    if not difference <= SAME * (1 + float(expected.abs().max())):
        raise InputError(f"{otherwise}: the values differ by up to {difference:.3g}. Its last two layers cannot stand for it.")


def _targets(labels: NDArray[Any], model: Model, outputs: int) -> NDArray[Any]:
    if model.loss.reads == "margin":
        if outputs > 2:
            raise InputError(
                f"{model.loss} is for two classes; the module has {outputs} outputs. Use rm.MultiMargin() or rm.SoftmaxCrossEntropy()."
            )
        return np.where(labels > 0, 1.0, -1.0) if set(np.unique(labels)) <= {0, 1} else labels
    if model.loss.reads != "residual" and set(np.unique(labels)) != set(range(outputs)):
        raise InputError(
            f"The module has {outputs} outputs, so the labels must be 0 to {outputs - 1}, every one present; got {np.unique(labels)}."
        )
    return labels


def _start(head: Head, activation: Any, two: bool, torch: Any) -> Any:
    """The module's head as one that `polish` reads, in float64."""
    from ..trained.torch_module import activation_of

    hidden, output = (copy.deepcopy(layer).cpu().double() for layer in (head.hidden, head.output))
    if two:
        score = torch.nn.utils.skip_init(torch.nn.Linear, output.in_features, 1, bias=output.bias is not None, dtype=torch.float64)
        with torch.no_grad():
            score.weight.copy_(output.weight[1:] - output.weight[:1])
            if output.bias is not None:
                score.bias.copy_(output.bias[1:] - output.bias[:1])
        output = score
    return torch.nn.Sequential(hidden, activation_of(activation), output)


def _with_head(module: Any, head: Head, network: Network, two: bool) -> Any:
    """A copy of the module with the network's layers in the place of its last two, in their precision and on their device."""
    from ..trained.conversion import with_a_neuron
    from ..trained.torch_module import linear

    out, network = copy.deepcopy(module), with_a_neuron(network)
    weights = network.output_weights.reshape(network.n_neurons, -1)
    if two:
        weights = np.hstack([-0.5 * weights, 0.5 * weights])
    for name, layer in zip(head.names, (linear(network.hidden_weights, network.bias), linear(weights, False)), strict=True):
        old = out.get_submodule(name)
        path, _, own = name.rpartition(".")
        setattr(out.get_submodule(path), own, layer.to(old.weight.device, old.weight.dtype).train(old.training))
    return out
