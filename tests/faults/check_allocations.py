"""Runs operations of the core while each of their allocations fails in turn, under `failing_allocations`."""

from __future__ import annotations

import faulthandler
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import failing_allocations

from tests.faults.core_operations import OPERATIONS, Operation

# A block that is left each time would be left in all of these: first a few, then enough to tell a leak from a cache.
ROUNDS, MANY_ROUNDS = 3, 200
# Seconds after which work has not ended because a thread waits for ever.
PATIENCE = 100


LEFT: list[object] = []


def leak(_: object) -> str:
    LEFT.append(object())
    return str(list(range(300, 400)))


def answer_wrongly(_: object) -> str:
    try:
        return str(list(range(300, 400)))
    except MemoryError:
        return "[]"


def raise_another(_: object) -> str:
    try:
        return str(list(range(300, 400)))
    except MemoryError:
        raise KeyError("another error") from None


# Work that is wrong where memory runs out: what is checked here must be seen.
BROKEN = {
    "a leak": Operation(lambda: None, leak),
    "a wrong result": Operation(lambda: None, answer_wrongly),
    "a wrong error": Operation(lambda: None, raise_another),
}


class Unraisable:
    """Notes errors that something swallowed."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        sys.unraisablehook = self.note

    def note(self, unraisable: Any) -> None:
        self.errors.append(f"{unraisable.err_msg}: {unraisable.exc_value!r} in {unraisable.object!r}")


def check(operation: Operation, always: bool, stride: int, *, uses_threads: bool = False) -> Iterator[str]:
    """Lets each allocation of an operation fail, until it succeeds without a failure.

    Args:
        operation: The operation.
        always: True if all later allocations fail, too.
        stride: 1 for each allocation, or every how manyth.
        uses_threads: True if it is another allocation each time: what is left by one can't be counted.

    Yields:
        What is wrong.
    """
    unraisable = Unraisable()
    for _ in range(3):
        good = operation.show(operation.work(operation.prepare()))
    first = 0
    while True:
        failures, fault = attempt(operation, first, always, good)
        if unraisable.errors:
            fault = fault or f"an error was swallowed: {unraisable.errors.pop()}"
            unraisable.errors.clear()
        if fault:
            yield f"allocation {first}: {fault}{place()}"
        elif failures and not uses_threads and leaks(operation, first, always):
            yield f"allocation {first}: memory is left each time{place()}"
        if not failures:
            return
        first += stride


def attempt(operation: Operation, first: int, always: bool, good: Any) -> tuple[int, str]:
    """Does an operation while an allocation fails. Returns how many have failed, and what is wrong."""
    # Shows where each thread waits, and ends the process, without memory.
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    # CPython has some errors in reserve. It loses a few, and ends the process if it needs more than are left.
    reserve = [MemoryError() for _ in range(16)]
    del reserve
    objects = operation.prepare()
    failures, result, error = failing_allocations.run(lambda: operation.work(objects), first, always)
    if error is None:
        shown = operation.show(result)
        if shown != good:
            return failures, f"a wrong result: {difference(shown, good)}"
    elif not is_expected(error):
        return failures, f"another error: {error!r}"
    elif not failures:
        return failures, "an error although no allocation failed"
    del result, error
    try:
        again = operation.show(operation.work(objects))
    except Exception as raised:
        return failures, "" if not operation.repeats else f"done again, {raised!r}"
    return failures, "" if again == good else f"done again, a wrong result: {difference(again, good)}"


def is_expected(error: BaseException) -> bool:
    """Returns True for the errors that a lack of memory may raise."""
    if isinstance(error, MemoryError):
        return True
    # A consumer of an Arrow stream gets its errors as text; and CPython has an error of its own for locks.
    return "MemoryError" in str(error) or str(error) == "can't allocate lock"


def difference(result: str, good: str) -> str:
    """Returns where two results differ."""
    at = next((at for at, pair in enumerate(zip(result, good, strict=False)) if pair[0] != pair[1]), 0)
    return f"{result[max(at - 40, 0) : at + 80]!r} instead of {good[max(at - 40, 0) : at + 80]!r}"


def leaks(operation: Operation, first: int, always: bool) -> bool:
    """Returns True if each failure of an allocation leaves memory behind."""

    are_known: set[bool] = set()

    def fail() -> None:
        objects = operation.prepare()
        failing_allocations.run(lambda: operation.work(objects), first, always)
        # Not always is it the same allocation: Python keeps some objects for later.
        are_known.add(is_known_leak())

    before = live_after(fail)
    for _ in range(ROUNDS):
        after = live_after(fail)
        if after <= before:
            return False
        before = after
    return growth(fail) - growth(operation.prepare) >= MANY_ROUNDS * 0.9 and True not in are_known


def growth(work: Callable[[], object]) -> int:
    """Returns how many more blocks are allocated after many rounds."""
    before = live_after(work)
    for _ in range(MANY_ROUNDS - 1):
        work()
    return live_after(work) - before


def is_known_leak() -> bool:
    """Returns True if Python itself leaks where the allocation failed.

    CPython 3.11's `list(x)` keeps a reference to the list `x` if it can't allocate the items.
    """
    return any(name == "PySequence_List" for _, _, name in failing_allocations.where()[:6])


def live_after(work: Callable[[], object]) -> int:
    """Returns how many blocks are allocated after some work, the result of which is dropped."""
    work()
    # A traceback refers to its own frame.
    gc.collect()
    return int(failing_allocations.live())


def place() -> str:
    """Returns where the allocation is, as file+offset of the innermost frames."""
    frames = failing_allocations.where()[2:14]
    return "".join(f"\n    {path.rpartition('/')[2]}+{offset:#x} {name or ''}" for path, offset, name in frames)


def main() -> int:
    stride, names = int(sys.argv[1]), sys.argv[2:]
    failing_allocations.record(True)
    # What is there already is not looked at each time.
    gc.freeze()
    found: list[str] = []
    operations = OPERATIONS | BROKEN
    if any(name.startswith("threads") for name in names):
        # Starts threads.
        from tests.faults.thread_operations import THREAD_OPERATIONS

        operations |= THREAD_OPERATIONS
    for name in names:
        for always in (False, True):
            for fault in check(operations[name], always, stride, uses_threads=name.startswith("threads")):
                found.append(fault)
                sys.stdout.write(f"{name}, {'all' if always else 'one'} from {fault}" + "\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
