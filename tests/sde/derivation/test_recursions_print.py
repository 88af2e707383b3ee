"""What a derivation of a rule with memory prints: statements, rate, corrector, blocks, laws of minibatches, proof."""

import json
import re
from fractions import Fraction

import pytest

from eigensam.ground import InputError
from eigensam.sde import derive, truncate
from eigensam.sde.derivation.proof_document import proof_document
from eigensam.sde.derivation.summary import latex_summary, summary
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.repartitioned import Repartitioned
from eigensam.sde.rules.sampling import GivenOrder, Independent, Reshuffled, SingleShuffle, repartitions
from eigensam.sde.rules.schedules import Schedule, cosine
from eigensam.sde.rules.statements import parse_statements

MOMENTUM = "m = 9/10*m + g; x = x - eta*m"
SAM = "m = 9/10*m + grad(rho*unit(g)); x = x - eta*m"
FRICTION = "m = m + 2*eta*(-1*g - m); x = x + eta*m - eta*grad(rho*g)"


def recursion(text, **settings):
    return Recursion("mine", parse_statements(text, list(settings.get("schedules", {}))), **settings)


def lines(sde):
    return [line.strip() for line in sde.lines(statements=True)]


SDES = {
    "momentum": derive(recursion(MOMENTUM), 2, 1),
    "sam": derive(recursion(SAM), 1, "1/3"),
    "sam-2": derive(recursion(SAM), 2, "2/3"),
    "friction": derive(recursion(FRICTION), 2, 1),
    "scheduled": derive(recursion("m = 9/10*m + s*g; x = x - eta*m", schedules={"s": cosine(2)}), 2, 1),
    "drop-last": derive(recursion(MOMENTUM, sampling=Reshuffled(469, steps=468)), 2, 1),
    "single": derive(recursion(MOMENTUM, sampling=SingleShuffle(40)), 2, 1),
    "ordered": derive(recursion(MOMENTUM, sampling=GivenOrder(4)), 2, 1),
    "listed": derive(recursion(MOMENTUM, sampling=repartitions(4, 2)[1]), 2, 1),
    "examples": derive(recursion(MOMENTUM, sampling=Repartitioned(1437, 64)), 2, 1),
    "draws": derive(recursion("x = x - eta*grad(rho*grad(draw='a'), draw='b')", distinct=5), 1, "1/2"),
    "lookahead": derive(
        recursion("y = x; x = x - eta*grad(draw='1'); x = x - eta*grad(draw='2'); x = y + (x - y)/2", inner_steps=2),
        2,
        1,
    ),
}


def test_statements_rate_and_shifted_start():
    assert lines(SDES["momentum"]) == [
        "m ← 9/10 m + g",
        "x ← x - η m",
        "",
        "dX = b dt + √ε Σ^(1/2) dW",
        "b  = -∇f - 19/2 ε ∇²f ∇f",
        "Σ  = Cov(h)   with h = -g",
        "X₀ = x₀ + η χ(x₀,m₀)",
        "χ  = 90 ∇f - 9 m",
    ]
    assert "ε = 10 η is the effective rate: one step of training takes the time ε" in summary(SDES["momentum"])
    assert "m ← 9/10 m + ∇f_γ(x + ρ g/‖g‖)" in lines(SDES["sam"])
    shown = repr(SDES["sam-2"]).splitlines()
    assert shown[0] == "SDE of mine for ρ = c ε^(2/3), weak order 2 proved"
    assert shown[1] == "  ε  = 10 η"


def test_without_a_rate_of_its_own_the_learning_rate_is_printed():
    shown = summary(SDES["draws"])
    assert "the noise is left out, which order 1 does not notice" in shown  # its two draws play different parts
    assert "ε" not in shown
    assert "dX = b dt + √η Σ^(1/2) dW" in repr(derive(recursion("x = x - eta*grad(draw='a')"), 1, 1))
    assert "x ← x - η ∇f_b(x + ρ g_a)" in shown


