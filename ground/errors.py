"""The one exception that means "your input, not our bug"."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Bad input: the message says what was found, what was expected, and how to repair it.

    The command line prints it on one line and exits with code 2; every other exception keeps its traceback.

    Example:
        >>> raise InputError("rho = -1 is not positive; give rho > 0")
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: rho = -1 is not positive; give rho > 0
    """
