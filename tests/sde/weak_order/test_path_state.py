"""A state goes on for the run that wrote it and for no other: functions, landscape, numbers, code."""

import json
from dataclasses import replace

import pytest
import torch

from eigensam.ground import InputError, identities
from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde import Rule, derive, find_rule, truncate, verify_monte_carlo
from eigensam.sde.rules import grad, rho
from eigensam.sde.weak_order.plans import MonteCarloPlan

from .planned import planned

USAM = find_rule("usam")
F = Quadratic.random(3, size=4)
SDE = derive(USAM, 1, "1/2")


def clamped(limit):
    return lambda x: x.clamp(max=limit)


def bump(x, height=1.0):
    """Differs from 0 at no probe."""
    return x + height * torch.where((x - 0.123456).abs() < 1e-9, 1.0, 0.0)


def run(state, **changes):
    settings = {"landscape": F, "etas": [1 / 4, 1 / 8], "paths": 64, "test_functions": clamped(1.0)} | changes
    return verify_monte_carlo(settings.pop("sde", SDE), **planned(MonteCarloPlan, state=state, **settings))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "state.json"
    run(path)
    return path.read_bytes()


@pytest.fixture
def state(written, tmp_path):
    path = tmp_path / "state.json"
    path.write_bytes(written)
    return path


def test_the_same_run_takes_its_state_over(state, monkeypatch):
    fresh = run(None)
    monkeypatch.setattr("eigensam.sde.weak_order.monte_carlo._Run._chunk", lambda *_: pytest.fail("computed again"))
    assert run(state, test_functions=clamped(1.0)).to_dict() == fresh.to_dict()
    assert run(state, jobs=2, chunk_size=7).to_dict() == fresh.to_dict()


def test_the_case_of_the_report(tmp_path):
    """phi = clamp at 1, then phi = clamp at 0.3 with the same file: refused, and right with another file."""
    one = run(tmp_path / "one.json")
    with pytest.raises(InputError, match=r"another run, which differs in test functions, .*; choose another --state"):
        run(tmp_path / "one.json", test_functions=clamped(0.3))
    other = run(tmp_path / "other.json", test_functions=clamped(0.3))
    assert other.details["all_errors"] == run(None, test_functions=clamped(0.3)).details["all_errors"]
    assert other.details["all_errors"] != one.details["all_errors"]


Q, C = F.hessian, F.centres
CHANGES = {
    "test functions": [
        {"test_functions": clamped(0.3)},
        {"test_functions": clamped(50.0)},  # differs far away only
        {"test_functions": lambda x: x.clamp(max=1.0) + 0 * x},  # the same values, other code
        {"test_functions": torch.sin},
    ],
    "landscape": [
        {"landscape": Quadratic(Q * (1 + 1e-15 * torch.ones(1)), C + 1e-9)},
        {"landscape": TiltedTorus.default(3)},
    ],
    "SDE": [{"sde": truncate(USAM, "1/2", 1), "expected": 1}, {"sde": replace(SDE, covariance={})}],
    "rule": [{"sde": derive(Rule("usam", grad(2 * rho * grad())), 1, "1/2")}],
    "start": [{"start": torch.zeros(3)}],
    r"step sizes \(0.25 \(4 steps\), 0.125 \(8 steps\) there": [{"etas": [1 / 2, 1 / 4]}, {"horizon": 2.0}],
    "rho": [{"rho_scale": 0.7}],
    r"paths \(64 there, 65 here\)": [{"paths": 65}],
    r"seed \(0 there, 1 here\)": [{"seed": 1}],
}


@pytest.mark.parametrize(("name", "change"), [(n, c) for n, changes in CHANGES.items() for c in changes])
def test_another_run_is_refused(state, name, change):
    before = state.read_bytes()
    with pytest.raises(InputError, match=rf"is the state of another run, which differs in .*{name}"):
        run(state, **change)
    assert state.read_bytes() == before


def test_other_code_or_libraries_are_refused(state, monkeypatch):
    monkeypatch.setattr(identities, "code_fingerprint", lambda module: "f" * 64)
    monkeypatch.setattr(identities, "library_versions", lambda module: {"torch": "1.0"})
    with pytest.raises(InputError, match=r"differs in code of eigensam, libraries \(.*torch 2.*torch 1.0 here\)"):
        run(state)


def test_values_alone_would_take_a_needle_over(tmp_path):
    """Wrong on purpose: functions that agree at all probes; their constants tell them apart."""
    x = torch.linspace(-2, 2, 1000)[:, None]
    assert torch.equal(bump(x), x)
    run(tmp_path / "s.json", test_functions=lambda x: bump(x))
    with pytest.raises(InputError, match="differs in test functions"):
        run(tmp_path / "s.json", test_functions=lambda x: bump(x, 2.0))


def test_code_alone_would_take_a_file_over(tmp_path):
    """Wrong on purpose: one code that reads its constant from elsewhere; its values tell them apart."""
    constant = tmp_path / "constant"

    def functions(x):
        return x.clamp(max=float(constant.read_text()))

    constant.write_text("1.0")
    run(tmp_path / "s.json", test_functions=functions)
    constant.write_text("0.3")
    with pytest.raises(InputError, match="differs in test functions"):
        run(tmp_path / "s.json", test_functions=functions)


@pytest.mark.parametrize(
    "change",
    [
        {"count": 63},
        {"blocks": 0},
        {"mean": [0.0]},
        {"products": [[0.0]]},
        {"count": "many"},
        {"blocks": None},
        {"sha256": ""},
    ],
    ids=str,
)
def test_a_damaged_state_is_refused(change, state):
    state.write_text(json.dumps({**json.loads(state.read_text()), **change}))
    with pytest.raises(InputError, match="is damaged: its statistics do not fit its checksum; remove it"):
        run(state)


def test_other_files_are_refused(state):
    for content, message in (
        (state.read_text()[:-40], "is not JSON"),
        ("{}", "is no state of this version"),
        ("[]", "is no state of this version"),
        (json.dumps({"key": "of an earlier version", "blocks": 1}), "is no state of this version"),
    ):
        state.write_text(content)
        with pytest.raises(InputError, match=message):
            run(state)


@pytest.mark.parametrize("text", ['{"a": 1}', "[]", '{"identity": {}, "blocks": 3}'])
def test_what_is_no_state_is_refused_before_any_work(tmp_path, monkeypatch, text):
    monkeypatch.setattr("eigensam.sde.weak_order.monte_carlo._Run.pilot", lambda *_: pytest.fail("work has begun"))
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(InputError, match=r"is no state of this version|is damaged"):
        run(tmp_path / "state.json")
