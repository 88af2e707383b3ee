"""All contestants: to import this module enrols them."""

from . import jax_contestants, ours, torch_contestants
from .contest import CONTESTANTS

__all__ = ["CONTESTANTS", "jax_contestants", "ours", "torch_contestants"]
