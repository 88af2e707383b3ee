"""Every hyper-parameter of a training run, checked before anything is written. Loads no torch."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from ...ground.errors import InputError
from ...ground.named_settings import settings_from_dict
from ...ground.registry import Registry
from ...ground.settings import check_settings, setting, settings_of
from ...landscapes.runs.pretrained_weights import SOURCES, find_pretrained
from ...landscapes.runs.registries import DATA, MODELS, OWN
from ..base import BASES, Base
from ..method import Method
from ..rate import RATES, Rate
from ..registry import OPTIMIZERS
from .config_file import read_config

__all__ = ["GROUPS", "PRECISIONS", "UNWRITTEN", "TrainSettings"]

PRECISIONS = ("float32", "bfloat16", "float16")

GROUPS: dict[str, Registry[Any]] = {"optimizer": OPTIMIZERS, "base": BASES, "schedule": RATES}
"""Settings that are groups of their own, and what each chooses from."""

UNWRITTEN: dict[str, Any] = {"snapshot_every": 0, "pretrained": ""}
"""What a dictionary of settings leaves out where it has this value: older runs, and what was recorded of them, have no
such entry and stay the same as runs of today."""


def _at_least(low: int, note: str = "") -> dict[str, Any]:
    return {"holds": lambda value: value >= low, "otherwise": f"must be at least {low}{note}"}


@dataclass(frozen=True)
class TrainSettings:
    """One training run; two runs with equal settings on one machine are bit-identical.

    Attributes:
        optimizer: settings of a method, such as ``SAMSettings(rho=0.05)``; a name stands for its defaults.
        base: settings of the torch optimizer that takes the step, or its name (paper: SGD with momentum 0.9).
        schedule: settings of the learning rate's schedule, or its name (paper: cosine).
        data: name of the data set; ``"own"``: given from Python.
        model: name of the network; ``"own"``: given from Python.
        epochs: passes over the training set (paper: 200; ours: 20, enough for digits).
        batch_size: examples per minibatch; the rest of each epoch's permutation is left out (paper: 256; ours: 64,
            as digits has 1437 examples).
        lr: initial learning rate, which the schedule multiplies (paper: 0.1, SVHN 0.01).
        warmup_epochs: in which the learning rate rises linearly from one step to the next (paper: 0); multiplies the
            schedule, see :func:`learning_rate`.
        weight_decay: of the base optimizer (paper: 5e-5).
        clip_norm: longest gradient that the base optimizer steps along; 0 is any.
        precision: "float32", or of automatic mixed precision "bfloat16" or "float16".
        patience: epochs without a new minimum of the validation loss after which it stops; 0 is never.
        augment: random crop with padding 4 and horizontal flip (paper), for natural images only.
        prior_fraction: share of the training set to train on; the rest, drawn by the seed before anything else, is
            kept for a certificate, whose prior the network is (1: no rest).
        subset: number of examples to use, drawn by the seed after that (0: all of them).
        validation_fraction: share of these that is not trained on but evaluated after every epoch.
        label_noise: share of the training labels, exact up to rounding, that is replaced by another class, each with
            the same probability; labels of validation, test and certificate stay (:class:`Examples`).
        label_smoothing: share of a training label's weight that is spread over all classes, in the loss that is
            trained and in ``train_loss``; everything that is measured besides is plain cross-entropy, as are the
            landscape, the spectrum and the bounds of the finished run.
        spectrum_every: epochs between measurements of lambda_1 and alignment, which the metrics keep, as the paper's
            Figure 1 has them; 0 is never.
        record_every: steps between measurements of all that :class:`CurvatureRecorder` has, batch sharpness included,
            which ``curvature.jsonl`` keeps; 0 is never. Neither changes the training.
        record_examples: most training examples of these measurements.
        snapshot_every: epochs from one network that is kept on disk to the next, see :meth:`Run.at_epoch`; each has
            the size of the checkpoint; 0 is none. They do not change the training.
        pretrained: "imagenet": begin with weights that torchvision publishes, all but those of the head, which begins
            as without; empty: start anew. The weights see images as they were trained on (:func:`load_pretrained`);
            data of one's own have to be standardised by ImageNet's mean and standard deviation.
        seed: of the split, the examples and their noise, initialisation, minibatches, augmentation and the first
            eigenvector estimate.

    Raises:
        InputError: a value out of range, with the repair.

    Example:
        >>> from eigensam.optim import SAMSettings
        >>> TrainSettings(SAMSettings(rho=0.05)).to_dict()["optimizer"]
        {'name': 'sam', 'rho': 0.05}
        >>> TrainSettings("sam", lr=-1.0)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: lr = -1.0 must be positive, e.g. 0.1
    """

    optimizer: Method | str = field(default="eigen-sam", metadata={"option": False})
    base: Base | str = field(default="sgd", metadata={"option": False})
    schedule: Rate | str = field(default="cosine", metadata={"option": False})
    data: str = setting(
        "digits",
        "The data set; digits are built in, the others are read from --data-root.",
        choices=lambda: (*DATA, OWN),
    )
    model: str = setting("mlp", "The network.", choices=lambda: (*MODELS, OWN))
    epochs: int = setting(20, "Passes over the training set; the paper makes 200.", **_at_least(1))
    batch_size: int = setting(
        64, "Examples of a minibatch; the paper takes 256, digits has 1437 in all.", **_at_least(1)
    )
    lr: float = setting(
        0.1,
        "Initial learning rate, which the schedule multiplies; the paper uses 0.1, and 0.01 for SVHN.",
        holds=lambda value: value > 0,
        otherwise="must be positive, e.g. 0.1",
    )
    warmup_epochs: float = setting(
        0.0, "Epochs in which the learning rate rises linearly, on top of the schedule; 0 is none.", **_at_least(0)
    )
    weight_decay: float = setting(5e-5, "Weight decay of the base optimizer; 5e-5 in the paper.", **_at_least(0))
    clip_norm: float = setting(
        0.0,
        "Shorten a longer gradient to this norm before the base optimizer's step; 0 leaves it.",
        **_at_least(0, " (never)"),
    )
    precision: str = setting(
        "float32",
        "Type of numbers of the network's passes (automatic mixed precision); parameters stay float32.",
        choices=lambda: PRECISIONS,
    )
    patience: int = setting(
        0,
        "Stop when the validation loss has had no new minimum for so many epochs, and keep the weights of the "
        "minimum; 0 is never.",
        **_at_least(0, " (never)"),
    )
    augment: bool = setting(False, "Crop (padding 4) and flip images at random, as the paper does; for natural images.")
    prior_fraction: float = setting(
        1.0,
        "Share of the training set to train on, drawn by the seed; the rest is kept for 'eigensam certify'.",
        holds=lambda value: 0 < value <= 1,
        otherwise="must lie in (0, 1]",
    )
    subset: int = setting(
        0,
        "Examples to use, drawn by the seed from the training set (or from its --prior-fraction); 0 is all of them.",
        **_at_least(0, " (all)"),
    )
    validation_fraction: float = setting(
        0.0,
        "Share of the used examples that is not trained on but evaluated after every epoch.",
        holds=lambda value: 0 <= value < 1,
        otherwise="must lie in [0, 1)",
    )
    label_noise: float = setting(
        0.0,
        "Share of the training labels that is replaced by another class, drawn uniformly; other labels stay clean.",
        holds=lambda value: 0 <= value < 1,
        otherwise="must lie in [0, 1)",
    )
    label_smoothing: float = setting(
        0.0,
        "Share of a label's weight that is spread over all classes in the loss that is trained; never in evaluations.",
        holds=lambda value: 0 <= value < 1,
        otherwise="must lie in [0, 1)",
    )
    spectrum_every: int = setting(
        0,
        "Epochs from one measurement of the top eigenvalue and the alignment to the next, and once more of the weights "
        "that are kept; 0 is never.",
        **_at_least(0, " (never)"),
    )
    record_every: int = setting(
        0,
        "Steps from one measurement of the curvature to the next (both ends of the spectrum, gap, alignment, a frozen "
        "eigenvector's decay, batch sharpness), into curvature.jsonl; 0 is never.",
        **_at_least(0, " (never)"),
    )
    record_examples: int = setting(
        2000,
        "Most training examples of these measurements, in whole minibatches; one of them at least.",
        **_at_least(1),
    )
    snapshot_every: int = setting(
        0,
        "Epochs from one network that is kept in the run's snapshots/ to the next; each is as large as the checkpoint; "
        "0 is none.",
        **_at_least(0, " (none)"),
    )
    pretrained: str = setting(
        "",
        "Begin with published weights, all but the head: imagenet, for vit-b-16, from torch's cache (or --download); "
        "empty starts anew.",
        holds=lambda value: value in ("", *SOURCES),
        otherwise=f"names no weights; choose {', '.join(SOURCES)}, or leave it empty",
    )
    seed: int = setting(
        0,
        "Seed of split, examples, noise, initialisation, minibatches, augmentation and the first eigenvector estimate.",
        holds=lambda value: 0 <= value < 2**31,
        otherwise="must lie in [0, 2^31)",
    )

    def __post_init__(self) -> None:
        for name, kind in (("optimizer", Method), ("base", Base), ("schedule", Rate)):
            given = getattr(self, name)
            if isinstance(given, str):
                object.__setattr__(self, name, GROUPS[name][given]())
            elif not isinstance(given, kind):
                article = "an" if name == "optimizer" else "a"
                raise InputError(f"{name} = {given!r:.60} is neither a name nor settings of {article} {name}")
        check_settings(self)
        if self.patience and not self.validation_fraction:
            raise InputError(
                f"patience = {self.patience} waits for a smaller validation loss, and nothing is kept for validation; "
                "give validation_fraction, such as 0.1"
            )
        if self.pretrained:
            find_pretrained(self.model, self.pretrained)
        self.method.check_base(self.base_optimizer)
        if self.warmup_epochs > self.epochs:
            raise InputError(
                f"warmup_epochs = {self.warmup_epochs:g} exceeds the {self.epochs} epochs, so the learning rate would "
                "never be reached; lower it"
            )
        if self.batch_size % self.method.closures:
            raise InputError(
                f"batch_size = {self.batch_size} cannot be split into the {self.method.closures} equal parts of a step "
                f"of {self.method.label}; give a multiple"
            )

    @property
    def method(self) -> Method:
        """The optimizer's settings, also where a name was given."""
        assert isinstance(self.optimizer, Method)
        return self.optimizer

    @property
    def base_optimizer(self) -> Base:
        """The base optimizer's settings, also where a name was given."""
        assert isinstance(self.base, Base)
        return self.base

    @property
    def rate(self) -> Rate:
        """The schedule's settings, also where a name was given."""
        assert isinstance(self.schedule, Rate)
        return self.schedule

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; optimizer, base and schedule are groups of their own.

        What :data:`UNWRITTEN` has is left out.
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        written = {name: value for name, value in values.items() if name not in UNWRITTEN or value != UNWRITTEN[name]}
        return {**written, **{name: values[name].to_dict() for name in GROUPS}}

    @classmethod
    def from_dict(cls, found: Any) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises:
            InputError: an unknown or missing entry, or a value out of range.
        """
        names = {*GROUPS, *(each.name for each in settings_of(cls))}
        found = {**UNWRITTEN, **found} if isinstance(found, dict) else found
        if not isinstance(found, dict) or found.keys() != names:
            wrong = sorted(names ^ found.keys()) if isinstance(found, dict) else ["all of them"]
            raise InputError(f"these are not settings of a training: look at {', '.join(map(str, wrong))}")
        return cls(**{**found, **{name: settings_from_dict(GROUPS[name], found[name]) for name in GROUPS}})

    @staticmethod
    def read_part(path: Path | str) -> dict[str, Any]:
        """What a file of settings says, names and types checked; what it leaves out is not in it.

        Raises:
            InputError: a file that cannot be read, an unknown key, a value of another type.
        """
        return read_config(Path(path), settings_of(TrainSettings), GROUPS)

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """The settings in a file, TOML or JSON: what it leaves out is as by default.

        Keys are those of :meth:`to_dict`; a group may also be just a name. Every run directory has such a file.

        Raises:
            InputError: a file that cannot be read, an unknown key, a value of another type or out of range.

        Example:
            >>> import pathlib, tempfile
            >>> from eigensam.optim import SAMSettings
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.toml"
            >>> _ = path.write_text('optimizer = {name = "sam", rho = 0.2}')
            >>> TrainSettings.read(path) == TrainSettings(SAMSettings(rho=0.2))
            True
        """
        found = cls.read_part(path)
        try:
            return cls(**{**found, **{n: settings_from_dict(GROUPS[n], found[n]) for n in GROUPS if n in found}})
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
