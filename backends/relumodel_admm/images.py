"""K_j x of all terms at once.

The loss reads D, for every pattern the signed sum of the copies of its block. The other terms read every block u by itself: u, or the
products X u, whose signs stay with the functions of the cones (signed.py). So images are made of a product with X, and no pass over
the rows of the cones but that; and K'K of those terms is the same d x d matrix for all blocks. Images are lists, one flat array a term,
in the order of the terms.

Rows of sign cones are divided by the norms of their samples: the cone is the same, and samples of all sizes count alike.
Each term also says what it adds to the normal matrix, as a pencil (readers.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from relumodel.backend import Program
from relumodel.functions.base import Nonnegative
from relumodel.maps.base import Identity, Kron, MaskedProduct, Slice
from relumodel.maps.crossing import CrossingMap
from relumodel.maps.robust_maps import SampleWeights, Stacked
from relumodel.program.ranks import SINGLE_PROCESS, SingleProcess

from .readers import Pencil, Reader, ReadPrediction, ReadSampleWeights, add_signed, signed_sum
from .signed import Signed, SignedNonnegative, turned

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Own:
    """What a term other than the loss reads of every block u by itself: the products X u, u, or first the one and then the other."""

    products: bool
    blocks: bool


class RowSums:
    """What is summed over the rows of X, which may be those of this process alone: others then add theirs.

    on_rows : which images have entries of their own for every row; the others are the same on every rank.
    """

    X: Any
    on_rows: tuple[bool, ...]
    ranks: SingleProcess

    def inner(self, a: list[Any], b: list[Any], weights: list[float]) -> Any:
        """sum_j weights_j <a_j, b_j> of images."""
        parts = [w * (p @ q) for w, p, q in zip(weights, a, b, strict=True)]
        if self.ranks.size == 1:
            return sum(parts)
        rows = sum(part for part, on_rows in zip(parts, self.on_rows, strict=True) if on_rows)
        return self.ranks.sum(rows) + sum(part for part, on_rows in zip(parts, self.on_rows, strict=True) if not on_rows)

    def gram(self) -> Matrix:
        """X'X."""
        return self.ranks.sum(self.X.T @ self.X)

    def curvature(self) -> float:
        """The mean of the diagonal of X'X."""
        return float(self.ranks.sum((self.X * self.X).sum())) / self.X.shape[1]

    def shares(self) -> NDArray[np.float64]:
        """(n,) |x_k|^2 / |X|_F^2 of the rows here."""
        squares = (self.X * self.X).sum(axis=1)
        return squares / (float(self.ranks.sum(squares.sum())) or 1.0)


