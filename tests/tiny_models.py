"""Tiny models of any architecture that has a text classifier in transformers 5, with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

VOCABULARY, PADDING, END = 400, 1, 2
# Field names of all architectures' configurations -> the size that makes a model tiny.
TINY = {
    name: size
    for names, size in (
        ("hidden_size d_model n_embd dim emb_dim model_dim embed_dim", 32),
        ("num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_decoder_layers", 2),
        ("num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads", 4),
        ("num_key_value_heads num_kv_heads num_experts_per_tok", 2),
        ("intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff hidden_dim n_inner d_inner dff", 64),
        ("moe_intermediate_size ffn_hidden_size shared_expert_intermediate_size", 64),
        ("head_dim d_kv d_head attention_head_size qk_rope_head_dim qk_nope_head_dim v_head_dim", 8),
        ("vocab_size", VOCABULARY),
        ("max_position_embeddings n_positions n_ctx", 200),
        ("num_experts num_local_experts n_routed_experts rotary_dim", 4),
        ("embedding_size kv_lora_rank q_lora_rank sliding_window local_attention intra_bottleneck_size", 16),
        ("first_k_dense_replace n_group topk_group num_feedforward_networks", 1),
    )
    for name in names.split()
}
# What an architecture needs besides, and the fields (None) that it does not let one set.
SPECIAL: dict[str, dict[str, Any]] = {
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0},
    "deberta-v2": {
        "relative_attention": True,
        "position_buckets": 32,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "longformer": {"attention_window": 8},
    "big_bird": {"attention_type": "original_full"},
    "funnel": {"num_hidden_layers": None, "block_sizes": [1, 1], "num_decoder_layers": 0, "d_inner": 64},
    "falcon": {"head_dim": None},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 16},
    **{kind: {"num_key_value_heads": 4} for kind in ("deepseek_v2", "deepseek_v3", "esmc", "minicpm3")},
}


def make_model(kind: str, **config: Any) -> Any:
    """A text classifier of three classes, in evaluation mode, whose answers differ from text to text.

    Args:
        kind: model type as in config.json.
        **config: further fields of config.json, which win over those that make the model tiny.
    """
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification

    settings = make_config(CONFIG_MAPPING[kind], **config)
    settings.num_labels = 3
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(settings)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if any(part in name for part in ("A_log", "dt_bias", "conv1d", ".D")):  # of state space models
                continue
            if weights.dim() == 1:
                weights.add_(0.1 * torch.randn_like(weights))
            elif any(part in name for part in ("emb", "wte", "wpe")):
                weights.normal_()
            else:
                weights.normal_(0, 1.5 * weights[0].numel() ** -0.5)
    return model.eval()


def make_config(configuration: Any, **config: Any) -> Any:
    """A tiny configuration of a class, its parts included."""
    usual = configuration()
    fields: dict[str, Any] = {name: size for name, size in TINY.items() if hasattr(usual, name)}
    for name, part in getattr(configuration, "sub_configs", {}).items():
        if part.__name__ != "AutoConfig":
            fields[name] = make_config(part).to_dict()
    fields |= {"pad_token_id": PADDING, "bos_token_id": 0, "eos_token_id": END, "decoder_start_token_id": END}
    fields |= {"sep_token_id": END, "cls_token_id": 0}
    fields |= SPECIAL.get(usual.model_type, {}) | config
    return configuration(**{name: value for name, value in fields.items() if value is not None})


def padded(rows: int, tokens: int, lengths: Sequence[int] | None = None) -> dict[str, np.ndarray]:
    """Random texts that end in the end token, padded on the right: int64 [B, T] each.

    Args:
        rows: how many.
        tokens: of the longest.
        lengths: of each; None takes any from 1 to the longest.
    """
    random = np.random.default_rng(rows * tokens)
    sizes = random.integers(1, tokens + 1, rows) if lengths is None else np.array(lengths)
    sizes[0] = tokens if lengths is None else sizes[0]
    mask = (np.arange(tokens) < sizes[:, None]).astype(np.int64)
    ids = random.integers(5, VOCABULARY - 10, (rows, tokens))
    ids[np.arange(rows), sizes - 1] = END
    ids = np.where(mask == 1, ids, PADDING)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
