"""How names of parameters and directions print: one table of Greek letters for Unicode and LaTeX."""

__all__ = ["latex_name", "unicode_name"]

_GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "zeta": "ζ",
    "eta": "η",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
    "mu": "μ",
    "nu": "\u03bd",  # a code, since the letter looks like v
    "xi": "ξ",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "chi": "χ",
    "psi": "ψ",
    "omega": "ω",
}
"""Without iota and upsilon, which look like i and u; without pi, which would be read as the number, and phi, which is
the test function."""


def unicode_name(name: str) -> str:
    """Write a name in Unicode.

    Example:
        >>> unicode_name("theta"), unicode_name("step_size"), unicode_name("mu'")
        ('θ', 'step_size', "μ'")
    """
    bare = name.rstrip("'")
    return _GREEK.get(bare, bare) + name[len(bare) :]


def latex_name(name: str) -> str:
    r"""Write a name in LaTeX.

    Example:
        >>> latex_name("alpha"), latex_name("v"), latex_name("step_size")
        ('\\alpha', 'v', '\\mathrm{step\\_size}')
    """
    if name.endswith("'"):  # the derivative of a schedule
        return latex_name(name[:-1]) + "'"
    if name == "epsilon":
        return r"\varepsilon"
    if name in _GREEK:
        return "\\" + name
    escaped = name.replace("_", r"\_")
    return name if len(name) == 1 and name.isalpha() else rf"\mathrm{{{escaped}}}"
