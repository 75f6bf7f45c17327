"""K_j x of all terms at once.

The terms of a two-layer program read the same product S = X U of its blocks. Taken together they cost one product with X, and
one for all adjoints; apart they would cost one each. Images are lists, one flat array a term, in the order of the terms.

Rows of sign cones are divided by the norms of their samples: the cone is the same, and samples of all sizes count alike.
Each reader also says what it adds to the normal matrix, seen as  A0 (x) I + A1 (x) X'X  between blocks, where X' D X is
replaced by its mean (trace of D-weighted rows) X'X: the form that normal_system.py can invert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from relumodel.backend import Program
from relumodel.program.crossing import CrossingMap
from relumodel.program.functions import Nonnegative
from relumodel.program.maps import Identity, Leading, MaskedProduct, Repeated
from relumodel.program.ranks import ALONE, Alone
from relumodel.program.robust_maps import SampleWeights, Stacked

Matrix = NDArray[np.float64]


@dataclass
class Pencil:
    """K'K of a term:  own0 I + own1 X'X  on every block, and  s s' (x) (A0 (x) I + A1 (x) X'X)  on the copies of an output, whose signs
    are s, the same for every output. So what predictions do not read of the copies needs nothing but X'X; A0 and A1 are of order P,
    or 0 where a term has no such part. Then the diagonal of the variables after the blocks. share : (n,) |x_k|^2 / |X|_F^2."""

    share: NDArray[np.float64]
    signs: tuple[float, ...]
    A0: Any = 0.0
    A1: Any = 0.0
    own0: float = 0.0
    own1: float = 0.0
    rest: Any = 0.0

    def mean(self, curvature: float) -> float:
        """The mean of its diagonal over the blocks. curvature : that of the diagonal of X'X."""
        read = sum(factor * np.diagonal(A).mean() for A, factor in ((self.A0, 1.0), (self.A1, curvature)) if np.ndim(A))
        return float(self.own0 + self.own1 * curvature + np.square(self.signs).mean() * read)

    def on_weights(self, slopes: Matrix) -> None:
        """sum_k |sum_b slopes_bk u_b|^2, u the signed sum of the copies; slopes (P, n)."""
        self.A0 = self.A0 + slopes @ slopes.T

    def on_products(self, slopes: Matrix, rows: Any = slice(None)) -> None:
        """sum_k (sum_b slopes_bk x_k.u_b)^2 over some rows of X; slopes (P, rows)."""
        self.A1 = self.A1 + (slopes * self.share[rows]) @ slopes.T


class Reader:
    """One term on U (C, P, d) and S = X U (C, P, n)."""

    def read(self, U: Any, S: Any) -> Any:
        """K x, flat, in memory of its own."""
        raise NotImplementedError

    def back(self, q: Any, on_u: Any, on_s: Any) -> tuple[Any, Any]:
        """K'q added to what is on U and on S, None being nothing; what is on S may be changed in place."""
        raise NotImplementedError

    def pencil(self, out: Pencil) -> None:
        """Add K'K."""
        raise NotImplementedError


@dataclass(eq=False)
class ReadPrediction(Reader):
    """sum over copies and patterns of sign * mask * S."""

    mask: Any
    signs: tuple[float, ...]

    def read(self, U: Any, S: Any) -> Any:
        total = S[0, ...] - S[1, ...] if self.signs == (1.0, -1.0) else sum(s * S[c, ...] for c, s in enumerate(self.signs))
        return array_namespace(S).sum(total * self.mask, axis=0)

    def back(self, q: Any, on_u: Any, on_s: Any) -> tuple[Any, Any]:
        once = q * self.mask
        if on_s is None:
            return on_u, array_namespace(once).stack([once if s == 1 else s * once for s in self.signs])
        for c, s in enumerate(self.signs):
            on_s[c, ...] += once if s == 1 else s * once
        return on_u, on_s

    def pencil(self, out: Pencil) -> None:
        out.on_products(self.mask)