@pytest.mark.parametrize("beta", [Fraction(1, 2), Fraction(2, 3), Fraction(9, 10)])
def test_the_corrector_is_that_of_heavy_ball(beta):
    """With ``chi = b/(1-b) (Df/(1-b) - m)``, by hand, ``chi(m) - chi(b m + Df) = Df/(1-b) - (b m + Df)``."""
    sde = derive(recursion(f"m = {beta}*m + g; x = x - eta*m"), 2, 1)
    tau = beta / (1 - beta)
    (found,) = sde.corrector["x"].values()
    assert {str(type(c)): c for c in found.terms.values()}  # exact rationals
    assert sorted(found.terms.values()) == sorted([-tau, tau / (1 - beta)])
    assert f"χ  = {tau / (1 - beta)} ∇f - {tau if tau != 1 else ''}".rstrip() in repr(sde)


def test_the_start_is_not_shifted_where_the_order_does_not_need_it():
    assert SDES["sam"].corrector == {}
    assert "X₀" not in repr(SDES["sam"])
    assert "slow variable" not in summary(SDES["sam"])
    assert "slow variable x + η χ(x,m)" in summary(SDES["sam-2"])
    assert SDES["friction"].corrector == {}


def test_several_blocks_have_a_line_each():
    assert lines(SDES["friction"])[3:5] == ["dx = b_x dt + √η (Σ^(1/2) dW)_x", "dm = b_m dt + √η (Σ^(1/2) dW)_m"]
    assert "Σ  = Cov(h_x, h_m)   with h_x = -g + m" in lines(SDES["friction"])
    one = derive(recursion("m = m + 2*eta*(-1*g - m); x = x + eta*m"), 1, 1)
    assert lines(one)[3:] == [
        "dx = b_x dt",
        "dm = b_m dt + √η Σ^(1/2) dW",
        "b_x = m",
        "b_m = -2 ∇f - 2 m",
        "Σ  = Cov(h)   with h = -2 g - 2 m",
    ]
    assert one.to_dict()["drift"]["0"]["text"] == "x: m, m: -2 Df - 2 m"
    assert r"\nabla \varphi_{m}[\nabla f]" in proof_document(one)


@pytest.mark.parametrize("name", SDES)
def test_vectors_of_several_blocks_are_taken_apart(name):
    sde = SDES[name]
    for text in (summary(sde), latex_summary(sde), repr(sde), sde._repr_latex_(), proof_document(sde)):
        assert "@" not in text
    found = sde.to_dict()
    assert json.loads(json.dumps(found)) == found
    assert "@" not in json.dumps(found)
    assert max(map(len, summary(sde).splitlines())) <= 112
    assert "\n".join(sde.lines(statements=True)) in summary(sde)
    assert sde._repr_latex_().splitlines()[1:-1] == latex_summary(sde).splitlines()[2:-1]


def test_schedules_print_with_their_formula_and_slope():
    shown = summary(SDES["scheduled"])
    assert "s(t) = cos(pi*t/2)/2 + 1/2" in shown
    assert "s' is ds/dt" in shown
    assert "step number n is at the time t = n ε" in shown
    assert "+ 19/2 ε s' ∇f - 19/2 ε s² ∇²f ∇f" in shown
    latex = latex_summary(SDES["scheduled"])
    assert r"s(t) &= \frac{\cos{\left(\frac{\pi t}{2} \right)}}{2}" in latex
    assert r"\varepsilon\,s'\,\nabla f" in latex
    greek = recursion("m = m/2 + g; x = x - eta*theta*m", schedules={"theta": Schedule("1/(1 + t)")})
    assert "θ'" in repr(derive(greek, 2, 1))
    assert r"\theta'" in derive(greek, 2, 1)._repr_latex_()


LAWS = {
    "momentum": "drawn uniformly and independently",
    "drop-last": "new random order, without replacement",
    "single": "all epochs take the minibatches in one random order",
    "ordered": "all epochs take the minibatches in the order of the family",
    "listed": "every epoch takes one of a list of sets",
    "examples": "every epoch cuts the examples anew",
    "draws": "the minibatches of one step (a, b) are different ones of a family of 5",
    "lookahead": "the minibatches of one step (1, 2) are independent",
}


