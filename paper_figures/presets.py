"""What is measured: every number that a figure depends on, under a name."""

from dataclasses import dataclass, replace

from ..ground.errors import InputError
from ..optim.settings import OPTIMIZERS, TrainSettings
from ..sde.weak_order.claim import ETAS

__all__ = ["PRESETS", "Preset", "find_preset"]


@dataclass(frozen=True)
class Preset:
    """One scale of the experiments.

    Attributes:
        name: on the command line.
        training: settings shared by all optimizers and seeds.
        seeds: seeds of the training runs; bands are over them.
        etas: step sizes of the weak-order figure.
        rho_exponents: its panels.
    """

    name: str
    training: TrainSettings
    seeds: tuple[int, ...]
    etas: tuple[float, ...] = ETAS
    rho_exponents: tuple[str, ...] = ("1/3", "1/2", "2/3")

    def runs(self) -> list[TrainSettings]:
        """One training per optimizer and seed."""
        return [replace(self.training, optimizer=name, seed=seed) for name in OPTIMIZERS for seed in self.seeds]


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        # Ours: runs of 660 steps, so the eigenvector is refreshed every 10 steps instead of every 100.
        Preset(
            "quick",
            TrainSettings(data="digits", model="mlp", epochs=30, refresh_every=10, spectrum_every=2),
            seeds=(0, 1, 2, 3, 4),
        ),
        # The network and data of the paper's Figure 1, over five seeds of ours; wants an accelerator.
        Preset(
            "paper",
            TrainSettings(
                data="cifar10",
                model="cnn6",
                epochs=200,
                batch_size=256,
                augment=True,
                spectrum_every=5,
            ),
            seeds=(0, 1, 2, 3, 4),
        ),
    )
}


def find_preset(name: str) -> Preset:
    """Look a preset up by its name.

    Raises:
        InputError: no preset has this name.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset '{name}'; choose one of: {', '.join(PRESETS)}")
    return PRESETS[name]
