"""Multi-head attention as torch's module calls it, written out in functions that have rules."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .jet import NotCoveredError, rule
from .products import attention_weights

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
) -> tuple[Any, Any]:
    """Sequence first, ``(length, batch, width)``."""
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
    if attn_mask is None and is_causal:
        raise NotCoveredError("causal attention without a mask")
    if attn_mask is not None:
        if attn_mask.shape not in ((q.shape[1], k.shape[1]), (q.shape[0], q.shape[1], k.shape[1])):
            raise NotCoveredError("an attention mask of an unusual shape")
        if attn_mask.dtype == torch.bool:
            attn_mask = ~attn_mask  # here a truth value forbids
        # Like torch: where no weights are wanted, the word of is_causal is taken and the mask is not looked at.
        is_causal = is_causal and not need_weights
    mixing = attention_weights(q / math.sqrt(q.shape[-1]), k, None if is_causal else attn_mask, is_causal)
    joined = torch.matmul(mixing, v).transpose(0, 1).reshape(query.shape[0], query.shape[1], width)
    result = functional.linear(joined, out_proj_weight, out_proj_bias)
    if not need_weights:
        return result, None
    by_head = mixing.reshape(query.shape[1], num_heads, *mixing.shape[1:])
    return result, by_head.mean(1) if average_attn_weights else by_head
