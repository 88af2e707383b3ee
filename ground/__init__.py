"""What every package needs and none is about: errors, records, outputs, options; no torch, and nothing of ours."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
