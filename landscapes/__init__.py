"""What is minimised: a finite family of M minibatch losses over a flat vector, and its curvature."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
