"""Whether what is to be compared with a rule are SDEs of it."""

from collections.abc import Mapping

from ....ground.errors import InputError
from ...derivation.derived_sde import SDE
from ...rules.rule import Rule

__all__ = ["check_sdes"]


def check_sdes(rule: Rule, sdes: Mapping[str, SDE]) -> None:
    """Refuse anything but SDEs of the rule, by name.

    Raises:
        InputError: what was found.
    """
    if not isinstance(sdes, Mapping):
        raise InputError(f"SDEs are of type {type(sdes).__name__}; give them by name: {{'drift order 2': sde}}")
    for name, sde in sdes.items():
        if not isinstance(sde, SDE):
            raise InputError(f"'{name}' is of type {type(sde).__name__}; expected an SDE: derive(...), truncate(...)")
        if not isinstance(rule, Rule) or sde.rule.step != rule.step:
            raise InputError(f"the SDE '{name}' is of the rule {sde.rule}; derive it of the rule that is compared")
