"""Does every operation of the core some times, for LeakSanitizer to find at the end what is left."""

from __future__ import annotations

import gc
import sys

from tests.faults.core_operations import OPERATIONS

TIMES = 5


def count_objects() -> int:
    """Returns how many containers there are: LeakSanitizer reaches them by the collector's list of them."""
    gc.collect()
    return len(gc.get_objects())


def main() -> int:
    left = []
    for name, operation in OPERATIONS.items():
        counts = []
        for _ in range(TIMES):
            operation.show(operation.work(operation.prepare()))
            counts.append(count_objects())
        # The first times fill caches.
        if counts[-1] > counts[-2] > counts[-3]:
            left.append(name)
            sys.stdout.write(f"{name}: containers are left each time\n")
    sys.stdout.write(f"{len(OPERATIONS)} operations\n")
    return bool(left)


if __name__ == "__main__":
    sys.exit(main())
