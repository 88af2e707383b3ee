"""The language of rules: what can be written, how it prints, how text is read, and what is refused."""

from fractions import Fraction

import pytest

from eigensam.ground import InputError
from eigensam.sde import RULES, Rule, find_rule, multi_step_sam
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.rules import (
    alpha,
    derivative,
    direction,
    grad,
    hvp,
    inner,
    loss,
    mean,
    norm,
    parameter,
    rho,
    sign,
    unit,
)
from eigensam.sde.rules.language import eta
from eigensam.sde.rules.latex_styles import RULE_LATEX
from eigensam.sde.rules.nodes import Direction, Parameter
from eigensam.sde.rules.parsing import parse
from eigensam.sde.rules.traversal import walk

G, V = grad(), direction("v")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (grad(rho * G / norm(G)), "grad(rho*g/norm(g))"),
        (G + G - 2 * V, "g + g - 2*v"),
        (-G, "-g"),
        (G / 2, "g/2"),
        (Fraction(3, 2) * G, "3*g/2"),
        (G * (1 + rho) / (inner(G, V) ** 2), "(1 + rho)*g/inner(g, v)**2"),
        (rho * rho, "rho*rho"),
        (1 / rho**2 * G, "g/rho**2"),
        (G / (2 * rho), "g/rho/2"),
        (hvp(V, at=rho * G), "hvp(v, at=rho*g)"),
        (derivative(V, G), "derivative(v, g)"),
        (mean(norm(G)) * V, "E[norm(g)]*v"),
        (sign(loss() - loss(rho * V)) * G, "sign(loss() - loss(rho*v))*g"),
        (inner(G, V) ** Fraction(1, 2), "inner(g, v)**(1/2)"),
        (0 * G + 1 * V, "0*g + v"),
        (sum([G, V], start=0), "g + v"),
        (2 - rho, "2 - rho"),
        (alpha**0 * G, "alpha**0*g"),
    ],
)
def test_formulas_and_back(expression, text):
    assert str(expression) == text
    assert str(parse(text)) == text
    assert expression.written(RULE_LATEX).count("{") == expression.written(RULE_LATEX).count("}")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rules_print_what_they_are(rule):
    assert str(parse(str(rule.step))) == str(rule.step)
    assert rule.summary
    assert str(rule) == f"{rule.name}: {rule.step}"
    assert find_rule(rule.name) is rule
    latex = rule.step.written(RULE_LATEX)
    assert latex.count(r"\left") == latex.count(r"\right")


def test_latex():
    assert RULES["dnsam"].step.written(RULE_LATEX) == (
        r"\nabla f_\gamma\left(x + \frac{\rho g}{\lVert \mathbb{E}\left[g\right]\rVert}\right)"
    )
    assert (Fraction(-1, 2) * hvp(V)).written(RULE_LATEX) == r"-\tfrac{1}{2} \nabla^{2} f_\gamma\left[v\right]"


def test_symbols_of_a_rule():
    rule = RULES["eigen-sam"]
    assert (rule.parameters, rule.directions, rule.perturbed) == (["alpha"], ["v"], True)
    assert not RULES["sgd"].perturbed
    assert RULES["sam"].parameters == []


