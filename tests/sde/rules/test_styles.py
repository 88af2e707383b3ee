"""How rules and names look in each style: the language, ASCII, Unicode, LaTeX."""

import pytest

from eigensam.sde import RULES, find_rule
from eigensam.sde.algebra.printing import latex, unicode
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.rules import alpha, derivative, direction, grad, hvp, loss, mean, norm, parameter, rho, unit
from eigensam.sde.rules.latex_styles import LATEX, RULE_LATEX
from eigensam.sde.rules.letters import latex_name, unicode_name
from eigensam.sde.rules.parsing import parse
from eigensam.sde.rules.plain_styles import PYTHON, TEXT, UNICODE

G, V = grad(), direction("v")


@pytest.mark.parametrize(
    ("expression", "ascii_", "unicode_"),
    [
        (grad(rho * unit(G)), "Df_m(x + rho g/|g|)", "∇f_γ(x + ρ g/‖g‖)"),
        (grad(-rho * G / 2), "Df_m(x - 1/2 rho g)", "∇f_γ(x - ½ ρ g)"),
        (G + rho * hvp(V), "g + rho D2f_m[v]", "g + ρ ∇²f_γ[v]"),
        (derivative(V, G, at=V), "D3f_m(x + v)[v,g]", "∇³f_γ(x + v)[v,g]"),
        (loss(V) * mean(G), "f_m(x + v) E[g]", "f_γ(x + v) E[g]"),
        (G / (1 + norm(G)), "g/(1 + |g|)", "g/(1 + ‖g‖)"),
        ((1 + alpha) * G / norm(G) ** 2, "(1 + alpha) g/|g|^2", "(1 + α) g/‖g‖²"),
        (1 / norm(G), "|g|^-1", "‖g‖⁻¹"),
    ],
)
def test_rules_in_plain_styles(expression, ascii_, unicode_):
    assert (expression.written(TEXT), expression.written(UNICODE)) == (ascii_, unicode_)
    assert parse(expression.written(PYTHON)) == expression


@pytest.mark.parametrize("style", [PYTHON, TEXT, UNICODE, LATEX, RULE_LATEX])
def test_every_rule_in_every_style(style):
    shown = [rule.step.written(style) for rule in RULES.values()]
    assert len(set(shown)) == len(RULES)
    assert all(text.count(opening) == text.count(closing) for text in shown for opening, closing in ("()", "[]", "{}"))


def test_a_sum_below_the_bar_has_brackets_beside_another_factor():
    """Without them, (1 + alpha) |g| would read as 1 + alpha |g|."""
    below = 1 + alpha
    assert (G / below).written(RULE_LATEX) == r"\frac{g}{1 + \alpha}"
    assert (G / below / norm(G)).written(RULE_LATEX) == r"\frac{g}{\left(1 + \alpha\right) \lVert g\rVert}"


@pytest.mark.parametrize(("name", "letter"), [("theta", "θ"), ("alpha", "α"), ("nu", "\u03bd"), ("omega", "ω")])
def test_a_greek_name_is_a_letter_in_rules_and_in_sums(name, letter):
    assert (unicode_name(name), latex_name(name)) == (letter, f"\\{name}")
    assert (unicode(Sum.parameter(name)), latex(Sum.parameter(name))) == (letter, f"\\{name}")
    assert (parameter(name).written(UNICODE), parameter(name).written(RULE_LATEX)) == (letter, f"\\{name}")


@pytest.mark.parametrize("name", ["pi", "thetas", "step_size", "w"])
def test_other_names_stay(name):
    assert unicode_name(name) == name
    assert not latex_name(name).startswith(f"\\{name}")


def test_notebooks_show_formulas():
    assert repr(find_rule("sam")) == "Rule('sam', grad(rho*g/norm(g)))"
    assert repr(G / 2) == "g/2"
    assert find_rule("sgd")._repr_latex_() == r"$x^+ = x - \eta\left(g\right)$"
    assert find_rule("sam").step._repr_latex_() == (r"$\nabla f_\gamma\left(x + \frac{\rho g}{\lVert g\rVert}\right)$")
    assert Sum.derivative()._repr_latex_() == "$g$"
