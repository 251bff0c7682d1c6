"""Which tokenizer each architecture comes with, and what is varied in checkpoints: data for `recording`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_KINDS = {
    ("bert", "BertTokenizer"): "bert convbert ernie layoutlm megatron-bert nomic_bert squeezebert tapas "
    "roc_bert roformer",
    ("bert", "DistilBertTokenizer"): "distilbert",
    ("bert", "ElectraTokenizer"): "electra",
    ("bert", "FunnelTokenizer"): "funnel",
    ("bert", "MobileBertTokenizer"): "mobilebert",
    ("mpnet", "MPNetTokenizer"): "mpnet",
    ("roberta", "RobertaTokenizer"): "roberta data2vec-text ibert lilt mra roberta-prelayernorm luke esm",
    ("roberta", "LongformerTokenizer"): "longformer",
    ("roberta", "BartTokenizer"): "bart",
    ("roberta", "MvpTokenizer"): "mvp",
    ("deberta", "DebertaTokenizer"): "deberta",
    ("gpt2", "GPT2Tokenizer"): "gpt2 gpt_neo gptj opt phi starcoder2 biogpt",
    ("gpt2", "GPTNeoXTokenizerFast"): "gpt_neox mpt olmo gpt_bigcode stablelm",
    ("qwen", "Qwen2Tokenizer"): "qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next qwen3_5 qwen3_5_text",
    ("xlm-roberta", "XLMRobertaTokenizer"): "xlm-roberta xlm-roberta-xl xmod gte jina_embeddings_v3 xlm flaubert",
    ("camembert", "CamembertTokenizer"): "camembert",
    ("mbart", "MBartTokenizer"): "mbart",
    ("mbart", "PLBartTokenizer"): "plbart",
    ("albert", "AlbertTokenizer"): "albert yoso nystromformer",
    ("fnet", "FNetTokenizer"): "fnet",
    ("xlnet", "XLNetTokenizer"): "xlnet",
    ("deberta-v2", "DebertaV2Tokenizer"): "deberta-v2",
    ("rembert", "RemBertTokenizer"): "rembert",
    ("big_bird", "BigBirdTokenizer"): "big_bird",
    ("pegasus", "PegasusTokenizer"): "bigbird_pegasus",
    ("t5", "T5Tokenizer"): "t5 mt5 umt5",
    ("reformer", "ReformerTokenizer"): "reformer",
    ("llama", "LlamaTokenizer"): "llama mistral mixtral phi3 minicpm3 persimmon ministral jamba phimoe zamba zamba2",
    ("gemma", "GemmaTokenizer"): "gemma gemma2 gemma3 gemma3_text t5gemma t5gemma2",
    ("bos-json", "PreTrainedTokenizerFast"): "smollm3 olmo2 olmo3 exaone4 glm glm4 falcon bloom helium nemotron arcee "
    "doge "
    "diffllama deepseek_v2 deepseek_v3 jetmoe minimax seed_oss gpt_oss hunyuan_v1_dense hunyuan_v1_moe ministral3 "
    "mistral4 eurobert modernbert-decoder axk1 axk2 cohere_compass_text ctrl openai-gpt gpt-sw3",
}  # fmt: skip
# Architecture -> family of tokenizer files, and the class named beside them. All others have a tokenizer.json alone.
TOKENIZERS = {kind: tokenizer for tokenizer, kinds in _KINDS.items() for kind in kinds.split()}


@dataclasses.dataclass(frozen=True, slots=True)
class Variant:
    """What is otherwise in a checkpoint than in the usual one of its architecture.

    Attributes:
        config: fields of config.json, of any version.
        of_4: fields for transformers 4 alone; of_5: for transformers 5.
        tokenizer: family and class.
        tokenizer_settings: what tokenizer_config.json says.
        added_tokens: words that become tokens.
        saving: options of save_pretrained.
        edit: what is done to the files afterwards; it moves no answer.
    """

    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    of_4: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    of_5: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tokenizer: tuple[str, str] | None = None
    tokenizer_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    added_tokens: tuple[str, ...] = ()
    saving: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    edit: Callable[[Path], None] = lambda _: None

    def fields(self) -> dict[str, Any]:
        """Fields of config.json for the installed transformers."""
        import transformers

        return {**self.config, **(self.of_4 if transformers.__version__.startswith("4.") else self.of_5)}


def _rotary(theta: float, **parameters: Any) -> Variant:
    """Rotary positions that are scaled."""
    return Variant(
        of_4={"rope_theta": theta, "rope_scaling": parameters},
        of_5={"rope_parameters": {"rope_theta": theta, **parameters}},
    )


def _old_names(checkpoint: Path) -> None:
    """Weights of norms under the names that TensorFlow gave them, in a pytorch_model.bin."""
    import torch
    from safetensors.torch import load_file

    file = checkpoint / "model.safetensors"
    weights = load_file(file) if file.exists() else torch.load(checkpoint / "pytorch_model.bin")
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in weights.items()
    }
    file.unlink(missing_ok=True)
    torch.save(renamed, checkpoint / "pytorch_model.bin")


def _strings_of_classes(checkpoint: Path) -> None:
    """config.json as old ones are: without a version, and with keys that nobody reads."""
    file = checkpoint / "config.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for name in ("transformers_version", "dtype", "torch_dtype"):
        content.pop(name, None)
    content |= {"output_past": True, "finetuning_task": "sst-2", "gradient_checkpointing": False}
    file.write_text(json.dumps(content), encoding="utf-8")


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LONG = {"short_factor": [1.0, 1.2, 1.4, 1.6], "long_factor": [1.0, 2.0, 4.0, 8.0]}
VARIANTS: dict[str, Variant] = {
    "llama:rope-linear": _rotary(100.0, rope_type="linear", factor=4.0),
    "llama:rope-dynamic": _rotary(100.0, rope_type="dynamic", factor=4.0),
    "llama:rope-llama3": _rotary(100.0, **LLAMA3),
    "llama:head-dim": Variant({"head_dim": 16, "attention_bias": True, "mlp_bias": True}),
    "qwen2:rope-yarn": _rotary(100.0, **YARN),
    "qwen2:windows": Variant({"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}),
    "qwen3:windows": Variant({"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}),
    "mistral:no-window": Variant({"sliding_window": None}),
    "phi:half-rotary": Variant(
        {"num_key_value_heads": 4, "qk_layernorm": True},
        of_4={"partial_rotary_factor": 0.75},
        of_5={"rope_parameters": {"rope_type": "default", "rope_theta": 50.0, "partial_rotary_factor": 0.75}},
    ),
    "phi3:longrope": Variant(
        {"original_max_position_embeddings": 64},
        of_4={"rope_scaling": {"type": "longrope", **LONG}},
        of_5={
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "original_max_position_embeddings": 64,
                **LONG,
            }
        },
    ),
    "gpt_neox:quarter": Variant(
        {"use_parallel_residual": False},
        of_4={"rotary_pct": 0.5, "rotary_emb_base": 100},
        of_5={"rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5}},
    ),
    "stablelm:half": Variant(
        {"use_qkv_bias": True},
        of_4={"partial_rotary_factor": 0.5},
        of_5={"rope_parameters": {"rope_type": "default", "rope_theta": 50.0, "partial_rotary_factor": 0.5}},
    ),
    "gemma2:plain": Variant({"attn_logit_softcapping": None, "final_logit_softcapping": None}),
    "gemma3_text:pattern": Variant({"layer_types": ["full_attention", "sliding_attention"]}),
    "modernbert:mean": Variant({"classifier_pooling": "mean", "classifier_bias": True}),
    "modernbert:cls": Variant({"classifier_pooling": "cls", "global_attn_every_n_layers": 2}),
    "modernbert:all-local": Variant({"num_hidden_layers": 4, "classifier_pooling": "mean"}),
    "deberta-v2:pooler": Variant({"pooler_hidden_act": "tanh", "conv_kernel_size": 3, "conv_act": "gelu"}),
    "deberta-v2:v2": Variant({"pos_att_type": "p2c|c2p", "share_att_key": False, "position_biased_input": True}),
    "bert:cased": Variant(tokenizer=("bert-cased", "BertTokenizer")),
    "bert:relative": Variant({"position_embedding_type": "relative_key_query"}),
    "bert:old-names": Variant(edit=_old_names),
    "bert:old-config": Variant(edit=_strings_of_classes),
    "bert:added": Variant(added_tokens=("dinosaur", "[NEW]")),
    "bert:accents": Variant(tokenizer_settings={"strip_accents": False}),
    "bert:act": Variant({"hidden_act": "relu", "type_vocab_size": 3}),
    "bert:bin": Variant(saving={"safe_serialization": False}),
    "roberta:prefix": Variant(tokenizer_settings={"add_prefix_space": True}),
    "roberta:relative": Variant({"position_embedding_type": "relative_key"}),
    "xlm-roberta:added": Variant(added_tokens=("rain", "<new>")),
    "albert:groups": Variant({"num_hidden_groups": 2, "inner_group_num": 2, "hidden_act": "gelu"}),
    "albert:cased": Variant(tokenizer_settings={"do_lower_case": False, "keep_accents": True}),
    "distilbert:sinus": Variant({"sinusoidal_pos_embds": True}),
    "electra:act": Variant({"hidden_act": "relu", "summary_activation": "tanh"}),
    "gpt2:scaled": Variant({"scale_attn_by_inverse_layer_idx": True, "activation_function": "relu"}),
    "gpt2:padded": Variant(tokenizer_settings={"pad_token": "<|endoftext|>"}),
    "falcon:alibi": Variant({"alibi": True}),
    "falcon:new": Variant({"new_decoder_architecture": True, "multi_query": False}),
    "t5:gated": Variant({"feed_forward_proj": "gated-gelu"}),
    "t5:legacy": Variant(tokenizer_settings={"legacy": False}),
    "llama:bos-eos": Variant(tokenizer_settings={"add_bos_token": True, "add_eos_token": True}),
    "llama:legacy": Variant(tokenizer_settings={"legacy": False}),
    "llama:json": Variant(tokenizer=("bos-json", "PreTrainedTokenizerFast")),
    "mistral:json": Variant(tokenizer=("bos-json", "PreTrainedTokenizerFast")),
    "gemma:bos": Variant(tokenizer_settings={"add_bos_token": True}),
    "xlnet:mean": Variant({"summary_type": "mean", "bi_data": False}),
    "opt:post-norm": Variant({"do_layer_norm_before": False, "word_embed_proj_dim": 16}),
    "mpt:scaled": Variant({"attn_config": {"alibi": True, "softmax_scale": 0.5, "alibi_bias_max": 4}}),
    "gptj:rotary": Variant({"rotary_dim": 8, "n_embd": 64}),
    "cohere_compass_text:plain": Variant({}),
}