def test_a_part_that_occurs_twice_is_one_node():
    shift = rho * unit(G)
    assert len(walk(grad(shift) + grad(shift))) < 2 * len(walk(grad(shift)))
    assert len(walk(multi_step_sam(8).step)) < 120


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: 0.1 * G, r"the float 0.1 is not exact; write Fraction\('0.1'\)"),
        (lambda: G + 1, "a vector plus a scalar"),
        (lambda: rho + G, "a vector plus a scalar"),
        (lambda: G * G, "product of the vectors g and g; use inner"),
        (lambda: G**2, "a power of the vector g; use inner"),
        (lambda: rho**rho, "the exponent rho is not a rational number"),
        (lambda: 1 / (G * 2), r"division by the vector 2\*g"),
        (lambda: G / 0, "division of g by 0"),
        (lambda: rho * "x", "found 'x' of type str; expected an expression"),
        (lambda: rho * True, "found True of type bool"),
        (lambda: grad(rho), "grad\\(shift\\) needs a vector such as grad\\(\\); found rho"),
        (lambda: norm(rho), "norm needs a vector"),
        (lambda: norm(None), "norm needs a vector .* found nothing"),
        (lambda: inner(G, rho), "inner needs a vector"),
        (lambda: hvp(rho), "derivative needs a vector"),
        (lambda: hvp(G, at=rho), r"derivative\(at=...\) needs a vector"),
        (lambda: loss(rho), "loss\\(shift\\) needs a vector"),
        (lambda: sign(G), "sign needs a scalar; found the vector g"),
        (lambda: mean(1.5), "the float 1.5"),
        (lambda: direction("v 1"), "the name 'v 1' is not a letter followed by"),
        (lambda: parameter(3), "the name 3 is not a letter"),
        (lambda: Rule("r", rho), "rule 'r': the step rho is not a vector"),
        (lambda: Rule("r", 3), "the step 3 is not a vector"),
        (lambda: Rule("r", grad(eta * G)), "contains eta: it moves to x - eta \\* step"),
        (lambda: Rule("r", G, smoothness=0), "smoothness 0; a gradient step needs at least 1"),
        (
            lambda: Rule("r", parameter("v") * direction("v")),
            "the name 'v' is a direction in the text of a rule, so it cannot be a parameter",
        ),
        (lambda: direction("rho"), "the name 'rho' is a parameter in the text of a rule, so it cannot be a direction"),
        (lambda: Rule("r", parameter("w") * direction("w")), "w names both a number and a direction; rename the dir"),
        (lambda: float("nan") * G, "the float nan is not exact; give a finite number"),
        (lambda: (inner(G, G) ** 99) ** 99, "the exponent 9801 is too large; give one whose numerator"),
        (lambda: multi_step_sam(12), r"written out, the step has 1.91909e\+06 parts, 60 deep; at most 500000"),
        (lambda: multi_step_sam(0), "0 ascent steps; give at least 1"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grad(rho*g", "is not an expression"),
        ("grad(rho*w)", "unbound symbol 'w'; known are g, rho, alpha, eta, v and the functions grad"),
        ("__import__('os')", "is not part of the language"),
        ("g.shift + g", "'g.shift' is not part of the language"),
        ("[g for g in (1,)]", "is not part of the language"),
        ("lambda: g", "is not part of the language"),
        ("norm(g, g)", "takes 1 positional argument"),
        ("grad(at=g)", "unexpected keyword"),
        ("grad(**g)", "is not part of the language"),
        ("g**g", "a power of the vector g"),
        ("((9**99)**99)*g", "a number of more than 300 digits"),
        ("-" * 20_000 + "(g)", "has 20003 characters, at most 5000 are read; write it in Python"),
        ("g/0", "division of g by 0"),
        ("(1/0)*g", "division of 1 by 0"),
        ("2**200*g", "the exponent 200 is too large"),
        ("'g'*2", "found 'g' of type str"),
        ("g + 'a'", "found 'a' of type str"),
    ],
)
def test_text_that_is_not_a_rule(text, message):
    with pytest.raises(InputError, match=message):
        find_rule(text if any(c in text for c in "(+*") else f"({text})")


def test_unknown_names():
    with pytest.raises(
        InputError, match="unknown rule 'adam'; choose one of: sgd, usam, sam, dnsam, reverse-sam, eigen"
    ):
        find_rule("adam")
    with pytest.raises(InputError, match="is not a vector"):
        find_rule("rho*2")


def test_text_is_exact():
    assert find_rule("0.1*g").step == Fraction(1, 10) * grad()
    assert str(find_rule("g/2").step) == "g/2"
    assert str(find_rule("E[g]").step) == "E[g]"
    assert str(find_rule("g-v").step) == "g - v"
    assert str(find_rule("2**(1/2)*g").step) == "2**(1/2)*g"