@dataclass(eq=False)
class ReadOutputs(Reader):
    """The prediction of each output from copies of its own, one output after another."""

    one: ReadPrediction
    outputs: int

    def read(self, U: Any, S: Any) -> Any:
        C = len(self.one.signs)
        return array_namespace(S).concat([self.one.read(U, S[r * C : (r + 1) * C, ...]) for r in range(self.outputs)])

    def back(self, q: Any, on_u: Any, on_s: Any) -> tuple[Any, Any]:
        xp = array_namespace(q)
        parts = xp.reshape(q, (self.outputs, -1))
        return on_u, _plus(on_s, xp.concat([self.one.back(parts[r, :], None, None)[1] for r in range(self.outputs)]))

    def pencil(self, out: Pencil) -> None:
        self.one.pencil(out)


@dataclass(eq=False)
class ReadSides(Reader):
    """side * S, row by row; side (P, n) holds the signs over the norms of the samples."""

    side: Any
    shape: tuple[int, int, int]

    def read(self, U: Any, S: Any) -> Any:
        return array_namespace(S).reshape(S * self.side, (-1,))

    def back(self, q: Any, on_u: Any, on_s: Any) -> tuple[Any, Any]:
        return on_u, _plus(on_s, array_namespace(q).reshape(q, self.shape) * self.side)

    def pencil(self, out: Pencil) -> None:
        out.own1 += float((self.side[0] ** 2 * out.share).sum())  # the squares of signs, so the same for every pattern


@dataclass(eq=False)
class ReadBlocks(Reader):
    """U itself."""

    shape: tuple[int, int, int]

    def read(self, U: Any, S: Any) -> Any:
        return array_namespace(U).reshape(U, (-1,), copy=True)

    def back(self, q: Any, on_u: Any, on_s: Any) -> tuple[Any, Any]:
        own = array_namespace(q).reshape(q, self.shape)
        return (own if on_u is None else on_u + own), on_s

    def pencil(self, out: Pencil) -> None:
        out.own0 += 1.0


@dataclass(eq=False)
class ReadSampleWeights(Reader):
    """The prediction, then the weights of each group of samples; slopes (P, groups)."""

    prediction: ReadPrediction
    slopes: Any
    n: int

    def read(self, U: Any, S: Any) -> Any:
        xp = array_namespace(U)
        total = sum(s * U[c, ...] for c, s in enumerate(self.prediction.signs))
        return xp.concat([self.prediction.read(U, S), xp.reshape(self.slopes.T @ total, (-1,))])

    def back(self, q: Any, on_u: Any, on_s: Any) -> tuple[Any, Any]:
        xp = array_namespace(q)
        G = self.slopes @ xp.reshape(q[self.n :], (self.slopes.shape[1], -1))
        on_u = _plus(on_u, xp.stack([s * G for s in self.prediction.signs]))
        return self.prediction.back(q[: self.n], on_u, on_s)

    def pencil(self, out: Pencil) -> None:
        self.prediction.pencil(out)
        out.on_weights(self.slopes)


@dataclass(eq=False)
class ReadStacked(Reader):
    """Readers side by side."""

    readers: tuple[Reader, ...]
    sizes: tuple[int, ...]

    def read(self, U: Any, S: Any) -> Any:
        return array_namespace(U).concat([reader.read(U, S) for reader in self.readers])

    def back(self, q: Any, on_u: Any, on_s: Any) -> tuple[Any, Any]:
        start = 0
        for reader, size in zip(self.readers, self.sizes, strict=True):
            on_u, on_s = reader.back(q[start : start + size], on_u, on_s)
            start += size
        return on_u, on_s

    def pencil(self, out: Pencil) -> None:
        for reader in self.readers:
            reader.pencil(out)


def _plus(a: Any, b: Any) -> Any:
    """a + b, in the place of b; b where there is no a."""
    if a is not None:
        b += a
    return b