@dataclass(eq=False)
class Images(RowSums):
    """All terms of a program, the loss first. Those of a program are NumPy's, in float64, and know their `pencils`; `converted` makes
    those of an iteration from them.

    rows : X, its rows divided by `norms` (n,).  shape : (outputs, C, P, d).  signs : of the C copies, the same for every output.
    side : (P, n) the signs of the cones' rows, None where there are no cones.  metric : rows' rows (d, d), None where d is larger than n.
    """

    rows: Any
    norms: Any
    shape: tuple[int, int, int, int]
    signs: tuple[float, ...]
    reader: Reader
    own: tuple[Own, ...]
    side: Any
    metric: Any
    on_rows: tuple[bool, ...]
    ranks: SingleProcess = SINGLE_PROCESS

    @property
    def X(self) -> Any:
        return self.rows * self.norms[:, None]

    @property
    def size(self) -> int:
        outputs, C, P, d = self.shape
        return outputs * C * P * d

    @property
    def products(self) -> int:
        """How many products of rows with blocks there are."""
        outputs, C, P, _ = self.shape
        return outputs * C * P * self.rows.shape[0]

    def predict(self, x: Any) -> Any:
        """The image that the loss reads."""
        xp = array_namespace(x)
        outputs, _, P, d = self.shape
        U = xp.reshape(x, self.shape)
        D = signed_sum(U, self.signs)
        return self.reader.read(D, xp.reshape(xp.reshape(D, (-1, d)) @ self.rows.T, (outputs, P, -1)))

    def others(self, x: Any) -> list[Any]:
        """The images that the other terms read; one may be x itself."""
        xp = array_namespace(x)
        S = None
        if self.side is not None:
            S = xp.reshape(xp.reshape(x, (-1, self.shape[3])) @ self.rows.T, (-1,))
        return [x if not own.products else xp.concat([S, x]) if own.blocks else S for own in self.own]

    def forward(self, x: Any) -> list[Any]:
        """The images of all terms."""
        return [self.predict(x), *self.others(x)]

    def back(self, q: Any) -> Any:
        """The adjoint of `predict`."""
        xp = array_namespace(q)
        outputs, _, P, d = self.shape
        on_d, on_s = self.reader.back(q)
        out = xp.reshape(self.ranks.sum(xp.reshape(on_s, (outputs * P, -1)) @ self.rows), (outputs, P, d))
        out = out if on_d is None else out + on_d
        return xp.reshape(xp.stack([out if sign == 1 else -out for sign in self.signs], axis=1), (-1,))

    def adjoint(self, images: list[Any]) -> Any:
        """sum_j weights_j K_j' images_j; the images may be changed in place."""
        loss, *others = images
        own, out = list(zip(others, self.weights[1:], self.own, strict=True)), None
        for q, w, reads in own:
            if reads.products:
                out = self._with_products(q[: self.products], w, loss * (self.weights[0] / w))
        if out is None:
            out = self.back(self.weights[0] * loss)
        for q, w, reads in own:
            if reads.blocks:
                out += w * q[-self.size :]
        return out

    def _with_products(self, on_products: Any, weight: float, q: Any) -> Any:
        """weight times the adjoint at an image of X u and at q, one of `predict`, in one product."""
        xp = array_namespace(q)
        outputs, C, P, _ = self.shape
        on_d, on_s = self.reader.back(q)
        S = xp.reshape(on_products, (outputs, C, P, -1))
        add_signed(S, on_s, self.signs)
        out = xp.reshape(self.ranks.sum(xp.reshape(S, (outputs * C * P, -1)) @ self.rows), self.shape)
        if on_d is not None:
            add_signed(out, on_d, self.signs)
        out *= weight
        return xp.reshape(out, (-1,))

    def weigh(self, weights: list[float]) -> None:
        """Take new weights of the terms."""
        self.weights = weights
        own = list(zip(weights[1:], self.own, strict=True))
        self.on_products = sum(weight for weight, reads in own if reads.products)
        self.on_blocks = sum(weight for weight, reads in own if reads.blocks)
        if self.metric is not None:
            self.between = self.on_products * self.metric
            self.between += self.on_blocks * array_namespace(self.metric).eye(
                self.shape[3], dtype=self.metric.dtype, device=device(self.metric)
            )

    def normal(self, x: Any) -> Any:
        """sum_j weights_j K_j' K_j x over the terms but the loss, which takes no pass over the rows of the cones: signs have the square 1."""
        if self.side is None:
            return self.on_blocks * x
        xp = array_namespace(x)
        U = xp.reshape(x, (-1, self.shape[3]))
        if self.metric is not None:
            return xp.reshape(U @ self.between, (-1,))
        return xp.reshape(self.on_products * self.ranks.sum((U @ self.rows.T) @ self.rows), (-1,)) + self.on_blocks * x

    def faces(self, functions: list[Any]) -> list[Any]:
        """The functions as those of these images, which do not have the signs of the cones. functions : those of the terms."""
        out = functions[:1]
        for function, own in zip(functions[1:], self.own, strict=True):
            if own.products:
                function = (
                    SignedNonnegative(self.side)
                    if isinstance(function, Nonnegative)
                    else Signed(function, self.side, self.products)
                )
            out.append(function)
        return out

    def multipliers(self, q: list[Any]) -> list[Any]:
        """Those of the program's terms, given those of these images."""
        out = q[:1]
        for part, own in zip(q[1:], self.own, strict=True):
            out.append(turned(part, self.side / self.norms, self.products) if own.products else part)
        return out

    def pencils(self) -> list[Pencil]:
        """K_j'K_j of every term."""
        shares = self.shares()
        loss = Pencil(shares, self.signs)
        self.reader.pencil(loss, self.norms)
        loss.A0, loss.A1 = self.ranks.sum(loss.A0), self.ranks.sum(loss.A1)
        level = self.ranks.sum(float((shares / self.norms**2).sum()))
        return [loss, *(Pencil(shares, self.signs, own0=float(own.blocks), own1=level * own.products) for own in self.own)]


