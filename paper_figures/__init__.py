"""One module per figure or table: measure, write JSON, plot; presets; the report."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
