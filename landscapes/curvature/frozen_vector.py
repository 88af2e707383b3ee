"""An eigenvector that is held fixed while the Hessian moves on, kept in a file if wanted."""

from pathlib import Path

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape
from ..tensor_files import load_tensors, save_tensors

__all__ = ["FrozenVector"]


class FrozenVector:
    """A unit vector of shape ``(d,)``, or none, and the step it was frozen at.

    Args:
        landscape: whose type and place the vector takes.
        path: safetensors file that holds the same.
        settings: kept in the file: what the rows beside it were measured with.

    Attributes:
        vector: the vector; None if there is none.
        at: the step; -1 is before the first one.
        found: the settings that the file held; None if there was no file.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Valley
        >>> frozen = FrozenVector(Valley())
        >>> frozen.set(torch.tensor([0.0, 2.0]), at=5)
        >>> frozen.vector.tolist(), frozen.at
        ([0.0, 1.0], 5)
    """

    def __init__(self, landscape: Landscape, path: Path | None = None, settings: str = "") -> None:
        self.landscape, self.path, self.settings = landscape, path, settings
        self.found: str | None = None
        self.vector: Tensor | None = None
        self.at = -1

    def set(self, vector: Tensor, at: int) -> None:
        """Freeze ``vector``, scaled to length 1.

        Raises:
            InputError: another shape, a vector that is zero or not finite.
        """
        length = float(vector.norm())
        if vector.shape != (self.landscape.dim,) or not 0 < length < float("inf"):
            raise InputError(
                f"the vector has shape {tuple(vector.shape)} and length {length:g}; expected ({self.landscape.dim},) "
                "and a finite, positive length"
            )
        self._take(vector.detach() / length, at)
        self.save()

    def clear(self) -> None:
        """Hold no vector; a file is left for the next one to replace."""
        self.vector, self.at = None, -1

    def restore(self, vector: Tensor | None, at: int) -> None:
        """Hold exactly what another one held."""
        if vector is None:
            return self.clear()
        if vector.shape != (self.landscape.dim,):
            raise InputError(
                f"a saved vector has shape {tuple(vector.shape)}, that of another landscape; expected "
                f"({self.landscape.dim},)"
            )
        self._take(vector, at)
        return self.save()

    def save(self) -> None:
        """Write the file, if there is to be one."""
        if self.path is not None and self.vector is not None:
            settings = torch.frombuffer(bytearray(self.settings.encode() or b" "), dtype=torch.uint8)
            save_tensors(self.path, {"vector": self.vector, "step": torch.tensor(self.at), "settings": settings})
            self.found = self.settings

    def read(self) -> None:
        """Take what the file holds.

        Raises:
            InputError: no file, or one of another kind.
        """
        assert self.path is not None
        tensors = load_tensors(self.path)
        vector, at = tensors.get("vector"), tensors.get("step")
        if vector is None or at is None or at.numel() != 1 or vector.shape != (self.landscape.dim,):
            raise InputError(
                f"{self.path} does not hold a vector of shape ({self.landscape.dim},) and its step; choose another file"
            )
        self._take(vector, int(at))
        self.found = bytes(tensors["settings"].tolist()).decode(errors="replace") if "settings" in tensors else ""

    def _take(self, vector: Tensor, at: int) -> None:
        # A copy, because what a file gave may lie unaligned in memory, where dot products round otherwise.
        self.vector, self.at = vector.to(self.landscape.device, self.landscape.dtype, copy=True), at