def test_text_can_name_its_own_symbols():
    rule = find_rule("grad(rho*g) + parameter('tau')*direction('w')/3")
    assert (rule.parameters, rule.directions) == (["tau"], ["w"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.00000000000000000001", 1 + Fraction(1, 10**20)),
        ("0.1", Fraction(1, 10)),
        ("123456789012345678901234567890.5", Fraction(246913578024691357802469135781, 2)),
        ("1e-300", Fraction(1, 10**300)),
        ("1_0.5e0", Fraction(21, 2)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("0x10", Fraction(16)),
        ("0e999999999", Fraction(0)),
    ],
)
def test_decimals_are_exact(text, value):
    assert parse(text).value == value
    assert parse(f"(  {text})*g") == value * G


def test_a_difference_of_decimals_is_not_lost():
    """It had been 0: both decimals are 1.0 as floats."""
    assert parse("1.00000000000000000001*g - g").parts == ((1 + Fraction(1, 10**20)) * G, -G)


@pytest.mark.parametrize("text", ["1e-400", "1e400", "1e999999999", "1e-999999999", "0." + "1" * 400])
def test_sizes_that_no_float_holds_are_refused(text):
    with pytest.raises(InputError, match="is too large or too small to be read exactly; give numerators"):
        parse(f"{text}*g")


TAKEN = ["g", "H", "T", "f", "phi", "E", "x", "g1", "H2", "T12", "E_12", "Df", "D4f", "f_m", "D3phi"]
TAKEN += ["X", "W", "b", "h", "u", "c", "p", "O", "L", "P", "Cov", "gamma", "lambda", "grad", "unit", "if", "True"]


@pytest.mark.parametrize("name", TAKEN)
def test_names_of_the_notation_are_taken(name):
    """In every constructor; the advised name is accepted."""
    for make in (parameter, direction, Parameter, Direction, lambda n: parse(f"parameter('{n}')")):
        with pytest.raises(InputError, match=f"the name '{name}' is .*; choose another, e.g. 'my_{name}'"):
            make(name)
        assert make(f"my_{name}")


@pytest.mark.parametrize("name", ["g", "H", "E", "x", "Df", "g1"])
def test_exact_expressions_refuse_them_too(name):
    for make in (Sum.parameter, Sum.direction):
        with pytest.raises(InputError, match=f"the name '{name}' is"):
            make(name)


@pytest.mark.parametrize(
    ("text", "advice", "instead"),
    [
        ("lam*g", r"parameter\('lam'\) for a positive number", "parameter('lam')*g"),
        ("g + w", r"direction\('w'\) for a frozen unit vector", "g + direction('w')"),
        ("H*g", r"write hvp\(a\)", "hvp(g)"),
        ("T*g", r"write derivative\(a, b\)", "derivative(g, g)"),
        ("f*g", r"write loss\(\) for the minibatch's loss, or E\[loss\(\)\]", "loss()*g + E[loss()]*g"),
        ("E*g", r"write E\[a\] for the expectation", "E[g]"),
        ("e*g", r"parameter\('e'\)", "2.718281828*g + parameter('e')*g"),
        ("i*g", r"parameter\('i'\) for a number", "parameter('i')*g + direction('i_1')"),
        ("norm*g", r"write norm\(...\)", "norm(g)*g"),
        ("gamma*g", r"choose another name, e.g. parameter\('tau'\)", "parameter('tau')*g"),
        ("g*g", r"use inner\(a, b\)", "inner(g, g)*g"),
        ("g**2", r"use inner\(a, a\) or norm\(a\)", "inner(g, g)*norm(g)*g"),
        ("g/g", r"divide by its norm, or use unit\(a\) = a/norm\(a\)", "g/norm(g) + unit(g)"),
        ("grad(g, g)*1", "takes from 0 to 1 positional", "grad(rho*g)"),
        ("'g'*2", "write it without quotation marks", "g*2"),
        ("grad(rho)", r"needs a vector such as grad\(\)", "grad(rho*grad())"),
        ("rho*2", r"write e.g. grad\(rho \* unit\(g\)\)", "grad(rho * unit(g))"),
        ("nothing(1)", "is not part of the language", "g"),
    ],
)
def test_advice_can_be_followed(text, advice, instead):
    with pytest.raises(InputError, match=advice):
        find_rule(text)
    assert find_rule(instead).step


@pytest.mark.parametrize("text", ["x + g", "parameter('lam')*x", "direction('x')"])
def test_the_point_is_no_direction(text):
    """``lam*x`` is weight decay; a frozen unit vector of that name would be another rule."""
    with pytest.raises(InputError) as caught:
        find_rule(text)
    assert "direction('x')" not in str(caught.value).removeprefix("'direction('x')'")
    assert "the point" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("parameter('tau')*direction('w')", "parameter('tau')*direction('w')"),
        ("(-2)**(1/2)*g", "(-2)**(1/2)*g"),
        ("g/alpha**(1/2)", "g/alpha**(1/2)"),
        ("loss()**(-1/2)*g", "g/loss()**(1/2)"),
        ("+g", "g"),
        ("(norm(g) - 2)**(-3)*g", "g/(norm(g) - 2)**3"),
    ],
)
def test_what_is_printed_is_read_back(text, shown):
    assert str(parse(text)) == str(parse(shown)) == shown
    assert parse(shown) == parse(text)
