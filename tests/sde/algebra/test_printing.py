"""Expressions as text, Unicode and LaTeX; summaries; the generated page; the proof as a document."""

import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from eigensam.sde import RULES, Rule, derive, find_rule, truncate
from eigensam.sde.algebra.printing import latex, text, unicode
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.algebra.trees import EMPTY, GAMMA, LOSS, PHI, SLOT
from eigensam.sde.derivation.proof_document import proof_document
from eigensam.sde.derivation.rule_table import table
from eigensam.sde.derivation.summary import latex_summary, summary
from eigensam.sde.rules import alpha, direction, grad, norm, rho, sign, unit

G, V = Sum.derivative(), Sum.direction("v")
H = Sum.derivative
F = G.mean()


@pytest.mark.parametrize(
    ("expression", "ascii_", "unicode_", "latex_"),
    [
        (Sum(), "0", "0", "0"),
        (H(G) * Fraction(-1, 2), "-1/2 H[g]", "-½ Hg", r"-\tfrac{1}{2}\,H[g]"),
        (H(G, V), "T[g,v]", "T[g,v]", "T[g, v]"),
        (H(G, G, V), "D4f_m[g,g,v]", "∇⁴f_γ[g,g,v]", r"\nabla^{4}\!f_\gamma[g, g, v]"),
        (G.inner(G).power(Fraction(3, 2)), "|g|^3", "‖g‖³", r"\lVert g\rVert^{3}"),
        (G.inner(V).sign() * V, "sign(<g,v>) v", "sign(⟨g,v⟩) v", r"\operatorname{sign}(\langle g, v\rangle)\,v"),
        (H(H(F)).mean(), "E[H[H[Df]]]", "E[HH∇f]", r"\mathbb{E}\left[H[H[\nabla f]]\right]"),
        (H(H(G).mean(), sample=-1), "D2f[E[H[g]]]", "∇²f[E[Hg]]", r"\nabla^{2}\!f[\mathbb{E}\left[H[g]\right]]"),
        (G.inner(G).mean().power(2), "E[|g|^2] E[|g|^2]", "E[‖g‖²] E[‖g‖²]", None),
        ((G.inner(G) + Sum.number(1)).power(-1), "1/(1 + |g|^2)", "1/(1 + ‖g‖²)", None),
        ((G.inner(G) + Sum.number(1)).power(Fraction(-1, 3)), "1/(1 + |g|^2)^(1/3)", "1/(1 + ‖g‖²)^(1/3)", None),
        (Sum.full_contraction(PHI, H(G)), "Dphi[H[g]]", "∇φ[Hg]", r"\nabla \varphi[H[g]]"),
        (Sum.full_contraction(PHI), "phi", "φ", r"\varphi"),
        (Sum.full_contraction((LOSS, GAMMA, ())), "f_m", "f_γ", r"f_\gamma"),
        (Sum.number(2).power(Fraction(1, 2)) * V, "2^(1/2) v", "√2 v", r"\sqrt{2}\,v"),
        (Sum.number(6).power(Fraction(1, 2)) * V, "6^(1/2) v", "√6 v", r"\sqrt{6}\,v"),
        (Sum.number(2).power(Fraction(1, 3)) * V, "2^(1/3) v", "2^(1/3) v", r"2^{1/3}\,v"),
        (V * Fraction(54877, 60844), "54877/60844 v", "54877/60844 v", r"\tfrac{54877}{60844}\,v"),
        (V * Fraction(-548771, 60845), "-548771/60845 v", "-9.01916 v", r"-9.01916\,v"),
        (V * Fraction(10**12, 7), "1000000000000/7 v", "1.42857·10¹¹ v", r"1.42857 \cdot 10^{11}\,v"),
        (V * Fraction(1, 3 * 10**12), "1/3000000000000 v", "3.33333·10⁻¹³ v", r"3.33333 \cdot 10^{-13}\,v"),
        (V * 12345678901, "12345678901 v", "12345678901 v", r"12345678901\,v"),
        (Sum.parameter("alpha").power(-2) * V, "v/alpha^2", "v/α²", r"\frac{v}{\alpha^{2}}"),
        ((G.inner(V) + Sum.number(-2)).sign(), "-sign(2 - <g,v>)", "-sign(2 - ⟨g,v⟩)", None),
    ],
)
def test_three_styles(expression, ascii_, unicode_, latex_):
    assert (text(expression), unicode(expression)) == (ascii_, unicode_)
    assert latex_ is None or latex(expression) == latex_
    assert repr(expression) == ascii_


def test_derivatives_of_the_test_function_in_several_blocks():
    slots = [(EMPTY, 1, ()), (EMPTY, 2, ())]
    slope = Sum.full_contraction(PHI).differentiated(block="m")
    assert text(slope.fill(G)) == "Dphi_m[g]"
    mixed = Sum.full_contraction(PHI).differentiated(slots[0], "m").differentiated(slots[1])
    shown = mixed.fill(G, slots[0]).fill(V, slots[1])
    assert unicode(shown) == "∇²φ_m,x[g,v]"
    assert latex(shown) == r"\nabla^{2}\!\varphi_{m, x}[g, v]"
    assert unicode(Sum.full_contraction(PHI).along(Sum.state("m"))) == "∇φ[m]"


def test_equal_sums_print_alike():
    assert text(H(G, V) + H(V, V)) == text(H(V, V) + H(V, G))


