"""House numbers, 32 x 32 pixels."""

from ..registries import DATA
from ..torchvision_source import TorchvisionSource

DATA.register("svhn", order=5)(
    TorchvisionSource(
        "SVHN",
        mean=(0.4377, 0.4438, 0.4728),
        std=(0.1980, 0.2010, 0.1970),
        parts=({"split": "train"}, {"split": "test"}),
        shape=(3, 32, 32),
        examples=73_257,
    )
)
