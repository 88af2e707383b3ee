"""Which networks others have trained, and where their weights are. Loads no torch: settings are checked by it."""

import re
from dataclasses import dataclass

from ...ground.errors import InputError

__all__ = ["PRETRAINED", "SOURCES", "PretrainedWeights", "find_pretrained"]


@dataclass(frozen=True)
class PretrainedWeights:
    """A file of weights, and how it fits into a network of ours.

    Attributes:
        url: where it is published; its name ends with the first digits of its SHA-256, as torch's hub has it.
        wrapped: what the names of our parameters have before those of the file.
        head: what the names of the classifier's parameters begin with, in the file.
        first: the first layer's name in the file, a convolution without padding.
        mean: of each channel, of images in [0, 1], that the inputs were standardised by.
        std: of each channel.

    Example:
        >>> weights = find_pretrained("vit-b-16", "imagenet")
        >>> weights.file_name, weights.sha256_start
        ('vit_b_16-c867db91.pth', 'c867db91')
    """

    url: str
    wrapped: str
    head: str
    first: str
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def file_name(self) -> str:
        """Last part of the address."""
        return self.url.rpartition("/")[2]

    @property
    def sha256_start(self) -> str:
        """The first hexadecimal digits of the file's SHA-256.

        Raises:
            InputError: the name has none.
        """
        found = re.search(r"-([0-9a-f]{8,64})\.[a-z]+$", self.file_name)
        if found is None:
            raise InputError(f"the name of {self.url} carries no digest of the file; give it as name-DIGEST.pth")
        return found[1]


PRETRAINED: dict[tuple[str, str], PretrainedWeights] = {
    ("vit-b-16", "imagenet"): PretrainedWeights(  # torchvision's ViT_B_16_Weights.IMAGENET1K_V1
        "https://download.pytorch.org/models/vit_b_16-c867db91.pth", "transformer.", "heads.", "conv_proj"
    ),
}
"""By the names of network and source."""

SOURCES = ("imagenet",)
"""What a network may have been trained on before."""


def find_pretrained(model: str, source: str) -> PretrainedWeights:
    """The weights of a network of ours.

    Args:
        model: its name.
        source: one of ``SOURCES``.

    Raises:
        InputError: there are none for this network.

    Example:
        >>> find_pretrained("resnet50", "imagenet")
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: there are no weights of 'resnet50' trained on imagenet: only a network of the
        same architecture can take them, and our ResNets have another first layer, for small images; choose vit-b-16, or
        leave --pretrained out
    """
    found = PRETRAINED.get((model, source))
    if found is None:
        having = [name for name, trained_on in PRETRAINED if trained_on == source]
        raise InputError(
            f"there are no weights of '{model}' trained on {source}: only a network of the same architecture can take "
            f"them, and our ResNets have another first layer, for small images; choose {', '.join(having)}, or leave "
            "--pretrained out"
        )
    return found
