from .derivation.coordinates import in_coordinates
from .derivation.derived_sde import SDE, derive, truncate
from .derivation.expansion import expand
from .derivation.like_run import RunSDE, sde_of_run
from .rules.finding import find_rule
from .rules.known_recursions import RECURSIONS
from .rules.momentum import heavy_ball
from .rules.recursion import Recursion
from .rules.rule import RULES, Rule, multi_step_sam
from .rules.trained.run import recursion_of
from .simulation.comparison.compare import compare
from .simulation.comparison.compare_settings import CompareSettings
from .simulation.comparison.comparison import Comparison
from .simulation.comparison.given_sdes import Control
from .simulation.comparison.path_series import PathSeries
from .simulation.ensembles.looks import Record
from .simulation.horizons import whole_steps
from .simulation.networks.eigenvectors import EigenvectorEstimate
from .simulation.networks.network_observables import NetworkObservables
from .simulation.paths_along import paths_along
from .simulation.problems.calculus import converted
from .simulation.problems.chain_problem import ChainProblem
from .simulation.problems.coefficients import (
    Coefficients,
    coefficients,
    drift_and_covariance,
    exact_increments,
    mean_and_covariance,
)
from .simulation.problems.covariance_problem import covariance_problem
from .simulation.problems.derived_problem import derived_problem
from .simulation.problems.problem import SDEProblem
from .simulation.problems.recursion_chain import blocks_at, recursion_chain
from .simulation.problems.rule_chain import rule_chain
from .simulation.problems.shifted_start import sde_start, shifted_start
from .simulation.problems.untruncated_problem import untruncated_problem
from .simulation.results.result import Simulation
from .simulation.scheme import SCHEMES, Scheme
from .simulation.simulate import Engine, simulate
from .simulation.statistics.observables import Observable
from .weak_order.claim import ETAS, TOLERANCE, step_count
from .weak_order.divisor_check import Divisor, divisors
from .weak_order.evidence import observed_slopes
from .weak_order.moments import affine_moments, verify_moments
from .weak_order.monte_carlo import verify_monte_carlo
from .weak_order.one_step import verify_one_step
from .weak_order.plans import MomentsPlan, MonteCarloPlan, OneStepPlan, TorusPlan
from .weak_order.torus import verify_on_torus
from .weak_order.torus_grid import TorusGrid
from .weak_order.verdict import WeakOrder

__all__ = [
    "ETAS",
    "RECURSIONS",
    "RULES",
    "SCHEMES",
    "SDE",
    "TOLERANCE",
    "ChainProblem",
    "Coefficients",
    "CompareSettings",
    "Comparison",
    "Control",
    "Divisor",
    "EigenvectorEstimate",
    "Engine",
    "MomentsPlan",
    "MonteCarloPlan",
    "NetworkObservables",
    "Observable",
    "OneStepPlan",
    "PathSeries",
    "Record",
    "Recursion",
    "Rule",
    "RunSDE",
    "SDEProblem",
    "Scheme",
    "Simulation",
    "TorusGrid",
    "TorusPlan",
    "WeakOrder",
    "affine_moments",
    "blocks_at",
    "coefficients",
    "compare",
    "converted",
    "covariance_problem",
    "derive",
    "derived_problem",
    "divisors",
    "drift_and_covariance",
    "exact_increments",
    "expand",
    "find_rule",
    "heavy_ball",
    "in_coordinates",
    "mean_and_covariance",
    "multi_step_sam",
    "observed_slopes",
    "paths_along",
    "recursion_chain",
    "recursion_of",
    "rule_chain",
    "sde_of_run",
    "sde_start",
    "shifted_start",
    "simulate",
    "step_count",
    "truncate",
    "untruncated_problem",
    "verify_moments",
    "verify_monte_carlo",
    "verify_on_torus",
    "verify_one_step",
    "whole_steps",
]
