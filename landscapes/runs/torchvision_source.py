"""Data sets that torchvision reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...ground.errors import InputError
from .data_source import DataSource

if TYPE_CHECKING:
    from torch import Tensor

    from .data_set import DataSet

__all__ = ["BY_FLAG", "TorchvisionSource"]

Arguments = tuple[dict[str, object], dict[str, object]]

BY_FLAG: Arguments = ({"train": True}, {"train": False})


@dataclass(frozen=True)
class TorchvisionSource(DataSource):
    """How torchvision's class is called, and its images standardised by published statistics.

    Attributes:
        factory: name of the class.
        mean: of each channel, of images in [0, 1].
        std: of each channel.
        classes: number of them.
        augmentable: natural images, for which padded crops and flips keep the class.
        parts: arguments of the training and of the test part.
        shape: of an image, channels first.
        examples: of the training set.
    """

    factory: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: int = 10
    augmentable: bool = False
    parts: Arguments = BY_FLAG
    shape: tuple[int, int, int] | None = None
    examples: int = 0

    @property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Those that were published."""
        return self.mean, self.std

    def load(self, name: str, root: Path | None, *, download: bool) -> "DataSet":
        """Read both parts; what torchvision raises is said in one line with the repair."""
        from torchvision import datasets  # seconds to import

        from .data_set import DataSet

        factory = getattr(datasets, self.factory)
        try:
            train, test = (factory(root=str(root), download=download, **arguments) for arguments in self.parts)
        except Exception as error:  # many kinds on missing and damaged files, AssertionError among them
            reason = (str(error) or type(error).__name__).splitlines()[0].split(". You can use")[0]
            repair = "remove damaged files there, check the network and that the folder is writable"
            if not download:
                repair = "give a folder with the complete official files, or add --download to fetch them"
            raise InputError(f"cannot load {name} from {root}: {reason}; {repair}") from None
        return DataSet(name, *self._tensors(train), *self._tensors(test), self.classes, self.augmentable)

    def _tensors(self, part: Any) -> "tuple[Tensor, Tensor]":
        import torch

        images = torch.as_tensor(part.data)
        if images.ndim == 3:  # grey
            images = images.unsqueeze(1)
        elif images.shape[-1] == 3:  # channels last
            images = images.permute(0, 3, 1, 2)
        targets = part.targets if hasattr(part, "targets") else part.labels
        mean, std = (torch.tensor(constant).view(-1, 1, 1) for constant in (self.mean, self.std))
        return (images.float() / 255 - mean) / std, torch.as_tensor(targets).long()
