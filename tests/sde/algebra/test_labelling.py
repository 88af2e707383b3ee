"""Canonical numbers of minibatches against the brute force over permutations, and symmetric structures."""

import itertools
import random
from collections import Counter
from fractions import Fraction

import pytest

from eigensam.ground import InputError
from eigensam.sde import derive, find_rule
from eigensam.sde.algebra.labelling import canonical_order
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.algebra.terms import CONTRACTION, INNER, Collector, relabelled, samples
from eigensam.sde.algebra.trees import GAMMA, MEAN, attach, direction, loss


def graph(edges):
    """The shape of a graph whose vertices are the labels."""
    return lambda colours: tuple(sorted(tuple(sorted((colours[a], colours[b]))) for a, b in edges))


def numbered(edges, vertices):
    order = canonical_order(vertices, graph(edges))
    assert sorted(order) == sorted(vertices)
    return graph(edges)({label: i for i, label in enumerate(order)})


def by_brute_force(edges, vertices):
    return min(
        graph(edges)(dict(zip(order, range(len(order)), strict=True))) for order in itertools.permutations(vertices)
    )


def test_graphs_are_told_apart_exactly_as_by_all_permutations():
    """Every graph on up to four vertices, and random ones on five and six, each under another name, too."""
    draw = random.Random(5)
    for n, count in ((2, None), (3, None), (4, None), (5, 60), (6, 12)):
        pairs = list(itertools.combinations(range(n), 2))
        chosen = range(2 ** len(pairs)) if count is None else [draw.getrandbits(len(pairs)) for _ in range(count)]
        classes = {}
        for bits in chosen:
            edges = [pair for i, pair in enumerate(pairs) if bits >> i & 1]
            names = draw.sample(range(10, 99), n)
            renamed = [(names[a], names[b]) for a, b in edges]
            ours, truth = numbered(edges, range(n)), by_brute_force(edges, range(n))
            assert numbered(renamed, names) == ours
            assert classes.setdefault(str(truth), ours) == ours
        assert len({str(form) for form in classes.values()}) == len(classes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([(i, (i + 1) % 6) for i in range(6)], [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]),
        (
            [(i, (i + d) % 16) for i in range(16) for d in (1, 4)],  # both regular: refinement alone sees no difference
            [(4 * i + j, 4 * i + (j + 1) % 4) for i in range(4) for j in range(4)]
            + [(4 * i + j, 4 * ((i + 1) % 4) + j) for i in range(4) for j in range(4)],
        ),
    ],
    ids=["hexagon and two triangles", "twisted and plain torus"],
)
def test_regular_graphs_that_colours_do_not_tell_apart(one, other):
    vertices = sorted({v for edge in one for v in edge})
    assert numbered(one, vertices) != numbered(other, vertices)
    for seed in range(5):
        names = random.Random(seed).sample(range(100, 200), len(vertices))
        assert numbered([(names[a], names[b]) for a, b in one], names) == numbered(one, vertices)


@pytest.mark.parametrize("n", [8, 40])
def test_many_equal_labels_need_no_permutations(n):
    calls = 0

    def shape(colours):
        nonlocal calls
        calls += 1
        return tuple(sorted(colours.values()))

    canonical_order(range(n), shape)
    assert calls < 2 * n**3


def test_a_search_that_would_not_end_is_refused():
    draw = random.Random(0)
    with pytest.raises(InputError, match="40 independent minibatches of one term look so much alike"):
        canonical_order(range(40), lambda colours: 0 if len(set(colours.values())) < 40 else draw.random())


# -- terms


def random_term(draw, count):
    """Factors and a vector over samples 1 .. count, each of which occurs at least twice."""
    pool = [*range(1, count + 1)] * 2 + [GAMMA, MEAN][: draw.randint(0, 2)]
    draw.shuffle(pool)
    trees = []
    while pool:
        tree = loss(pool.pop(), *(direction("v") for _ in range(draw.randint(0, 1))))
        for _ in range(min(len(pool), draw.randint(0, 2))):
            tree = loss(pool.pop(), tree)
        trees.append(tree)
    vector = trees.pop() if draw.random() < 0.5 else ()
    factors = []
    while trees:
        a = trees.pop()
        b = trees.pop() if trees and draw.random() < 0.7 else a
        factors.append(((CONTRACTION, attach(a, b)), Fraction(draw.choice([-3, -1, 1, 1, 2]), 2)))
    if draw.random() < 0.3:
        g, mean = Sum.derivative(), Sum.derivative().inner(Sum.derivative()).power(Fraction(1, 2)).mean()
        ((_, sums),) = (g.inner(g) + mean).power(Fraction(1, 2)).terms
        factors += [relabelled(((), sums), {GAMMA: draw.randint(1, count)})[1][0]]
    return vector, tuple(factors)


def key(term):
    (found,) = Collector().add(*term, Fraction(1)).terms
    return found


def merged(term):
    """One entry for each factor, the minibatches as they are."""
    vector, factors = relabelled(term, {})
    powers = Counter()
    for atom, e in factors:
        powers[atom] += e
    return vector, tuple(sorted((atom, e) for atom, e in powers.items() if e))


def test_terms_are_told_apart_exactly_as_by_all_permutations():
    """Equal keys if and only if the smallest of all renamings is equal."""
    draw = random.Random(3)
    keys = {}
    for _ in range(300):
        term = merged(random_term(draw, draw.randint(2, 4)))
        count = max(s for s in samples(term) if s < INNER)
        if any(samples(term)[s] < 2 for s in range(1, count + 1)):  # averaged, or gone
            continue
        names = draw.sample(range(1, 50), count)
        renamed = relabelled(term, dict(enumerate(names, 1)))
        assert key(renamed) == key(term)
        orders = itertools.permutations(range(1, count + 1))
        truth = min(relabelled(term, dict(enumerate(order, 1))) for order in orders)
        assert keys.setdefault(truth, key(term)) == key(term)
    assert len(set(keys.values())) == len(keys) > 150


def test_a_wrong_numbering_would_be_found():
    """Numbered by their names, one hexagon is two structures."""
    edges = [(i, (i + 1) % 6) for i in range(6)]
    names = [0, 3, 1, 4, 2, 5]
    renamed = [(names[a], names[b]) for a, b in edges]
    assert graph(edges)({i: i for i in range(6)}) != graph(renamed)({i: i for i in range(6)})
    assert numbered(edges, range(6)) == numbered(renamed, range(6))


# -- rules


@pytest.mark.parametrize("power", [2, 4, 6, 8])
def test_powers_of_the_norm_of_an_expectation(power):
    """They had not ended: 8 minibatches in a coefficient, 24 in the proof, whose orders were all tried."""
    sde = derive(find_rule(f"grad(rho*unit(g))*norm(E[unit(g)])**{power}"), 1, "1/2")
    assert sde.weak_order == 1
    g = Sum.derivative()
    unit = g * g.inner(g).power(Fraction(-1, 2))
    square = unit.mean().inner(unit.mean())
    assert sde.drift[0] == -g.mean() * square.power(power // 2)
    assert sde.drift[1] == -Sum.derivative(unit).mean() * square.power(power // 2)
    assert sde.drift[1] != -Sum.derivative(unit).mean() * square.power(power // 2 - 1)


def test_too_many_minibatches_are_refused():
    with pytest.raises(InputError, match="62 independent minibatches in one term; at most 60"):
        derive(find_rule("g*norm(E[unit(g)])**62"), 1, 1)