@pytest.mark.parametrize("name", LAWS)
def test_the_law_of_the_minibatches_is_an_assumption(name):
    sde = SDES[name]
    said = " ".join(sde.assumptions)
    assert LAWS[name] in said
    assert (Independent.words in said) == isinstance(sde.rule.sampling, Independent)
    assert ("an epoch has" in said) == (sde.rule.sampling.epoch > 1)


def test_memory_and_schedules_are_assumptions():
    said = SDES["scheduled"].assumptions
    assert "the memory m forgets: at η = 0 a step multiplies it by 9/10; its moments are bounded" in said
    assert "s is positive and has two continuous derivatives up to the horizon" in said
    rewritten = derive(recursion("m = g; x = x - eta*(m + q); q = m"), 1, 1)
    assert any("a step writes it anew" in sentence for sentence in rewritten.assumptions)


def test_long_rationals_are_decimals_for_readers_and_exact_for_programs():
    found = SDES["single"].to_dict()["correction"]["0"]
    assert "-9.21538 ε ∇²f ∇f".replace("-", "- ") in summary(SDES["single"])
    assert "decimals are rounded to 6 digits" in summary(SDES["single"])
    assert "9.21538" in found["latex"]
    exact = Fraction(re.search(r"-(\d+/\d+) D2f", found["text"])[1])
    assert abs(exact - Fraction("9.21538")) < Fraction(1, 10**5)
    assert "54877/6084" in repr(SDES["drop-last"])  # ten digits are read
    assert "rounded" not in summary(SDES["drop-last"])


def test_roots_print_as_roots():
    assert "-1/78 √13 g + 1/78 √13 ∇f" in repr(SDES["drop-last"])
    assert r"\tfrac{1}{78}\,\sqrt{13}\,g" in latex_summary(SDES["drop-last"])
    assert "13^(1/2)" in SDES["drop-last"].to_dict()["increments_of_the_covariance"]["0"]["text"]


def test_a_given_order_says_what_lagged_is():
    """Of heavy ball, with c_l = b^l, the minibatch j places behind has the weight b^j/(1 - b^4), 1 less for j = 0."""
    sde, beta, n = SDES["ordered"], 0.9, 4
    assert "b  = -∇f - 19/2 ε ∇²f ∇f + ε E_b[-H\u2113]" in lines(sde)
    shown = " ".join(summary(sde).split())
    assert "K_ba = [a<b] + k_(b-a)" in shown
    assert "the sum of all k_j equal to -3/2" in shown
    assert "inside an epoch the error is of order 1" in shown
    found = sde.to_dict()
    k = found["kernel_by_places_behind"]
    assert sum(k) == pytest.approx(-3 / 2)
    weights = [beta**j / (1 - beta**n) - (j == 0) for j in range(n)]
    constant = {round(-k_j - weight, 9) for k_j, weight in zip(k, weights, strict=True)}
    assert len(constant) == 1
    matrix = [[(a < b) + k[(b - a) % n] for a in range(n)] for b in range(n)]
    assert found["kernel"] == [pytest.approx(row) for row in matrix]
    wrong = [[(a > b) + k[(b - a) % n] for a in range(n)] for b in range(n)]  # the order backwards
    assert found["kernel"] != [pytest.approx(row) for row in wrong]
    assert r"\varepsilon\,\mathbb{E}_b\left[-H[\ell]\right]" in latex_summary(sde)


def test_noise_that_cancels_is_said_to():
    assert "the noise of the minibatches cancels at this order: this is an ODE" in summary(SDES["single"])
    assert "cancels" not in summary(SDES["drop-last"])
    assert "left out" not in summary(SDES["momentum"])


def test_other_laws_of_pairs_have_their_matrix():
    assert "Σ_ab Q_ab" in repr(SDES["listed"])
    found = SDES["listed"].to_dict()
    assert len(found["kernel"]) == 6
    assert found["kernel_by_places_behind"] is None


