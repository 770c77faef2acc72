"""Work on every core, in the order of what it is made of."""

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Items with what a function makes of them, in order, computed on every core.

    TensorFlow lets go of Python's lock; no more items are drawn than there are threads, and one.
    Where TensorFlow itself is told to use fewer cores, so many are used.
    """
    threads = int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or os.cpu_count() or 1
    waiting: collections.deque[tuple[T, concurrent.futures.Future[R]]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > threads:
                item, future = waiting.popleft()
                yield item, future.result()
        for item, future in waiting:
            yield item, future.result()
