"""Map a function over items on every core, in order."""

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Map a function over items on every core; yield each item with its result, in order.

    Threads suffice, since TensorFlow releases Python's lock. At most one item more than there are
    threads is held. `TF_NUM_INTRAOP_THREADS` limits the threads as it limits TensorFlow's.
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
