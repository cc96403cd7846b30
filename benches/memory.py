"""Peak memory of a contestant, measured in a separate process."""

from __future__ import annotations

import gc

from benches.apart import call_apart, forget_peak, resident_bytes
from benches.case import WARM_UP, Case, Inputs, InputsT, run
from benches.cases import CASES

__all__ = ["peak_memory"]


def peak_memory(case: Case[InputsT], side: str, inputs: InputsT) -> int:
    """Measures the memory that a contestant needs in addition to its input.

    Args:
        case: The case.
        side: ``"peer"`` or ``"ours"``.
        inputs: The input.

    Returns:
        The peak growth of resident memory in bytes. The baseline has everything imported and used once on a small
        input, and the input in memory.
    """
    return call_apart(_rise, case.name, side, case.inputs(WARM_UP), inputs)


def _rise(case_name: str, side: str, warm_up: Inputs, inputs: Inputs) -> int:
    contestant = CASES[case_name].contestant(side)
    run(contestant, warm_up)
    gc.collect()
    forget_peak()
    before = resident_bytes()
    run(contestant, inputs)
    return max(0, resident_bytes("VmHWM") - before)
