"""Rows on duplicates: equal images by their bytes, near ones by blocks of distances."""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .subject import Subject
from .verdict import FAILS, HOLDS, THEOREM_4_1, UNDECIDED, CheckedAssumption, Verdict

__all__ = ["Duplicates", "duplicate_rows", "find_duplicates"]

_BLOCK = 4096  # images of a block of distances: 64 MiB in float32
_MOST_PRODUCTS = 1e13  # ours: multiplications that take some minutes on one core


@dataclass(frozen=True)
class Duplicates:
    """What was found between two lists of images, or within one.

    Attributes:
        exact: images of the second list that equal one of the first, or an earlier one of the same list.
        near: those that have one within the threshold, exact ones included; None where that was too much work.
        nearest: the smallest distance, relative to the root mean square distance; None likewise.
        scale: that root mean square distance.
        conflicting: exact duplicates with another label.
    """

    exact: int
    near: int | None
    nearest: float | None
    scale: float
    conflicting: int


def find_duplicates(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor] | None, near: float, device: torch.device | str = "cpu"
) -> Duplicates:
    """Images of ``second`` that ``first`` has, too; with None, images of ``first`` that occur there before.

    Args:
        first: images ``(n, ...)`` and labels.
        second: likewise, or None.
        near: threshold, relative to the root mean square distance of two images of both lists.
        device: where to compute distances.

    Example:
        >>> images, labels = torch.tensor([[0.0], [1.0], [0.0]]), torch.tensor([0, 1, 1])
        >>> found = find_duplicates((images, labels), None, 0.01)
        >>> found.exact, found.near, found.conflicting
        (1, 1, 1)
    """
    same = second is None
    second = first if second is None else second
    known: dict[bytes, set[int]] = {}
    if not same:
        for key, label in zip(_keys(first[0]), first[1].tolist(), strict=True):
            known.setdefault(key, set()).add(label)
    exact = conflicting = 0
    for key, label in zip(_keys(second[0]), second[1].tolist(), strict=True):
        if key in known:
            exact += 1
            conflicting += label not in known[key]
        if same:
            known.setdefault(key, set()).add(label)
    every = torch.cat([first[0], second[0]]) if not same else first[0]
    flat = every.flatten(1).float()
    scale = float((2 * flat.double().var(0, unbiased=False).sum()).sqrt())
    work = len(first[0]) * len(second[0]) * flat.shape[1]
    if work > _MOST_PRODUCTS or not every.is_floating_point() or scale == 0:
        return Duplicates(exact, None, None, scale, conflicting)
    centre = flat.mean(0)  # distances between centred images lose fewer digits
    distances = _nearest((first[0].flatten(1).float() - centre).to(device),
                         None if same else (second[0].flatten(1).float() - centre).to(device))  # fmt: skip
    relative = distances / scale
    return Duplicates(exact, int((relative < near).sum()), float(relative.min()), scale, conflicting)


def _keys(images: Tensor) -> list[bytes]:
    rows = images.cpu().contiguous().flatten(1).numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def _nearest(first: Tensor, second: Tensor | None) -> Tensor:
    """For each row of ``second`` the distance to the nearest of ``first``; without it, to the nearest earlier one."""
    same = second is None
    rows = first if second is None else second
    squares = first.square().sum(1)
    found = torch.full((len(rows),), torch.inf, device=first.device)
    for i in range(0, len(rows), _BLOCK):
        part = rows[i : i + _BLOCK]
        own = part.square().sum(1)
        for j in range(0, i + _BLOCK if same else len(first), _BLOCK):
            other = first[j : j + _BLOCK]
            block = own[:, None] + squares[j : j + _BLOCK] - 2 * part @ other.mT
            if same and j == i:  # earlier ones only
                late = torch.ones(block.shape, dtype=torch.bool, device=block.device).triu()
                block = block.masked_fill(late, torch.inf)
            values, places = block.min(1)
            # Recomputed from the difference: a sum of squares loses what is small.
            exact = (part - other[places]).square().sum(1)
            best = torch.where(torch.isinf(values), values, exact)
            found[i : i + _BLOCK] = torch.minimum(found[i : i + _BLOCK], best)
    return found.sqrt()


def duplicate_rows(subject: Subject) -> list[CheckedAssumption]:
    """Between training and test set, and within the training set."""
    data, settings = subject.data, subject.settings
    train, test = (data.train_inputs, data.train_targets), (data.test_inputs, data.test_targets)
    subject.progress("duplicates between training and test set")
    across = find_duplicates(train, test, settings.near, subject.device)
    subject.progress("duplicates within the training set")
    within = find_duplicates(train, None, settings.near, subject.device)
    return [
        _row("no duplicates across training and test set", "test", across, len(test[1]), settings.near),
        _row("no duplicates within the training set", "training", within, len(train[1]), settings.near),
    ]


def _row(name: str, kind: str, found: Duplicates, count: int, near: float) -> CheckedAssumption:
    numbers: dict[str, Any] = {
        "kind": kind,
        "count": count,
        "exact": found.exact,
        "near": found.near,
        "threshold": near,
        "nearest": found.nearest,
        "scale": found.scale,
        "conflicting": found.conflicting,
    }
    reason = "Of {count} {kind} images {exact} equal another one exactly, {conflicting} of them with another label; "
    if found.near is None:
        reason += "near ones were not looked for (too many images, or inputs that number something)."
    else:
        reason += (
            "{near} lie within {threshold} of the root mean square distance {scale} of one; the nearest pair is at "
            "{nearest}."
        )
    verdict: Verdict = HOLDS
    if found.exact:
        verdict = FAILS
    elif found.near is None or found.near:
        verdict = UNDECIDED
        reason += " Near ones may be copies, or two draws that look alike."
    return CheckedAssumption(
        name,
        (THEOREM_4_1,),
        verdict,
        "measured",
        reason,
        numbers,
        "independent draws (Luo et al. 2024, Theorem 4.1) of many pixels rarely repeat; Barz & Denzler 2020",
    )
