"""What is minimised: a finite family of M minibatch losses over a flat vector, and its curvature."""

from .errors import InputError
from .landscape import Landscape
from .quadratic import Quadratic
from .torus import TiltedTorus
from .valley import Valley
