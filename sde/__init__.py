"""How an update rule becomes an SDE, and how well the SDE approximates it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