@dataclass(eq=False)
class SeparateImages(RowSums):
    """The terms of a crossing program, each through its own map. Every block has slopes of its own, those of v and of w too: to a
    pencil they are blocks of one copy."""

    maps: tuple[Any, ...]
    on_rows: tuple[bool, ...]
    ranks: SingleProcess = SINGLE_PROCESS
    signs: tuple[float, ...] = (1.0,)

    @property
    def X(self) -> Any:
        return next(K for K in self.maps if isinstance(K, CrossingMap)).X

    @property
    def size(self) -> int:
        return self.maps[0].shape[1]

    def predict(self, x: Any) -> Any:
        return self.maps[0].forward(x)

    def others(self, x: Any) -> list[Any]:
        return [K.forward(x) for K in self.maps[1:]]

    def forward(self, x: Any) -> list[Any]:
        return [self.predict(x), *self.others(x)]

    def back(self, q: Any) -> Any:
        return self.maps[0].adjoint(q)

    def weigh(self, weights: list[float]) -> None:
        self.weights = weights

    def adjoint(self, images: list[Any]) -> Any:
        return sum(w * K.adjoint(q) for K, q, w in zip(self.maps, images, self.weights, strict=True))

    def normal(self, x: Any) -> Any:
        return sum(w * K.adjoint(K.forward(x)) for K, w in zip(self.maps[1:], self.weights[1:], strict=True))

    def faces(self, functions: list[Any]) -> list[Any]:
        return functions

    def multipliers(self, q: list[Any]) -> list[Any]:
        return q

    def pencils(self) -> list[Pencil]:
        crossing = next(K for K in self.maps if isinstance(K, CrossingMap))
        out = [Pencil(self.shares(), self.signs, rest=np.zeros(2 * crossing.sizes[0])) for _ in self.maps]
        for K, pencil in zip(self.maps, out, strict=True):
            if isinstance(K, CrossingMap):
                _crossing_pencil(K, pencil)
            else:
                pencil.own0 += 1.0
                pencil.rest += isinstance(K, Identity)
        return out


def _crossing_pencil(K: CrossingMap, out: Pencil) -> None:
    P = K.sizes[0]
    for s, (_, up, down, share) in enumerate(K.sides):
        rows, copy = K.samples[s], slice((1 - s) * P, (2 - s) * P)
        lift = (1 - K.slope) * share.T
        L = np.concatenate([up, down] if s == 0 else [down, up])
        out.on_weights(L)
        L = L.copy()
        L[copy] += lift
        out.on_products(L, rows)
        out.A1[copy, copy] += out.share[rows].sum() * np.eye(P)
        out.rest[copy] += (lift**2).sum(axis=1) + ((1 - 2 * share) ** 2).sum(axis=0)


def images_of(program: Program) -> Images | SeparateImages:
    """The images of a program's terms."""
    first: Any = program.terms[0].map
    on_rows = tuple(t.on_rows for t in program.terms)
    if isinstance(first, CrossingMap):
        return SeparateImages(tuple(t.map for t in program.terms), on_rows)
    first, outputs = getattr(first, "one", first), getattr(first, "times", 1)
    X, shape = first.X, (outputs, len(first.signs), first.mask.shape[0], first.X.shape[1])
    norms, side, own = np.ones(len(X)), None, []
    for term in program.terms[1:]:
        K: Any = term.map.one if isinstance(term.map, Kron) else term.map
        parts: tuple[Any, ...] = K.maps if isinstance(K, Stacked) else (K,)
        own.append(Own(isinstance(parts[0], MaskedProduct), isinstance(parts[-1], Identity)))
        if own[-1].products:
            side = parts[0].mask.astype(np.float64)  # of both copies: the cones have the signs one
        if isinstance(term.function, Nonnegative):
            norms = np.linalg.norm(X, axis=1)
            norms = np.where(norms > 0, norms, 1.0)
    rows = X / norms[:, None]
    prediction = ReadPrediction(first.mask * norms)
    reader: Reader = prediction
    if isinstance(first, SampleWeights):
        reader = ReadSampleWeights(prediction, np.asarray(first.mask[:, first.grouping[1]], dtype=np.float64))
    ranks = program.ranks
    metric = ranks.sum(rows.T @ rows) if ranks.sum(float(len(X))) > X.shape[1] else None
    return Images(rows, norms, shape, first.signs, reader, tuple(own), side, metric, on_rows, ranks)


def unknown_map(program: Program) -> str | None:
    """What of a program ADMM does not take, in words; None when it takes it."""
    for term in program.terms:
        K: Any = term.map.one if isinstance(term.map, Kron) else term.map
        parts = K.maps if isinstance(K, Stacked) else (K,)
        if not all(isinstance(K, CrossingMap | Identity | Slice | MaskedProduct | SampleWeights) for K in parts):
            return f"the term {term.name!r} ({type(term.function).__name__} of {type(K).__name__})"
    return None
