"""Contestants in jax: a scan written by hand, plain and in chunks that fit the cache, and diffrax with both paths."""

from collections.abc import Callable
from functools import partial
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import lineax

from .contest import STEP, Run, Task, contestant

__all__: list[str] = []

CHUNK = 10_000
"""Paths that are fastest for the scan: its state and its numbers fit the second cache."""


def _in_precision(task: Task, compute: Callable[[int, int], Any]) -> Run:
    def run(steps: int, seed: int) -> Any:
        with jax.enable_x64(task.dtype == "float64"):
            return jax.block_until_ready(compute(steps, seed))

    return run


def _scan(task: Task, chunk: int) -> Run:
    example, dtype = task.example, jnp.dtype(task.dtype)

    @partial(jax.jit, static_argnums=1)
    def compute(key: Any, steps: int) -> Any:
        functions = task.functions(jnp)

        def point(t: Any, x: Any, z: Any) -> Any:
            return x + STEP * functions.drift(t, x) + example.kick(functions.diffusion(t, x), z) * STEP**0.5

        move = jax.vmap(point, (None, 1, 1), 1)  # components are rows: a fifth faster than columns
        shape = (example.noise_dim, chunk)

        def one_step(state: Any, k: Any) -> tuple[Any, None]:
            key, x = state
            key, now = jax.random.split(key)
            draw = jax.random.rademacher if task.increments == "two-point" else jax.random.normal
            return (key, move(k * jnp.asarray(STEP, dtype), x, draw(now, shape, dtype))), None

        def one_chunk(key: Any) -> Any:
            x0 = jnp.broadcast_to(jnp.asarray(example.x0, dtype)[:, None], (len(example.x0), chunk))
            return jax.lax.scan(one_step, (key, x0), jnp.arange(steps))[0][1].T

        ends = jax.lax.map(one_chunk, jax.random.split(key, task.paths // chunk))
        return ends.reshape(-1, len(example.x0))

    return _in_precision(task, lambda steps, seed: compute(jax.random.key(seed), steps))


@contestant("scan", "jax.lax.scan by hand", two_point=True)
def _plain_scan(task: Task) -> Run:
    return _scan(task, task.paths)


@contestant("scan-chunks", "jax.lax.scan, chunks that fit the cache", two_point=True)
def _chunked_scan(task: Task) -> Run:
    fitting = [n for n in range(CHUNK // 2, 2 * CHUNK) if task.paths % n == 0]
    return _scan(task, min(fitting, key=lambda n: abs(n - CHUNK), default=task.paths))


def _diffrax(task: Task, path: Callable[[Any, float], Any]) -> Run:
    example, dtype = task.example, jnp.dtype(task.dtype)

    @partial(jax.jit, static_argnums=1)
    def compute(key: Any, steps: int) -> Any:
        functions = task.functions(jnp)

        def diffusion(t: Any, x: Any, args: Any) -> Any:
            found = functions.diffusion(t, x)
            return lineax.DiagonalLinearOperator(found) if example.noise == "diagonal" else found

        def one_path(key: Any) -> Any:
            terms: Any = diffrax.MultiTerm(
                diffrax.ODETerm(lambda t, x, args: functions.drift(t, x)),
                diffrax.ControlTerm(diffusion, path(key, steps * STEP)),
            )
            solution = diffrax.diffeqsolve(
                terms,
                diffrax.Euler(),
                0.0,
                steps * STEP,
                None,
                jnp.asarray(example.x0, dtype),
                saveat=diffrax.SaveAt(t1=True),
                stepsize_controller=diffrax.StepTo(ts=jnp.arange(steps + 1) * jnp.asarray(STEP, dtype)),
                adjoint=diffrax.ForwardMode(),  # the fastest of its four
                max_steps=steps,
                throw=False,
            )
            assert solution.ys is not None
            return solution.ys[0]

        return jax.vmap(one_path)(jax.random.split(key, task.paths))

    return _in_precision(task, lambda steps, seed: compute(jax.random.key(seed), steps))


@contestant("diffrax-unsafe", "diffrax, UnsafeBrownianPath")
def _diffrax_unsafe(task: Task) -> Run:
    shape = jax.ShapeDtypeStruct((task.example.noise_dim,), task.dtype)
    return _diffrax(task, lambda key, end: diffrax.UnsafeBrownianPath(shape, key))


@contestant("diffrax-tree", "diffrax, VirtualBrownianTree")
def _diffrax_tree(task: Task) -> Run:
    shape = jax.ShapeDtypeStruct((task.example.noise_dim,), task.dtype)
    return _diffrax(task, lambda key, end: diffrax.VirtualBrownianTree(0.0, end, STEP / 2, shape, key))