def test_steps_of_a_cycle_are_steps_of_training():
    shown = summary(SDES["lookahead"])
    assert "ε = ½ η is the effective rate" in shown
    assert "the statements are 2 steps of training, which take the time 2 ε" in shown


def test_printing_proves_nothing():
    sde = truncate(recursion(SAM), "2/3", 3, correction_order=2)
    assert "proved" not in repr(sde)
    assert "proof" not in vars(sde)


def test_dictionary():
    found = SDES["scheduled"].to_dict()
    assert found["effective_rate"] == "10"
    assert found["blocks"] == {"slow": ["x"], "fast": {"m": "9/10"}}
    assert found["statements"][1] == {"block": "x", "text": "x = x - eta*m", "latex": r"x \leftarrow x - \eta m"}
    assert found["schedules"]["s"]["formula"] == cosine(2).formula
    assert found["corrector"]["x"]["0"]["text"] == "-9 m + 90 s Df"
    assert found["start"][0] == "X₀ = x₀ + η χ(x₀,m₀)"
    law = SDES["drop-last"].to_dict()["sampling"]
    assert (law["law"], law["epoch"], law["family"], law["noise"]) == ("Reshuffled", 468, 469, "1/468")
    assert SDES["draws"].to_dict()["distinct"] == 5
    assert SDES["lookahead"].to_dict()["inner_steps"] == 2


@pytest.mark.parametrize("name", SDES)
def test_proof_document_is_well_formed(name):
    sde = SDES[name]
    source = proof_document(sde)
    for opening, closing in (("{", "}"), (r"\left", r"\right"), (r"\begin{", r"\end{"), (r"\[", r"\]")):
        unescaped = source.replace(r"\{", "").replace(r"\}", "").replace(r"\leftarrow", "")
        assert unescaped.count(opening) == unescaped.count(closing)
    assert source.isascii(), sorted(set(re.findall(r"[^\x00-\x7f]", source)))
    assert f"has weak order {sde.weak_order}" in source
    assert r"\leftarrow" in source
    assert ("The corrector" in source) == bool(sde.memory)
    assert (r"\mu\bigl(P_2\varphi + P_1(\chi\cdot\nabla\varphi)" in source) == bool(sde.memory)
    assert (r"\section*{Epochs}" in source) == (sde.rule.sampling.epoch > 1)
    assert source.count(r"\paragraph{") == len(sde.proof.matched)
    assert r"\begin{itemize}" + "\n\n" not in source


def test_the_document_says_what_epochs_add():
    assert r"\kappa = -\frac{1}{N-1}" in proof_document(SDES["drop-last"])
    assert r"= -\tfrac{2921}{6084}, \qquad" in proof_document(SDES["drop-last"])
    assert r"\sum_{N \nmid l} c_l" in proof_document(SDES["single"])
    assert r"\mathbb{E}_b\,(D h_b)[\ell]" in proof_document(SDES["ordered"])
    assert r"\partial_t + b_0\cdot\nabla" in proof_document(SDES["scheduled"])
    assert r"\tfrac{W^2}{2} L_1" in proof_document(SDES["lookahead"])


def test_the_document_of_a_wrong_sde_has_its_mismatch():
    """Wrong on purpose: without the correction the order is 1, and the document says where."""
    wrong = truncate(recursion(MOMENTUM), 1, 2, correction_order=0)
    source = proof_document(wrong)
    assert "has weak order 1" in source
    assert r"[\eta^{2}]\,(P\Phi - \Phi e^{W\eta L})\varphi &= - 950\,\nabla \varphi[\nabla^{2}\!f[\nabla f]]" in source
    assert "The first exponent at which they differ is $2$" in source


@pytest.mark.parametrize(
    ("text", "name"),
    [("chi = chi/2 + g; x = x - eta*chi", "chi"), ("x = x - eta*parameter('epsilon')*g", "epsilon")],
)
def test_letters_of_the_equations_are_no_names(text, name):
    with pytest.raises(InputError, match=f"the name '{name}' is the .* in what is printed"):
        recursion(text)
