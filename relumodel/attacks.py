"""Attacks in the box |delta| <= eps: one signed gradient step (FGSM, Goodfellow et al. 2015) and many (PGD, Madry et al. 2018).

Both lower the margin y f(x). That is the gradient of a hinge whose flat part leaks, as Bai et al. (2023) use: the sign of a
step is that of - y times the gradient of f, so that it does not vanish where the hinge loss is 0 already.

f : a network of ours, or a torch module (a callable on tensors, when X is one) whose output is one score a sample, (n,) or
    (n, 1), or two logits (n, 2), then f is the second minus the first. Modules are attacked in evaluation mode: an attack changes none of
    their buffers, and afterwards they are in the mode they were in.
X : (n, d); for torch modules any shape with the samples first.  y : (n,) labels -1/+1.
eps : a number >= 0, or an array of them with an axis for each of a sample's: (d,) for features, (3, 1, 1) for the channels of images.
The answer is of X's kind, a tensor for a tensor (its type and device kept) and a float64 array otherwise, and lies in the box:
abs(X_adv - X) <= eps as computed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .data import as_array, read_features, read_labels
from .declare.perturbations import LInf
from .declared import number, whole
from .errors import InputError, InputTypeError
from .evaluation_mode import evaluation_mode
from .patterns.other_libraries import is_torch
from .trained.network import Network


def fgsm(f: Any, X: Any, y: Any, eps: Any) -> Any:
    """One step of eps against the sign of the gradient of y f. Arguments and answer: see `relumodel.attacks`."""
    task = _task(f, X, y, eps)
    with _in_mode(f):
        _, gradient = task.margin(task.X)
    return task.answer(task.inside(task.X - task.eps * task.xp.sign(gradient)))


def pgd(f: Any, X: Any, y: Any, eps: Any, steps: int = 40, step_size: float | None = None, starts: int = 1, seed: int = 0) -> Any:
    """Signed gradient steps on y f within the box; the worst point of each sample over all steps and starts.

    step_size : eps / 30 unless given, as in Bai et al. (2023), in the units of X.
    starts : the first starts at X itself, further ones at uniform points of the box drawn with `seed`.
    Other arguments and the answer: see `relumodel.attacks`.
    """
    steps, starts, seed = whole(steps, "steps", low=1), whole(starts, "starts", low=1), whole(seed, "seed")
    task = _task(f, X, y, eps)
    size = task.eps / 30 if step_size is None else number(step_size, "step_size", above=0)
    with _in_mode(f):
        return task.answer(_descended(task, size, steps, starts, np.random.default_rng(seed)))


def _descended(task: _Task, size: Any, steps: int, starts: int, rng: np.random.Generator) -> Any:
    """The points of the lowest margins."""
    best, lowest = task.X, task.margin(task.X)[0]
    for start in range(starts):
        x = task.X if start == 0 else task.inside(task.X + task.eps * task.like(rng.uniform(-1, 1, tuple(task.X.shape))))
        for step in range(steps + 1):
            margin, gradient = task.margin(x)
            better = margin < lowest
            best, lowest = task.xp.where(task.spread(better), x, best), task.xp.where(better, margin, lowest)
            if step < steps:
                x = task.inside(x - size * task.xp.sign(gradient))
    return best


def _in_mode(f: Any) -> AbstractContextManager[None]:
    """Evaluation mode where f is a torch module."""
    return evaluation_mode(f) if is_torch(f) else nullcontext()


@dataclass(frozen=True, eq=False)
class _Task:
    """What is attacked, in the array type that f takes. scores : x -> f (n,) and the gradient of its sum."""

    X: Any
    y: Any
    eps: Any
    scores: Callable[[Any], tuple[Any, Any]]
    like: Callable[[Any], Any]
    answer: Callable[[Any], Any]

    @property
    def xp(self) -> Any:
        return array_namespace(self.X)

    def spread(self, values: Any) -> Any:
        """One value a sample, against the entries of X."""
        return self.xp.reshape(values, (-1,) + (1,) * (self.X.ndim - 1))

    def margin(self, x: Any) -> tuple[Any, Any]:
        """y f and its gradient."""
        f, gradient = self.scores(x)
        return self.y * f, self.spread(self.y) * gradient

    def inside(self, x: Any) -> Any:
        """x clipped to the box."""
        return _clipped(x, self.X, self.eps, self.xp)


def _clipped(x: Any, X: Any, eps: Any, xp: Any) -> Any:
    """x in the box around X; a bound that rounding puts outside moves to the next number inside."""
    x = xp.clip(x, X - eps, X + eps)
    for _ in range(2):
        x = xp.where(abs(x - X) > eps, xp.nextafter(x, X), x)
    return x


def _task(f: Any, X: Any, y: Any, eps: Any) -> _Task:
    torch = sys.modules.get("torch")  # a module or a tensor exists only where torch is loaded
    tensor = torch is not None and isinstance(X, torch.Tensor)
    if isinstance(f, Network):
        return _for_network(f, X, y, eps, torch if tensor else None)
    if torch is not None and (isinstance(f, torch.nn.Module) or (tensor and callable(f))):
        return _for_torch(f, X, y, eps, torch)
    raise InputTypeError(f"Attacks take a network of relumodel or a torch module; got {type(f).__name__}.")


def _for_network(f: Network, X: Any, y: Any, eps: Any, torch: Any) -> _Task:
    """torch : the package, where the answer must be a tensor."""
    features, _ = read_features(X, width=f.n_features)
    radii = _radii(eps, (f.n_features,))

    def answer(x: Any) -> Any:
        if torch is None:
            return x
        like = {"dtype": X.dtype, "device": X.device}
        return _clipped(torch.as_tensor(x, **like), X.detach(), torch.as_tensor(radii, **like), torch)

    labels = read_labels(y, len(features), "An attack")
    return _Task(features, labels, radii, lambda x: (f(x), f.input_gradient(x)), lambda values: values, answer)


def _for_torch(f: Any, X: Any, y: Any, eps: Any, torch: Any) -> _Task:
    tensor = isinstance(X, torch.Tensor)
    if tensor and not X.is_floating_point():
        raise InputTypeError(f"X must hold floating-point numbers; got a tensor of {X.dtype}.")
    given = X.detach() if tensor else np.asarray(X, dtype=np.float64) if np.ndim(X) > 2 else read_features(X)[0]
    if given.ndim < 2 or not len(given) or not bool((abs(given) < float("inf")).all()):
        raise InputError(f"X must hold finite numbers, at least one sample, its samples first; got shape {tuple(given.shape)}.")
    parameters = f.parameters() if isinstance(f, torch.nn.Module) else ()
    kind = given if tensor else next((p for p in parameters if p.is_floating_point()), torch.empty(0))
    radii = _radii(eps, tuple(given.shape[1:]))

    def like(values: Any) -> Any:
        return torch.as_tensor(values, dtype=kind.dtype, device=kind.device)

    def answer(x: Any) -> Any:
        return x if tensor else _clipped(x.cpu().numpy().astype(np.float64), given, radii, np)

    labels = like(read_labels(y, len(given), "An attack"))
    return _Task(like(given), labels, like(radii), lambda x: _scores(f, x, torch), like, answer)


def _radii(eps: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The radius of every entry of a sample of this shape, as an array that broadcasts to it."""
    if len(shape) == 1 or np.ndim(eps) == 0:
        return LInf(eps).radii(shape[-1])
    values = as_array(eps, "eps")
    if values.ndim != len(shape) or any(size not in (1, own) for size, own in zip(values.shape, shape, strict=True)):
        raise InputError(
            f"eps must be a number or an array that broadcasts to a sample, {shape}; for one a channel {(shape[0], *(1,) * (len(shape) - 1))}. "
            f"It has shape {values.shape}."
        )
    return LInf(tuple(values.reshape(-1).tolist())).radii(values.size).reshape(values.shape)


def _scores(f: Any, x: Any, torch: Any) -> tuple[Any, Any]:
    """f and the gradient of its sum, the parameters of f untouched."""
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        out = f(x)
        if not isinstance(out, torch.Tensor) or out.shape not in ((len(x),), (len(x), 1), (len(x), 2)):
            shape = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise InputError(
                f"f must give one score a sample, (n,) or (n, 1), or two logits, (n, 2); got {shape} for n = {len(x)}."
            )
        score = out[:, 1] - out[:, 0] if out.ndim == 2 and out.shape[1] == 2 else out.reshape(len(x))
        (gradient,) = torch.autograd.grad(score.sum(), x, allow_unused=True)
    return score.detach(), torch.zeros_like(x) if gradient is None else gradient