class RowSums:
    """What is summed over the rows of X, which may be those of this process alone: others then add theirs.

    on_rows : which images have entries of their own for every row; the others are the same on every rank.
    """

    X: Any
    on_rows: tuple[bool, ...]
    ranks: Alone

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
    """All terms of a program. scales : what each image is divided by.  signs : those of the copies of one output. Those of a program
    are NumPy's, in float64, and know their `pencils`; `converted` makes those of an iteration from them."""

    X: Any
    shape: tuple[int, int, int]
    signs: tuple[float, ...]
    readers: tuple[Reader, ...]
    scales: tuple[Any, ...]
    on_rows: tuple[bool, ...]
    ranks: Alone = ALONE

    @property
    def size(self) -> int:
        C, P, d = self.shape
        return C * P * d

    def forward(self, x: Any) -> list[Any]:
        xp = array_namespace(x)
        C, P, d = self.shape
        S = xp.reshape(xp.reshape(x, (C * P, d)) @ self.X.T, (C, P, -1))
        U = xp.reshape(x, self.shape)
        return [reader.read(U, S) for reader in self.readers]

    def adjoint(self, images: list[Any]) -> Any:
        on_u, on_s = None, None
        for reader, q in zip(self.readers[::-1], images[::-1], strict=True):  # cones first: what the loss adds to them is cheap
            on_u, on_s = reader.back(q, on_u, on_s)
        xp = array_namespace(on_s)
        C, P, _ = self.shape
        out = xp.reshape(self.ranks.sum(xp.reshape(on_s, (C * P, -1)) @ self.X), self.shape)
        return xp.reshape(out if on_u is None else out + on_u, (-1,))

    def pencils(self) -> list[Pencil]:
        """K_j'K_j of every term."""
        shares = self.shares()
        out = [Pencil(shares, self.signs) for _ in self.readers]
        for reader, pencil, on_rows in zip(self.readers, out, self.on_rows, strict=True):
            reader.pencil(pencil)
            if on_rows:
                pencil.own1, pencil.A0, pencil.A1 = (self.ranks.sum(part) for part in (pencil.own1, pencil.A0, pencil.A1))
        return out


@dataclass(eq=False)
class SeparateImages(RowSums):
    """The terms of a crossing program, each through its own map. Every block has slopes of its own, those of v and of w too: to a
    pencil they are blocks of one copy."""

    maps: tuple[Any, ...]
    on_rows: tuple[bool, ...]
    ranks: Alone = ALONE
    signs: tuple[float, ...] = (1.0,)

    @property
    def X(self) -> Any:
        return next(K for K in self.maps if isinstance(K, CrossingMap)).X

    @property
    def scales(self) -> tuple[Any, ...]:
        return (1.0,) * len(self.maps)

    @property
    def size(self) -> int:
        return self.maps[0].shape[1]

    def forward(self, x: Any) -> list[Any]:
        return [1.0 * K.forward(x) for K in self.maps]  # some maps hand on x itself

    def adjoint(self, images: list[Any]) -> Any:
        return sum(K.adjoint(q) for K, q in zip(self.maps, images, strict=True))

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
    shape = (outputs * len(first.signs), first.mask.shape[0], first.X.shape[1])
    readers, scales = [], []
    for term in program.terms:
        norms: Any = 1.0
        if isinstance(term.function, Nonnegative):
            norms = np.linalg.norm(first.X, axis=1)
            norms = np.where(norms > 0, norms, 1.0)
        readers.append(_reader(term.map, shape, norms))
        scales.append(norms)
    return Images(first.X, shape, first.signs, tuple(readers), tuple(scales), on_rows)


def _reader(K: Any, shape: tuple[int, int, int], norms: Any) -> Reader:
    """How a map reads U and S."""
    if isinstance(K, Repeated):
        one = _reader(K.one, shape, norms)
        return ReadOutputs(one, K.times) if isinstance(one, ReadPrediction) else one
    if isinstance(K, Identity):
        return ReadBlocks(shape)
    if isinstance(K, Stacked):
        return ReadStacked(tuple(_reader(part, shape, norms) for part in K.maps), tuple(part.shape[0] for part in K.maps))
    mask = np.asarray(K.mask, dtype=np.float64)
    if isinstance(K, SampleWeights):
        return ReadSampleWeights(ReadPrediction(mask, K.signs), mask[:, K.grouping[1]], K.X.shape[0])
    assert isinstance(K, MaskedProduct)
    if K.summed:
        return ReadPrediction(mask, K.signs)
    return ReadSides(mask / norms, (shape[0], shape[1], K.X.shape[0]))  # the cones of both copies have sign one


def unknown_map(program: Program) -> str | None:
    """What of a program ADMM does not take, in words; None when it takes it."""
    for term in program.terms:
        K: Any = term.map.one if isinstance(term.map, Repeated) else term.map
        parts = K.maps if isinstance(K, Stacked) else (K,)
        if not all(isinstance(K, CrossingMap | Identity | Leading | MaskedProduct | SampleWeights) for K in parts):
            return f"the term {term.name!r} ({type(term.function).__name__} of {type(K).__name__})"
    return None
