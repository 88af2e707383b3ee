"""What a derivation prints, and what it says in JSON."""

import json

import pytest

from eigensam.sde import RULES, derive, truncate
from eigensam.sde.derivation.identities import alignment_of, eigenvalue_gradient_identity, norm_gradients
from eigensam.sde.derivation.summary import latex_summary, summary


@pytest.mark.parametrize(("name", "p", "beta"), [("sam", 2, "2/3"), ("eigen-sam", 1, "1/3"), ("sgd", 2, 1)])
def test_an_sde_prints_as_the_equations_of_its_summary(name, p, beta):
    sde = derive(RULES[name], p, beta)
    head, *equations = repr(sde).splitlines()
    assert head == f"SDE of {name} for ρ = c {'η' if beta == 1 else f'η^({beta})'}, weak order {p} proved"
    assert str(sde) == repr(sde)
    assert "\n".join(equations) in summary(sde)
    notebook = sde._repr_latex_()
    assert notebook.startswith("$$\\begin{aligned}\n")
    assert notebook.splitlines()[1:-1] == latex_summary(sde).splitlines()[2:-1]


def test_printing_proves_nothing():
    """A proof may take minutes; a debugger that shows a variable must not start one."""
    sde = truncate(RULES["sam"], "1/3", 2)
    assert "proved" not in repr(sde)
    assert "proof" not in vars(sde)
    assert sde.weak_order
    assert "weak order 2/3 proved" in repr(sde)


def test_an_ode_has_no_noise():
    assert repr(truncate(RULES["sam"], "1/3", 1, covariance_order=0)).endswith("Σ  = 0")


def test_terms_left_out_and_powers_print():
    sde = derive(RULES["sam"], 1, "1/3")
    assert [str(term) for term in sde.dropped] == [
        "drift: the coefficient of ρ³, -⅙ E[∇⁴f_γ[g,g,g]/‖g‖³], costs O(η)",
        "correction: the coefficient, -½ ∇²f ∇f, costs O(η)",
        "covariance: the coefficient of ρ³, -⅙ ∇⁴f_γ[g,g,g]/‖g‖³, costs O(η²)",
    ]
    agree, differ = repr(sde.proof).split("; ")
    assert agree == "Proof of weak order 1: both one-step operators agree at η, ηρ, ηρ²"
    assert differ == "they differ first at exponent 2, in ηρ³, η²"
    assert str(sde.proof.matched[1]) == "ηρ, exponent 4/3: both -E[∇φ[Hg]/‖g‖]"
    assert str(sde.proof.mismatch[1]) == "η², exponent 2: difference -½ ∇φ[∇²f ∇f]"


def test_theorems_and_alignments_print():
    first = norm_gradients()[0]
    assert str(first) == "E[Hg/|g|] = grad E|g| (holds, given g != 0)"
    assert str(alignment_of(RULES["sam"])) == "T[u,u] has ⟨u,v⟩² T[v,v] with u = g/‖g‖, ⟨u,v⟩² = ⟨g,v⟩²/‖g‖²"


@pytest.mark.parametrize(
    "result",
    [
        derive(RULES["sam"], 1, "1/3"),
        derive(RULES["sam"], 1, "1/3").proof,
        derive(RULES["sam"], 1, "1/3").dropped[0],
        eigenvalue_gradient_identity(),
        alignment_of(RULES["eigen-sam"]),
    ],
    ids=lambda result: type(result).__name__,
)
def test_every_result_is_json(result):
    found = result.to_dict()
    assert json.loads(json.dumps(found)) == found


def test_dictionaries_say_what_holds():
    assert eigenvalue_gradient_identity().to_dict()["holds"]
    found = alignment_of(RULES["sam"]).to_dict()
    assert found["share"]["text"] == "<g,v>^2/|g|^2"
    assert found["holds"]
