"""Rows on derivatives: whether they are continuous, and grow at most like a power."""

import itertools
import math

import torch

from ...ground.errors import InputError
from ...landscapes.networks.kinks import kinked_operations
from .jumps import Jump, find_jump
from .subject import Subject
from .verdict import COROLLARY, FAILS, HOLDS, THEOREM_4_1, THEOREM_4_2, UNDECIDED, CheckedAssumption, Verdict

__all__ = ["growth_row", "smoothness_row"]

_LINES, _LARGE = 2, 1_000_000  # ours: random lines on which a jump is looked for; one where types or size say so
_SOURCE = (
    "Luo et al. 2024, Appendix A.2 (continuous third derivatives, for Theorem 4.1) and Assumption 1 of A.1 (continuous "
    "differentiability, for Theorem 4.2); the fourth derivative: docs/theory.md, section 6"
)


def _lines(subject: Subject) -> int:
    return _LINES if subject.known.unknown and subject.dim < _LARGE else 1


def _measured_jump(subject: Subject) -> tuple[Jump | None, str]:
    """The result on random lines, or why there is none."""
    subject.progress("jumps of derivatives on random lines")
    landscape = subject.few
    x = landscape.point()
    # Of the length of x: a line that stays near x may cross no kink.
    rows = subject.directions(_lines(subject)).to(landscape.device, torch.float64) * float(x.norm())
    # Known types are looked at where they say that a jump is; third derivatives of a transformer take minutes.
    first = min(subject.known.jumps.values(), default=1)
    orders = (1, 2, 3) if _lines(subject) == _LINES else (first,)
    try:
        return find_jump(landscape, x, rows, orders), ""
    except (InputError, NotImplementedError) as error:
        return None, str(error).splitlines()[0]


def smoothness_row(subject: Subject) -> CheckedAssumption:
    """Continuous derivatives of orders three and four, from the modules' types and from numbers on lines."""
    known = subject.known
    jump, refused = _measured_jump(subject)
    operations = kinked_operations(subject.few)
    numbers = {
        "kinked_modules": sorted(known.jumps),
        "unknown_modules": known.unknown,
        "kinked_operations": operations,
        "lowest_order": min(known.jumps.values(), default=None),
        "lines": _lines(subject),
        "jump_found": None if jump is None else jump.found,
        "jump_order": None if jump is None else jump.order,
        "jump": None if jump is None else jump.change,
        "share_left": None if jump is None else jump.share,
        "refused": refused,
    }
    measured = (
        " On random lines derivatives were not taken: {refused}"
        if jump is None
        else " On {lines} random line(s) derivative {jump_order} changes by {jump} across the last interval, "
        "{share_left} of what it was ten halvings before (a jump keeps 1, a smooth one about 0.001)."
    )
    verdict: Verdict
    if known.jumps:
        verdict, ground = FAILS, "proof"
        reason = (
            "{kinked_modules}: derivative {lowest_order} jumps where a unit is at its kink; derivatives exist almost "
            "everywhere only."
        )
    elif jump is not None and jump.found:
        verdict, ground = FAILS, "sampled"
        reason = "A derivative jumps, as numbers show (operations with kinks: {kinked_operations})."
    elif known.unknown:
        verdict, ground = UNDECIDED, "sampled"
        reason = (
            "The forward pass of {unknown_modules} is not known here, and a sample cannot say that it is smooth "
            "(operations with kinks: {kinked_operations})."
        )
    else:
        verdict, ground = HOLDS, "proof"
        reason = "All modules and the cross-entropy have continuous derivatives of every order."
        if known.torch_softplus:
            reason += " (torch replaces softplus by the identity above 20, where they differ by 2e-9.)"
    return CheckedAssumption(
        "continuous third and fourth derivatives",
        (THEOREM_4_1, THEOREM_4_2, COROLLARY),
        verdict,
        ground,  # type: ignore[arg-type]
        reason + measured,
        numbers,
        _SOURCE,
    )


def growth_row(subject: Subject) -> CheckedAssumption:
    """Polynomial growth of the loss and its derivatives, from the modules' types and along the ray of ``x``."""
    subject.progress("growth of the loss")
    landscape, known = subject.few, subject.known
    x = landscape.point()
    if subject.head is not None:  # outputs with the other sign: else a trained network's loss falls to 0
        x = torch.where(subject.head.mask, -x, x)
    with torch.no_grad():
        losses = [float(landscape.loss(2.0**k * x)) for k in range(7)]
    pairs = list(itertools.pairwise(losses))
    exponents = [
        math.log2(after / before) if math.isfinite(after) and after > 0 < before else None for before, after in pairs
    ]
    finite = [each for each in exponents if each is not None]
    largest = max(finite, default=None)
    broken = any(not math.isfinite(loss) for loss in losses)
    numbers = {
        "losses_at_doublings": [loss if math.isfinite(loss) else None for loss in losses],
        "largest_exponent": largest,
        "kinked_modules": sorted(known.jumps),
        "unknown_modules": known.unknown,
    }
    measured = (
        " On the ray through x, the last layer's sign changed, the loss grows by at most 2^{largest_exponent} per "
        "doubling of |x|."
    )
    verdict: Verdict
    if known.jumps:
        verdict, ground = FAILS, "proof"
        reason = "Derivatives of {kinked_modules} do not exist everywhere; where they do, they grow like a power."
    elif not known.unknown:
        verdict, ground = HOLDS, "proof"
        reason = (
            "Each module and the cross-entropy have derivatives that grow at most like a power of parameters and "
            "inputs, and sums, products and chains of such functions have, too."
        )
    elif broken or (finite and finite[-1] > 20 and finite == sorted(finite)):
        verdict, ground = FAILS, "sampled"
        reason = "The exponent itself grows along the ray, or the loss overflows."
    else:
        verdict, ground = UNDECIDED, "sampled"
        reason = "The forward pass of {unknown_modules} is not known here."
    return CheckedAssumption(
        "polynomial growth of loss and derivatives",
        (THEOREM_4_2, COROLLARY),
        verdict,
        ground,  # type: ignore[arg-type]
        reason + measured,
        numbers,
        "Luo et al. 2024, Assumption 1 in Appendix A.1, as the authors' answer to a review has it",
    )
