"""Rows on what theorems about plain SAM leave out and trainings do: found in the settings of the run."""

from collections.abc import Mapping
from typing import Any

from .subject import Subject
from .verdict import (
    COROLLARY,
    FAILS,
    HOLDS,
    THEOREM_4_1,
    THEOREM_4_2,
    UNDECIDED,
    CheckedAssumption,
    Verdict,
)

__all__ = ["details_of", "training_rows"]

_PLAIN = "Luo et al. 2024, Theorem 4.2: x - eta grad f(x + rho g/|g|) with one independent minibatch in each step"
_SDE = (THEOREM_4_2, COROLLARY)


def training_rows(subject: Subject) -> list[CheckedAssumption]:
    """One row for each difference between the theorem's rule and the training."""
    return details_of(
        subject.run.settings, normalised=subject.known.normalised, examples=len(subject.data.train_targets)
    )


def details_of(settings: Mapping[str, Any], *, normalised: bool, examples: int) -> list[CheckedAssumption]:
    """The rows for settings as a run records them.

    Args:
        settings: ``run.settings``.
        normalised: whether the network has batch norm.
        examples: that were trained on.

    Example:
        >>> from eigensam.optim import TrainSettings
        >>> rows = details_of(TrainSettings("sam").to_dict(), normalised=False, examples=1437)
        >>> [(row.name, row.verdict) for row in rows][:2]
        [('the rule is SAM', 'holds'), ('no momentum', 'fails')]
    """
    optimizer, base, schedule = (_group(settings, name) for name in ("optimizer", "base", "schedule"))
    momentum = base.get("momentum", 0.0 if base.get("name") == "sgd" else None)
    lr, rho = settings.get("lr"), optimizer.get("rho")
    batch = settings.get("batch_size")
    epoch = None if not isinstance(batch, int) or batch < 1 else examples // batch
    constant = (
        None if not schedule.get("name") else schedule["name"] == "constant" and not settings.get("warmup_epochs", 0)
    )
    rows = [
        _row(
            "the rule is SAM",
            None if not optimizer.get("name") else optimizer["name"] == "sam",
            "The optimizer is {optimizer}; for another rule 'eigensam derive' has its own equation.",
            {"optimizer": optimizer.get("name")},
        ),
        _row("no momentum", _is(momentum, 0), "Momentum {momentum}: the step depends on earlier minibatches.",
             {"momentum": momentum}),
        _row("no adaptive steps", None if not base.get("name") else base["name"] == "sgd",
             "The base optimizer is {base}.", {"base": base.get("name")}),
        _row("no weight decay", _is(settings.get("weight_decay"), 0),
             "Weight decay {weight_decay} adds a drift that the equation lacks.",
             {"weight_decay": settings.get("weight_decay")}),
        _row("constant learning rate", constant, "Schedule {schedule} with warm-up of {warmup} epochs.",
             {"schedule": schedule.get("name"), "warmup": settings.get("warmup_epochs")}),
        _row("no clipping of gradients", _is(settings.get("clip_norm"), 0), "Gradients are clipped at {clip} (0: "
            "never).",
             {"clip": settings.get("clip_norm")}),
        _row("no random augmentation", _is(settings.get("augment"), False), "Augmentation: {augment}.",
             {"augment": settings.get("augment")}),
        _row("no mixed precision", _is(settings.get("precision"), "float32"),
             "Passes in {precision}; rounding is no part of any equation.", {"precision": settings.get("precision")}),
        CheckedAssumption(
            "independent minibatches",
            _SDE,
            UNDECIDED if epoch is None else FAILS if epoch > 1 else HOLDS,
            "settings",
            "Each epoch is a permutation cut into {minibatches} minibatches of {batch_size}, so they depend on each "
            "other (their noise sums to about zero); one minibatch of all examples would have no noise.",
            {"minibatches": epoch, "batch_size": batch},
            _PLAIN + "; reshuffling: docs/sdes.md",
        ),
        _row("no batch normalisation", not normalised,
             "Batch norm in the network: {normalised}. With it a step's loss is no mean over examples, and what is "
             "measured here uses running statistics.", {"normalised": normalised}),
        CheckedAssumption(
            "rho = O(eta^(1/3))",
            _SDE,
            UNDECIDED,
            "settings",
            "rho = {rho}, eta = {lr}: rho / eta^(1/3) = {scale}. One pair says nothing of the limit of small steps, "
            "which the theorem is about.",
            {"rho": rho, "lr": lr, "scale": rho / lr ** (1 / 3) if rho is not None and lr else None},
            "Luo et al. 2024, Theorem 4.2",
        ),
    ]  # fmt: skip
    noise, smoothing = settings.get("label_noise"), settings.get("label_smoothing")
    rows.append(
        _row("labels as they were drawn", _is(noise, 0), "Share of replaced labels: {label_noise}. Exactly so many "
             "are no independent draws; 'eigensam bound' takes the labels of the data set instead.",
             {"label_noise": noise}, (THEOREM_4_1,))
    )  # fmt: skip
    rows.append(
        _row("the trained loss is the one that is looked at", _is(smoothing, 0),
             "Label smoothing {label_smoothing}; numbers here are of the plain cross-entropy.",
             {"label_smoothing": smoothing}, (THEOREM_4_1, *_SDE))
    )  # fmt: skip
    return rows


def _group(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = settings.get(name)
    return found if isinstance(found, dict) else {}


def _is(value: Any, expected: Any) -> bool | None:
    return None if value is None else bool(value == expected)


def _row(
    name: str, found: bool | None, reason: str, numbers: dict[str, Any], statements: tuple[str, ...] = _SDE
) -> CheckedAssumption:
    verdict: Verdict = UNDECIDED if found is None else HOLDS if found else FAILS
    return CheckedAssumption(name, statements, verdict, "settings", reason, numbers, _PLAIN)
