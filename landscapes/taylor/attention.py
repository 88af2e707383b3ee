"""Multi-head attention as torch's module calls it, written out in functions that have rules."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from .jet import NotCoveredError, rule

__all__: list[str] = []


@rule(functional.multi_head_attention_forward)
def _multi_head_attention(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, None]:
    """Sequence first, ``(length, batch, width)``; the returned weights are None."""
    rare = (bias_k, bias_v, static_k, static_v, key_padding_mask)
    if any(given is not None for given in rare) or add_zero_attn or (training and dropout_p) or query.ndim != 3:
        raise NotCoveredError("attention with dropout, padding masks or added keys")
    width = embed_dim_to_check
    biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight.chunk(3)

    def heads(x: Any, weight: Any, bias: Any) -> Any:
        projected = functional.linear(x, weight, bias)
        return projected.reshape(x.shape[0], x.shape[1] * num_heads, width // num_heads).transpose(0, 1)

    q, k, v = (heads(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    if attn_mask is not None and attn_mask.ndim == 3 and attn_mask.shape[0] not in (1, q.shape[0]):
        raise NotCoveredError("an attention mask of an unusual shape")
    # A mask says all that is_causal says; without one, causality is torch's own.
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask, 0.0, is_causal and attn_mask is None)
    joined = mixed.transpose(0, 1).reshape(query.shape[0], query.shape[1], width)
    return functional.linear(joined, out_proj_weight, out_proj_bias), None
