"""The examples that a certificate is about, behind a door that opens when all choices are on disk."""

from pathlib import Path

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from ..concentration.binomial_tail import clopper_pearson
from .frozen import FrozenChoices

__all__ = ["KeptExamples"]


class KeptExamples:
    """Examples that the prior has not seen: a few to make choices with, the others for the bound.

    Args:
        data: whose training set they are, in random order.
        choice_share: share of them for choices; 0 is none.

    Attributes:
        choice_inputs: images to make choices with; they are no part of the bound.
        choice_targets: their classes.
        count: number ``n`` of the others.

    Raises:
        InputError: too few examples.
    """

    def __init__(self, data: DataSet, choice_share: float) -> None:
        total = len(data.train_targets)
        chosen = max(1, round(choice_share * total)) if choice_share else 0
        if total - chosen < 8:
            raise InputError(
                f"{total} examples were kept, {chosen} of them for choices: {total - chosen} are too few for a bound; "
                "train the prior with a smaller --prior-fraction, or lower --choice-share"
            )
        self.choice_inputs, self.choice_targets = data.train_inputs[:chosen], data.train_targets[:chosen]
        self._inputs, self._targets = data.train_inputs[chosen:], data.train_targets[chosen:]
        self.count = total - chosen

    def read(self, frozen: FrozenChoices, folder: Path) -> tuple[Tensor, Tensor]:
        """Images and classes for the bound, once the choices are on disk.

        Raises:
            InputError: they are not, or others are.
        """
        frozen.check(folder)
        return self._inputs, self._targets


def kept_examples(run: Run, whole: DataSet, prior: str, choice_share: float, delta: float) -> KeptExamples:
    """What a run's certificate may be about: with the data set's own labels, whatever noise the prior was trained on.

    Of a trained prior these are what its split kept. Other examples of the prior part that it was not trained on, for
    validation or because they were left out, are none of them: choices may have been made with these.

    Args:
        run: whose network is the prior, or whose initialisation.
        whole: the data before the split.
        prior: ``trained``, or another, which has seen no example, so that all of them count.
        choice_share: share of the kept examples for choices.
        delta: of what is said instead where none were kept.

    Raises:
        InputError: other data than those of the training; nothing was kept for a certificate; the message says what
            its test set proves.
    """
    split = run.split
    if not run.checkpoint.data_sha256:
        raise InputError(
            f"{run.directory} does not say which examples it was trained on, so they may be those of the bound; train "
            "again with this version"
        )
    trained_on = run.training_part(whole)  # not on others, whatever split and chosen examples say
    if prior != "trained":  # nothing is chosen on examples
        return KeptExamples(whole, 0.0)
    if split is None:
        raise InputError(
            f"{run.directory} {_used(run, trained_on, whole)}, so none is left for a "
            f"certificate of a trained prior. {_by_test_set(run, whole, delta)} For a certificate train with "
            "--prior-fraction 0.5, or take --prior initial"
        )
    return KeptExamples(split.bound_part(whole), choice_share)


def _used(run: Run, trained_on: DataSet, whole: DataSet) -> str:
    used, total = len(trained_on.train_targets), len(whole.train_targets)
    if used == total:
        return f"was trained on all {total} training examples"
    return f"was trained on {used} of {total} training examples and kept no others apart for a certificate"


@torch.no_grad()
def _by_test_set(run: Run, whole: DataSet, delta: float) -> str:
    model, wrong = run.network(), 0
    for images, targets in zip(whole.test_inputs.split(500), whole.test_targets.split(500), strict=True):
        wrong += int((model(images).argmax(1) != targets).sum())
    n = len(whole.test_targets)
    return (
        f"By its test set ({wrong} errors in {n}; Clopper-Pearson) its error rate is at most "
        f"{clopper_pearson(wrong, n, delta):.4g} with probability {1 - delta:g}, if nothing was chosen by that set."
    )
