"""Handwritten digits of 8 x 8 pixels, part of scikit-learn."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..data_source import DataSource
from ..registries import DATA

if TYPE_CHECKING:
    from ..data_set import DataSet

__all__ = ["Digits"]


class Digits(DataSource):
    """1797 images in a fixed split, 1437 of them for training."""

    built_in = True

    @property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Those of -1 to 1."""
        return (0.5,), (0.5,)

    def load(self, name: str, root: Path | None, *, download: bool) -> "DataSet":
        """Standardise to -1 to 1 by constants."""
        import numpy as np
        import torch
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        from ..data_set import DataSet

        bunch = load_digits()
        # 0..16 grey levels; the constants do not depend on the split, as PAC-Bayes priors need.
        images = torch.from_numpy(bunch.images).float().unsqueeze(1) / 8 - 1
        targets = torch.from_numpy(bunch.target).long()
        train, test = train_test_split(np.arange(len(targets)), test_size=0.2, random_state=0, stratify=bunch.target)
        return DataSet(name, images[train], targets[train], images[test], targets[test], 10, False)


DATA.register("digits", order=0)(Digits())
