"""A DataLoader that reads items of a dataset in forked workers, in order, as PyTorch's does on Linux."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any


class DataLoader:
    """Yields batches of a map-style dataset.

    Args:
        dataset: Has `__len__` and `__getitem__`.
        batch_size: Items in a batch.
        num_workers: Forked processes.
        collate_fn: Makes a batch of items.
    """

    def __init__(
        self, dataset: Any, batch_size: int = 1, *, num_workers: int = 0, collate_fn: Callable[[list[Any]], Any] = list
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.collate_fn = collate_fn

    def __iter__(self) -> Iterator[Any]:
        context = multiprocessing.get_context("fork")
        batches = [
            range(first, min(first + self.batch_size, len(self.dataset)))
            for first in range(0, len(self.dataset), self.batch_size)
        ]
        workers = []
        for number in range(self.num_workers):
            receiver, sender = context.Pipe(duplex=False)
            worker = context.Process(target=self._work, args=(batches[number :: self.num_workers], sender), daemon=True)
            worker.start()
            sender.close()
            workers.append((worker, receiver))
        for place in range(len(batches)):
            found = workers[place % self.num_workers][1].recv()
            if isinstance(found, Exception):
                raise found
            yield found
        for worker, _ in workers:
            worker.join()

    def _work(self, batches: list[range], sender: Any) -> None:
        for batch in batches:
            try:
                found = self.collate_fn([self.dataset[place] for place in batch])
            except Exception as error:
                found = error
            sender.send(found)