def test_summary_of_a_derivation():
    shown = summary(derive(RULES["sam"], 2, "2/3"))
    for part in (
        "sam: grad(rho*g/norm(g))",
        "weak order 2 for ρ = c η^(2/3), proved",
        "Σ  = Cov(h)   with h = -g - ρ Hg/‖g‖",
        "drift      ρ³  O(η²)",
        "both one-step operators agree at η, ηρ, η², ηρ², η²ρ",
        "they differ first at exponent 3",
        "with u = g/‖g‖",
        "- ρ = c η^(2/3) with a constant c > 0",
    ):
        assert part in shown
    assert max(map(len, shown.splitlines())) <= 112
    without = summary(truncate(RULES["sam"], "1/3", 2, covariance_order=0))
    assert "Σ  = 0" in without
    assert "⟨u,v⟩²" not in without
    assert "⟨u,v⟩²" not in summary(derive(RULES["sam-2-step"], 1, "1/3"))  # no single perturbation u


def test_crossing_expectations_have_numbers():
    """E_12 <g_1, g_2>^2 is no product and no nesting of single expectations."""
    slot, first, second = SLOT, (EMPTY, 1, ()), (EMPTY, 2, ())
    squared = (G.inner(Sum({(slot, ()): Fraction(1)})) * G.inner(G)).mean()  # E[|g|^2 g], open at one end
    assert text(squared.fill(G, slot).mean()) == "E[<g,Df> |g|^2]"  # one expectation is enough
    pair = (G.inner(Sum({(first, ()): Fraction(1)})) * G.inner(Sum({(second, ()): Fraction(1)}))).mean()
    crossing = pair.fill(G, first).fill(G, second).mean()
    assert (text(crossing), unicode(crossing)) == ("E_12[<g1,g2>^2]", "E₁₂[⟨g₁,g₂⟩²]")
    assert latex(crossing) == r"\mathbb{E}_{1,2}\left[\langle g_{1}, g_{2}\rangle^{2}\right]"
    higher = pair.fill(H(G, G), first).fill(H(G), second).mean()
    assert text(higher) == "E_12[T1[g1,g1,g2] H1[g1,g2]]"


def test_latex_summary():
    assert r"d_\gamma &= g + \rho" in latex_summary(derive(RULES["egr"], 1, "1/2"))
    assert r"\Sigma &= 0" in latex_summary(truncate(RULES["sam"], "1/3", 1, covariance_order=0))


def test_dictionary():
    found = derive(RULES["sam"], 2, "2/3").to_dict()
    assert found["correction"]["0"]["text"] == "-1/2 D2f[Df]"
    assert found["dropped"][0]["order"] == "2"
    assert found["mismatch"][0]["rho_power"] == 3
    assert found["highest_derivative"] == 3
    assert derive(RULES["sgd"], 1, 1).to_dict()["perturbation"] is None


def test_the_page_of_all_rules_is_generated():
    page = (Path(__file__).parents[3] / "docs" / "sdes.md").read_text(encoding="utf-8")
    assert page == table(), "run: python -m eigensam.sde.derivation.rule_table docs/sdes.md"
    assert all(f"## {name}\n" in page for name in RULES)


DOCUMENTS = [
    derive(RULES["sam"], 1, "1/3"),
    derive(RULES["eigen-sam"], 2, "2/3"),
    derive(RULES["sam-3-step"], 1, "1/3"),
    derive(RULES["dnsam"], 2, "1/3"),
    truncate(RULES["sam"], "1/3", 1, covariance_order=0),
    derive(Rule("my_rule % & ^ \\ #{}$~", alpha * direction("step_size")), 1, 1),
    derive(find_rule("grad(rho*unit(g + alpha*sign(inner(g, v) - 2)*v)) + 0*g"), 1, "1/2"),
]


@pytest.mark.parametrize("sde", DOCUMENTS, ids=lambda sde: sde.rule.name[:12])
def test_proof_document_is_well_formed(sde):
    source = proof_document(sde)
    for opening, closing in (("{", "}"), (r"\left", r"\right"), (r"\begin{", r"\end{")):
        unescaped = source.replace(r"\{", "").replace(r"\}", "")
        assert unescaped.count(opening) == unescaped.count(closing)
    assert source.isascii(), sorted(set(re.findall(r"[^\x00-\x7f]", source)))
    assert "What was dropped" in source or not sde.dropped
    assert str(sde.weak_order) in source


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed; the source is checked above")
@pytest.mark.parametrize("sde", DOCUMENTS, ids=lambda sde: sde.rule.name[:12])
def test_proof_document_compiles(sde, tmp_path):
    (tmp_path / "proof.tex").write_text(proof_document(sde), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "proof.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "proof.pdf").stat().st_size > 10_000


def test_normalised_sum_prints_its_inside():
    rule = Rule("n", grad(rho * unit(grad() + alpha * sign(norm(grad()) - 1) * direction("v"))))
    assert "1/2" not in text(derive(rule, 1, "1/2").drift[0])
    assert "alpha^2" in summary(derive(rule, 1, "1/2")) or "α²" in summary(derive(rule, 1, "1/2"))


def test_a_name_that_latex_would_read(tmp_path):
    source = proof_document(DOCUMENTS[5])
    assert r"my\_rule \% \& \^{} \textbackslash{} \#\{\}\$\~{}" in source
    assert r"\section*{The SDE has weak order" in proof_document(DOCUMENTS[6])  # a long expression is no title
