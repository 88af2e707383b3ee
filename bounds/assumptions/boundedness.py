"""Rows on the loss's range and the parameters' domain."""

from typing import Any

import torch

from .subject import Subject
from .verdict import FAILS, HOLDS, THEOREM_4_1, UNDECIDED, CheckedAssumption

__all__ = ["bounded_loss_rows", "domain_row"]

_SOURCE = "Luo et al. 2024, Appendix A.2, as the authors' answer to a review has it"


def bounded_loss_rows(subject: Subject) -> list[CheckedAssumption]:
    """The cross-entropy that was trained, and the loss that bounds use instead."""
    subject.progress("range of the loss")
    landscape, head = subject.few, subject.head
    x = landscape.point()
    smoothing = subject.run.settings.get("label_smoothing") or 0.0
    numbers: dict[str, Any] = {"slope": None, "losses": None, "label_smoothing": float(smoothing)}
    if head is None or head.slope <= 0:
        trained = CheckedAssumption(
            "bounded loss: the cross-entropy that was trained",
            (THEOREM_4_1,),
            UNDECIDED,
            "sampled",
            "The cross-entropy has no upper bound in its outputs; no last linear layer was found that makes it "
            "arbitrarily large.",
            numbers,
            _SOURCE,
        )
    else:
        factors = [1.0, 10.0, 100.0, 1000.0]
        with torch.no_grad():
            losses = [float(landscape.loss(torch.where(head.mask, -t * x, x))) for t in factors]
        numbers |= {"slope": head.slope, "losses": losses, "factors": factors}
        trained = CheckedAssumption(
            "bounded loss: the cross-entropy that was trained",
            (THEOREM_4_1,),
            FAILS,
            "sampled" if subject.known.unknown else "proof",  # linear by type, or by what was seen at some factors
            "With the last layer multiplied by -t it is at least {slope} t; found {losses} at t = {factors}.",
            numbers,
            _SOURCE + "; the ray: head.py",
        )
    part = landscape.batches[0]
    with torch.no_grad():
        values = subject.bounded_loss.per_example(landscape.outputs(x, part[0]), part[1])
    instead = CheckedAssumption(
        "bounded loss: the bounded cross-entropy that bounds use instead",
        (THEOREM_4_1,),
        HOLDS,
        "proof",
        "-ln(p_min + (1 - p_min) p_y) / ln(1/p_min) with p_min = {p_min} lies in [0, 1] for every p_y in [0, 1]; "
        "here from {smallest} to {largest}. The checkpoint was trained with the unbounded one, which changes nothing "
        "in the theorem: it holds for any point.",
        {"p_min": subject.settings.p_min, "smallest": float(values.min()), "largest": float(values.max())},
        "docs/theory.md, section 6; Perez-Ortiz et al. 2021",
    )
    return [trained, instead]


def domain_row(subject: Subject) -> CheckedAssumption:
    """Parameters are any real numbers."""
    return CheckedAssumption(
        "bounded parameter domain",
        (THEOREM_4_1,),
        FAILS,
        "proof",
        "Nothing in the training keeps the {dim} parameters in a bounded set (|x| = {norm}; weight decay "
        "{weight_decay} pulls and does not bound), and the posterior N(x, sigma^2 I) has mass outside of every "
        "bounded set. The form of 'eigensam bound' needs no bounded domain, but a loss that is bounded everywhere.",
        {
            "dim": subject.dim,
            "norm": float(subject.x.norm()),
            "weight_decay": float(subject.run.settings.get("weight_decay") or 0.0),
        },
        _SOURCE,
    )
