"""Who else holds rows of a program's data: what processes with rows of their own have to tell each other.

Every process (a rank) runs the same script on its own rows. What all of them compute alike (points, bounds, decisions) rests on the
operations here alone, so that it is the same on every one of them. Each operation is one of all ranks together: one that only some
of them call never ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, InputTypeError, MissingPackageError, RankError


class SingleProcess:
    """One process that holds all rows: it has nobody to ask."""

    size = 1
    rank = 0

    #: rows of every rank
    rows: tuple[int, ...] = ()

    def sum(self, values: Any) -> Any:
        """The sum over all ranks of a number or an array; a tensor may be overwritten."""
        return values

    def largest(self, values: Any) -> Any:
        """The largest over all ranks, of a number or entry by entry."""
        return values

    def all(self, flags: Any) -> Any:
        """Whether it holds on all ranks, of one flag or entry by entry."""
        return flags

    def any(self, flags: Any) -> Any:
        """Whether it holds on some rank, of one flag or entry by entry."""
        return flags

    def same(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Those of rank 0."""
        return values

    def gather(self, content: bytes) -> list[bytes]:
        """What every rank has."""
        return [content]

    def stack(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], slice]:
        """The rows of all ranks (k, ...), those of rank 0 first, and where those given here are among them."""
        return rows, slice(0, len(rows))

    @contextmanager
    def together(self) -> Iterator[None]:
        """An error of one rank in the body becomes one of all, in the words of that rank. For work that asks nobody."""
        yield

    def agree(self, description: Mapping[str, Any]) -> None:
        """An `InputError` on every rank that names the first thing of which two ranks have not the same."""


SINGLE_PROCESS = SingleProcess()


class Ranks(SingleProcess):
    """The processes of a torch.distributed group.

    Raises `InputError` or `InputTypeError` for anything that is not an initialised group this process belongs to.
    A lost rank or a timeout in any operation is a `RankError`.
    """

    def __init__(self, group: Any) -> None:
        try:
            import torch
            import torch.distributed as dist
        except ImportError as error:
            raise MissingPackageError("group= needs the package torch: pip install 'relumodel[torch]'.") from error
        if not dist.is_available() or not dist.is_initialized():
            raise InputError(
                "group= needs an initialised process group; call torch.distributed.init_process_group('gloo') first (its ranks come from "
                "torchrun), or leave group out to train in this process alone."
            )
        if group == dist.GroupMember.NON_GROUP_MEMBER:
            raise InputError("This process does not belong to the group; only its members may compile on it.")
        if not isinstance(group, dist.ProcessGroup):
            raise InputTypeError(f"group must be a torch.distributed process group, for example dist.group.WORLD; got {group!r}.")
        self.torch, self.dist, self.group = torch, dist, group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        #: device type -> what carries its tensors, e.g. {"cpu": "gloo", "cuda": "nccl"}
        self.carriers = dict(pair.split(":") for pair in str(dist.get_backend_config(group)).split(","))

    def __str__(self) -> str:
        rows = " + ".join(f"{count:,}" for count in self.rows)
        return f"{rows} rows on {self.size} ranks ({', '.join(sorted(set(self.carriers.values())))}); this is rank {self.rank}"

    def __reduce__(self) -> Any:
        raise InputTypeError("A program of a group stays in its process; send or save the network: solution.network().save(path).")

    def sum(self, values: Any) -> Any:
        return self._reduced(values, self.dist.ReduceOp.SUM)

    def largest(self, values: Any) -> Any:
        return self._reduced(values, self.dist.ReduceOp.MAX)

    def any(self, flags: Any) -> Any:
        found = self.largest(np.asarray(flags, dtype=np.float64))
        return found > 0 if np.ndim(flags) else bool(found)

    def all(self, flags: Any) -> Any:
        return ~self.any(~np.asarray(flags)) if np.ndim(flags) else not self.any(not flags)

    def same(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        tensor = self._on_carrier(self.torch.tensor(values))
        with self._talking():
            self.dist.broadcast(tensor, src=self.dist.get_global_rank(self.group, 0), group=self.group)
        return tensor.cpu().numpy()

    def gather(self, content: bytes) -> list[bytes]:
        sizes = [0.0] * self.size
        sizes[self.rank] = float(len(content))
        lengths = [int(size) for size in self.sum(np.array(sizes))]
        padded = self._on_carrier(self.torch.zeros(max(*lengths, 1), dtype=self.torch.uint8))
        padded[: len(content)] = self.torch.tensor(list(content), dtype=self.torch.uint8)
        parts = [self.torch.empty_like(padded) for _ in lengths]
        with self._talking():
            self.dist.all_gather(parts, padded, group=self.group)
        return [part[:length].cpu().numpy().tobytes() for part, length in zip(parts, lengths, strict=True)]

    def stack(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], slice]:
        parts = [np.frombuffer(part).reshape(-1, *rows.shape[1:]) for part in self.gather(np.ascontiguousarray(rows).tobytes())]
        start = sum(len(part) for part in parts[: self.rank])
        return np.concatenate(parts), slice(start, start + len(rows))

    @contextmanager
    def together(self) -> Iterator[None]:
        own: Exception | None = None
        try:
            yield
        except RankError:
            raise
        except Exception as error:
            own = error
        words = self.gather(b"" if own is None else f"{type(own).__name__}: {own}".encode())
        if own is not None:
            raise own
        for rank, text in enumerate(words):
            if text:
                raise InputError(f"Rank {rank} stopped with {text.decode()}")

    def agree(self, description: Mapping[str, Any]) -> None:
        told = [json.loads(part) for part in self.gather(json.dumps(description, default=str).encode())]
        for what in description:
            for rank, theirs in enumerate(told):
                if theirs[what] != told[0][what]:
                    one, other = (str(value) for value in (told[0][what], theirs[what]))
                    raise InputError(f"The ranks must have the same {what}: rank 0 has {one:.300}, rank {rank} has {other:.300}.")

    def _reduced(self, values: Any, operation: Any) -> Any:
        tensor = values if isinstance(values, self.torch.Tensor) else self.torch.tensor(values, dtype=self.torch.float64)
        carried = self._on_carrier(tensor.contiguous())
        with self._talking():
            self.dist.all_reduce(carried, op=operation, group=self.group)
        if isinstance(values, self.torch.Tensor):
            return carried.to(values.device)
        return carried.cpu().numpy() if isinstance(values, np.ndarray) and values.ndim else float(carried)

    def _on_carrier(self, tensor: Any) -> Any:
        """The tensor where the group can carry it: nccl knows those of CUDA devices only."""
        if tensor.device.type in self.carriers:
            return tensor
        return tensor.cpu() if "cpu" in self.carriers else tensor.to("cuda")

    @contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # how every carrier tells of a lost peer and of a timeout
            words = re.sub(r"^\[[^]]*] ", "", str(error).strip().splitlines()[0])  # without the place in the source of gloo
            raise RankError(
                f"Rank {self.rank} of {self.size} lost contact with another rank, which ended, hangs or cannot be reached ({words:.100}). "
                "Start all ranks again; a solve with checkpoint= then goes on from its last checkpoint."
            ) from error
