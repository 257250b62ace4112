"""The batches of a fit, drawn by other processes while the network learns.

Every window has a number, counted over the whole fit, and is drawn from a random generator of that number's own. So it
is the same whoever draws it, and when: with any number of processes, and in a fit that is taken up in the middle.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator
from threading import Thread

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.tasks.task import Sampler

Batch = tuple[Tensor, Tensor, Tensor]
"""Windows (B, T, V, 3), truth (B,) or (B, T), signers (B,)."""
Arrays = tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]
"""The same, as they come from another process: to send arrays costs less than to share the memory of tensors."""


class Batches(Dataset[Arrays]):
    """Number of a batch -> its windows.

    sampler: draws each. seed: of the fit. size: windows in a batch, of which this is the process number `rank` of
    `ranks` that share them; each has its part. Raises ValueError for a size that cannot be shared.
    """

    def __init__(self, sampler: Sampler, seed: int, size: int, rank: int = 0, ranks: int = 1) -> None:
        if size % ranks:
            raise ValueError(f"a batch of {size} cannot be shared by {ranks} processes")
        self._sampler, self._seed, self._size = sampler, seed, size
        self._share = size // ranks
        self._first = rank * self._share

    def __getitem__(self, number: int) -> Arrays:
        """(B, T, V, 3), (B,) or (B, T), (B,)."""
        first = number * self._size + self._first
        numbers = range(first, first + self._share)
        drawn = [self._sampler.draw(np.random.default_rng(seed_of(self._seed, window))) for window in numbers]
        windows, truth, signers = zip(*drawn, strict=True)
        return np.stack(windows), np.stack(truth), np.array(signers)

    def drawn(self, numbers: range, workers: int) -> Iterator[Batch]:
        """The batches of these numbers, in their order, each drawn before it is asked for; on the CPU.

        workers: processes that draw, which end with the iterator, or with this process, however that ends; 0 draws
        here, when asked. An error of the sampler is raised here.
        """
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            worker_init_fn=_end_with_parent,
            collate_fn=tuple,  # as they are: tensors would be shared
            # A fork takes no time and shares the clips. It has none of torch's threads, and needs none to draw.
            multiprocessing_context=("fork" if sys.platform == "linux" else "spawn") if workers else None,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork", DeprecationWarning)  # Python 3.12
            drawn = iter(loader)
        return (
            (torch.from_numpy(windows), torch.from_numpy(truth), torch.from_numpy(signers))
            for windows, truth, signers in drawn
        )


def _end_with_parent(worker: int) -> None:
    """In a process that draws: end it as soon as its parent does, killed or not, even while it hands over a batch."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def seed_of(seed: int, *numbers: int) -> np.random.SeedSequence:
    """Of what is numbered so in a fit of this seed; unlike that of any other numbers, or of more or fewer."""
    return np.random.SeedSequence(seed, spawn_key=numbers)
