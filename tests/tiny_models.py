"""Tiny models of any architecture that has a text classifier in transformers, with random weights.

Their settings are not the usual ones wherever a setting moves answers: who reads them wrongly answers otherwise.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

VOCABULARY, PADDING, END = 400, 1, 2
# Field names of all architectures' configurations -> the size that makes a model tiny.
TINY = {
    name: size
    for names, size in (
        ("hidden_size d_model n_embd dim emb_dim model_dim embed_dim d_latents word_embed_proj_dim", 32),
        ("num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_decoder_layers", 2),
        ("num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads", 4),
        ("num_key_value_heads num_kv_heads num_experts_per_tok linear_num_key_heads", 2),
        ("intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff hidden_dim n_inner d_inner dff", 64),
        ("moe_intermediate_size ffn_hidden_size shared_expert_intermediate_size feed_forward_size", 64),
        ("head_dim d_kv d_head attention_head_size qk_rope_head_dim qk_nope_head_dim v_head_dim", 8),
        ("linear_key_head_dim linear_value_head_dim index_head_dim", 8),
        ("vocab_size", VOCABULARY),
        ("max_position_embeddings n_positions n_ctx", 530),
        ("num_experts num_local_experts n_routed_experts rotary_dim linear_num_value_heads index_n_heads", 4),
        ("embedding_size kv_lora_rank q_lora_rank sliding_window local_attention intra_bottleneck_size", 16),
        ("window_size input_embedding_size output_embedding_size index_topk", 16),
        ("first_k_dense_replace n_group topk_group num_feedforward_networks", 1),
    )
    for name in names.split()
}
# Settings that move answers, away from what their classes have without them.
UNUSUAL: dict[str, Any] = {
    "rope_theta": 50.0,
    "rotary_emb_base": 50,
    "global_rope_theta": 200.0,
    "local_rope_theta": 20.0,
    "rope_local_base_freq": 20.0,
    **dict.fromkeys(("layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps", "norm_eps", "norm_epsilon"), 1e-2),
    "final_logit_softcapping": 5.0,
    "attn_logit_softcapping": 3.0,
    "query_pre_attn_scalar": 20,
}
BASES_OF_ROTARY = {"full_attention": 200.0, "sliding_attention": 20.0}
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
    "bigbird_pegasus": {"attention_type": "original_full"},
    "canine": {"downsampling_rate": 4, "num_hash_functions": 4, "num_hash_buckets": 64, "local_transformer_stride": 16},
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            name: {"rope_type": "default", "rope_theta": base} for name, base in BASES_OF_ROTARY.items()
        },
    },
    "funnel": {"num_hidden_layers": None, "block_sizes": [1, 1], "num_decoder_layers": 0, "d_inner": 64},
    "falcon": {"head_dim": None},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False, "mamba_d_state": 8},
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4, "visual_embed": False},
    "lilt": {"channel_shrink_ratio": 2, "hidden_size": 48},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 16},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"]},
    "qwen3_5_text": {"layer_types": ["linear_attention", "full_attention"]},
    "reformer": {
        "axial_pos_shape": [16, 32],
        "axial_pos_embds_dim": [16, 16],
        "attn_layers": ["local", "lsh"],
        "num_hashes": 1,
        "max_position_embeddings": 512,
        "is_decoder": False,
        "num_buckets": 8,
    },
    "squeezebert": {"embedding_size": 32},
    "xlnet": {"max_position_embeddings": None},
    "xmod": {"default_language": "en_XX", "languages": ["en_XX", "de_DE"]},
    "zamba": {"attention_hidden_size": 64, "attention_head_dim": 16, "num_hidden_layers": 5, "attn_layer_period": 2,
              "attn_layer_offset": 1, "use_mamba_kernels": False, "n_mamba_heads": 2, "num_key_value_heads": 4},
    **{kind: {"num_key_value_heads": 4} for kind in ("axk1", "axk2", "deepseek_v2", "deepseek_v3", "esmc", "minicpm3")},
    "markuplm": {"max_depth": 2, "xpath_unit_hidden_size": 4, "max_xpath_tag_unit_embeddings": 260},
    "mistral4": {"num_key_value_heads": 4, "head_dim": 16},
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid"], "mamba_headdim": 16, "n_mamba_heads": 4},
}  # fmt: skip


def make_model(kind: str, *, unusual: bool = False, **config: Any) -> Any:
    """A text classifier of three classes, in evaluation mode, whose answers differ from text to text.

    Args:
        kind: model type as in config.json.
        unusual: set what moves answers otherwise than its class does.
        **config: further fields of config.json, which win over those that make the model tiny.
    """
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification

    settings = make_config(CONFIG_MAPPING[kind], config, unusual=unusual)
    settings.num_labels = 3
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(settings)
    with torch.no_grad():
        for full_name, weights in model.named_parameters():
            name = full_name.removeprefix(f"{model.base_model_prefix}.")  # "rembert" is no embedding
            if any(part in name for part in ("A_log", "dt_bias", "conv1d", ".D")):  # of state space models
                continue
            if weights.dim() == 1:
                weights.add_(0.1 * torch.randn_like(weights))
            elif any(part in name for part in ("emb", "wte", "wpe")):
                weights.normal_()
            else:
                weights.normal_(0, 1.5 * weights[0].numel() ** -0.5)
    return model.eval()


def make_config(configuration: Any, given: Mapping[str, Any], *, unusual: bool = False, part: bool = False) -> Any:
    """A tiny configuration of a class, its parts included.

    Args:
        configuration: the class.
        given: fields that win.
        unusual: see `make_model`.
        part: whether it is a part of another, which takes those given that it knows.
    """
    usual = configuration()
    fields: dict[str, Any] = {name: size for name, size in TINY.items() if hasattr(usual, name)}
    if unusual:
        changed = {name: value for name, value in UNUSUAL.items() if getattr(usual, name, None) is not None}
        fields |= changed
        if getattr(usual, "rope_parameters", None):
            fields["rope_parameters"] = _unusual_rotary(usual.rope_parameters)
            fields.pop("rope_theta", None)
    for name in getattr(configuration, "sub_configs", {}):
        part = getattr(usual, name, None)
        if part is not None:
            fields[name] = make_config(type(part), given, unusual=unusual, part=True).to_dict()
    fields |= {"pad_token_id": PADDING, "bos_token_id": 0, "eos_token_id": END, "decoder_start_token_id": END}
    fields |= {"sep_token_id": END, "cls_token_id": 0}
    special = SPECIAL.get(usual.model_type, {})
    fields |= {key: value for key, value in special.items() if value is None or hasattr(usual, key)}
    fields |= {key: value for key, value in given.items() if hasattr(usual, key) or not part}
    removed = {name for name, value in special.items() if value is None}
    return configuration(**{name: value for name, value in fields.items() if name not in removed})


def _unusual_rotary(usual: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary settings with another base, for each type of layer where there are several."""
    parameters = copy.deepcopy(dict(usual))
    if "rope_theta" in parameters:
        return parameters | {"rope_theta": UNUSUAL["rope_theta"]}
    for name, part in parameters.items():
        if isinstance(part, dict):
            part["rope_theta"] = BASES_OF_ROTARY.get(name, 80.0)
    return parameters


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
