"""What config.json holds in checkpoints that people publish: usual ones, none of which loses a setting. Data only.

Sizes are left out where they say nothing; what makers wrote beside the settings that code reads is all here.
"""

# ruff: noqa: E501 — wrapped as densely as is readable

from __future__ import annotations

from typing import Any

_ENCODER = {
    "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 64,
    "initializer_range": 0.02, "intermediate_size": 128, "max_position_embeddings": 512, "num_attention_heads": 4,
    "num_hidden_layers": 2, "vocab_size": 1000,
}  # fmt: skip
_BERT = {
    "model_type": "bert", **_ENCODER, "architectures": ["BertForSequenceClassification"], "layer_norm_eps": 1e-12,
    "pad_token_id": 0, "type_vocab_size": 2,
}  # fmt: skip
_ROBERTA = {
    "model_type": "roberta", **_ENCODER, "bos_token_id": 0, "eos_token_id": 2, "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514, "pad_token_id": 1, "type_vocab_size": 1,
}  # fmt: skip
_DECODER = {
    "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": 128, "max_position_embeddings": 4096,
    "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-05,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 1000, "bos_token_id": 1,
    "eos_token_id": 2, "hidden_act": "silu",
}  # fmt: skip
_BART = {
    "model_type": "bart", "activation_dropout": 0.0, "activation_function": "gelu", "add_final_layer_norm": False,
    "attention_dropout": 0.0, "bos_token_id": 0, "classif_dropout": 0.0, "classifier_dropout": 0.0, "d_model": 64,
    "decoder_attention_heads": 4, "decoder_ffn_dim": 64, "decoder_layerdrop": 0.0, "decoder_layers": 2,
    "decoder_start_token_id": 2, "dropout": 0.1, "encoder_attention_heads": 4, "encoder_ffn_dim": 64,
    "encoder_layerdrop": 0.0, "encoder_layers": 2, "eos_token_id": 2, "forced_eos_token_id": 2, "gradient_checkpointing": False,
    "init_std": 0.02, "is_encoder_decoder": True, "max_position_embeddings": 1024, "normalize_before": False,
    "num_hidden_layers": 2, "output_past": False, "pad_token_id": 1, "scale_embedding": False, "use_cache": True,
    "vocab_size": 1000, "static_position_embeddings": False, "normalize_embedding": True, "extra_pos_embeddings": 2,
    "force_bos_token_to_be_generated": False, "early_stopping": True, "length_penalty": 2.0, "max_length": 142,
    "min_length": 56, "no_repeat_ngram_size": 3, "num_beams": 4, "task_specific_params": {"summarization": {"num_beams": 4}},
}  # fmt: skip
JS = {
    "transformers.js_config": {"dtype": "q8", "use_external_data_format": False, "kv_cache_dtype": {"fp16": "float16"}}
}
REAL: dict[str, dict[str, Any]] = {
    "bert-uncased": _BERT | {"gradient_checkpointing": False, "position_embedding_type": "absolute", "use_cache": True,
                             "transformers_version": "4.6.0.dev0"},
    "bert-multilingual": _BERT | {"directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12,
                                  "pooler_num_fc_layers": 3, "pooler_size_per_head": 128,
                                  "pooler_type": "first_token_transform"},
    "bert-stars": _BERT | {"_name_or_path": "nlptown", "_num_labels": 5, "finetuning_task": "sentiment-analysis",
                           "output_past": True},
    "bert-js": _BERT | JS | {"_attn_implementation_autoset": True},
    "bert-adapters": _BERT | {"adapters": {"adapters": {}, "config_map": {}, "fusion_config_map": {}, "fusions": {}}},
    "bert-quantized": _BERT | {"dtype": "float32", "classifier_dropout": None, "output_attentions": False,
                               "output_hidden_states": False, "torchscript": False, "use_bfloat16": False},
    "bert-old": _BERT | {"is_decoder": False, "pruned_heads": {}, "num_labels": 2, "length_penalty": 1.0, "do_sample": False,
                         "top_k": 50, "temperature": 1.0, "xla_device": None, "eos_token_ids": 0},
    "minilm": _BERT | {"gradient_checkpointing": False, "intermediate_size": 1536, "sentence_transformers":
                       {"activation_fn": "torch.nn.modules.linear.Identity"}},
    "reranker": _BERT | {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity", "num_labels": 2},
    "finbert": _BERT | {"id2label": {"0": "positive", "1": "negative", "2": "neutral"},
                        "label2id": {"positive": 0, "negative": 1, "neutral": 2}, "problem_type": "single_label_classification"},
    "distilbert": {"model_type": "distilbert", "activation": "gelu", "attention_dropout": 0.1, "dim": 64, "dropout": 0.1,
                   "finetuning_task": "sst-2", "hidden_dim": 128, "initializer_range": 0.02, "max_position_embeddings": 512,
                   "n_heads": 4, "n_layers": 2, "output_past": True, "pad_token_id": 0, "qa_dropout": 0.1,
                   "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": False, "tie_weights_": True, "vocab_size": 1000},
    "roberta": _ROBERTA | {"use_cache": True, "position_embedding_type": "absolute", "classifier_dropout": None},
    "twitter-roberta": _ROBERTA | {"gradient_checkpointing": False, "_name_or_path": "sentiment", "adapters": {}},
    "roberta-mnli": _ROBERTA | {"_num_labels": 3, "output_past": True, "label2id": {"A": 0, "B": 1, "C": 2}},
    "xlm-roberta": _ROBERTA | {"model_type": "xlm-roberta", "output_past": True, "use_cache": True, "torch_dtype": "float32"},
    "camembert": _ROBERTA | {"model_type": "camembert"},
    "electra": {"model_type": "electra", **_ENCODER, "embedding_size": 32, "generator_size": "0.33333", "summary_activation":
                "gelu", "summary_last_dropout": 0.1, "summary_type": "first", "summary_use_proj": True, "type_vocab_size": 2,
                "position_embedding_type": "absolute", "use_cache": True},
    "albert": {"model_type": "albert", **_ENCODER, "classifier_dropout_prob": 0.1, "down_scale_factor": 1, "embedding_size": 16,
               "gap_size": 0, "hidden_act": "gelu_new", "inner_group_num": 1, "net_structure_type": 0, "num_hidden_groups": 1,
               "num_memory_blocks": 0, "type_vocab_size": 2},
    "deberta-v3": {"model_type": "deberta-v2", **_ENCODER, "max_relative_positions": -1, "position_buckets": 256, "norm_rel_ebd":
                   "layer_norm", "share_att_key": True, "pos_att_type": "p2c|c2p", "layer_norm_eps": 1e-7, "type_vocab_size": 0,
                   "relative_attention": True, "position_biased_input": False},
    "deberta-v3-tuned": {"model_type": "deberta-v2", **_ENCODER, "legacy": True, "pooler_dropout": 0, "pooler_hidden_act": "gelu",
                         "pooler_hidden_size": 64, "pos_att_type": ["p2c", "c2p"], "relative_attention": True,
                         "max_relative_positions": -1, "position_biased_input": False, "type_vocab_size": 0},
    "deberta": {"model_type": "deberta", **_ENCODER, "max_relative_positions": -1, "padding_idx": 0, "pos_att_type": "c2p|p2c",
                "relative_attention": True, "position_biased_input": False, "type_vocab_size": 0, "output_past": True,
                "pooler_dropout": 0, "pooler_hidden_act": "gelu", "legacy": True},
    "mpnet": {"model_type": "mpnet", **_ENCODER, "relative_attention_num_buckets": 32, "bos_token_id": 0, "eos_token_id": 2},
    "mobilebert": {"model_type": "mobilebert", **_ENCODER, "attention_probs_dropout_prob": 0.1, "classifier_activation": True,
                   "embedding_size": 32, "hidden_act": "relu", "intra_bottleneck_size": 64, "key_query_shared_bottleneck": True,
                   "normalization_type": "no_norm", "num_feedforward_networks": 4, "trigram_input": True, "type_vocab_size": 2,
                   "true_hidden_size": 64, "use_bottleneck": True, "use_bottleneck_attention": False},
    "squeezebert": {"model_type": "squeezebert", **_ENCODER, "embedding_size": 64, "q_groups": 4, "k_groups": 4, "v_groups": 4,
                    "post_attention_groups": 1, "intermediate_groups": 4, "output_groups": 4, "type_vocab_size": 2},
    "longformer": _ROBERTA | {"model_type": "longformer", "attention_mode": "longformer", "attention_window": [512, 512],
                              "gradient_checkpointing": False, "ignore_attention_mask": False, "sep_token_id": 2},
    "xlnet": {"model_type": "xlnet", "attn_type": "bi", "bi_data": False, "clamp_len": -1, "d_head": 16, "d_inner": 128,
              "d_model": 64, "dropout": 0.1, "end_n_top": 5, "ff_activation": "gelu", "mem_len": None, "n_head": 4, "n_layer": 2,
              "reuse_len": None, "same_length": False, "start_n_top": 5, "summary_activation": "tanh",
              "summary_last_dropout": 0.1, "summary_type": "last", "summary_use_proj": True, "untie_r": True,
              "vocab_size": 1000, "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 250}}},
    "bart-mnli": _BART | {"_num_labels": 3, "add_bias_logits": False},
    "bart-tuned": _BART | {"forced_bos_token_id": 0, "problem_type": "single_label_classification", "torch_dtype": "float32"},
    "t5": {"model_type": "t5", "d_ff": 128, "d_kv": 16, "d_model": 64, "decoder_start_token_id": 0, "dropout_rate": 0.1,
           "feed_forward_proj": "relu", "initializer_factor": 1.0, "is_encoder_decoder": True, "layer_norm_epsilon": 1e-6,
           "n_positions": 512, "num_heads": 4, "num_layers": 2, "output_past": True, "relative_attention_num_buckets": 32,
           "relative_attention_max_distance": 128, "use_cache": True, "vocab_size": 1000, "dense_act_fn": "relu",
           "is_gated_act": False, "classifier_dropout": 0.0},
    "gpt2": {"model_type": "gpt2", "activation_function": "gelu_new", "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1,
             "eos_token_id": 50256, "layer_norm_epsilon": 1e-5, "n_ctx": 1024, "n_embd": 64, "n_head": 4, "n_layer": 2,
             "n_positions": 1024, "n_special": 0, "predict_special_tokens": True, "resid_pdrop": 0.1, "scale_attn_weights": True,
             "summary_activation": None, "summary_first_dropout": 0.1, "summary_proj_to_labels": True, "summary_type":
             "cls_index", "summary_use_proj": True, "reorder_and_upcast_attn": False, "scale_attn_by_inverse_layer_idx": False,
             "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, "vocab_size": 50257},
    "opt": {"model_type": "opt", "_remove_final_layer_norm": False, "activation_dropout": 0.0, "activation_function": "relu",
            "attention_dropout": 0.0, "do_layer_norm_before": True, "dropout": 0.1, "ffn_dim": 128, "hidden_size": 64,
            "init_std": 0.02, "layerdrop": 0.0, "max_position_embeddings": 2048, "num_attention_heads": 4,
            "num_hidden_layers": 2, "prefix": "</s>", "word_embed_proj_dim": 64, "vocab_size": 1000, "enable_bias": True,
            "layer_norm_elementwise_affine": True},
    "bloom": {"model_type": "bloom", "apply_residual_connection_post_layernorm": False, "attention_dropout": 0.0,
              "attention_softmax_in_fp32": True, "bias_dropout_fusion": True, "masked_softmax_fusion": True, "n_layer": 2,
              "n_head": 4, "hidden_size": 64, "n_inner": None, "offset_alibi": 100, "pretraining_tp": 1, "seq_length": 2048,
              "skip_bias_add": True, "skip_bias_add_qkv": False, "slow_but_exact": False, "unk_token_id": 0, "vocab_size": 1000,
              "layer_norm_epsilon": 1e-5, "hidden_dropout": 0.0},
    "falcon": {"model_type": "falcon", "alibi": False, "apply_residual_connection_post_layernorm": False, "bias": False,
               "hidden_size": 64, "layer_norm_epsilon": 1e-5, "multi_query": True, "new_decoder_architecture": False,
               "num_attention_heads": 4, "num_hidden_layers": 2, "parallel_attn": True, "vocab_size": 1000},
    "llama-2": {"model_type": "llama", **_DECODER, "pretraining_tp": 1, "rope_scaling": None},
    "llama-3.1": {"model_type": "llama", **_DECODER, "attention_bias": False, "attention_dropout": 0.0, "mlp_bias": False,
                  "pretraining_tp": 1, "rope_theta": 500000.0, "rope_scaling": {
                      "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_max_position_embeddings": 2048, "rope_type": "llama3"}},
    "tiny-llama": {"model_type": "llama", **_DECODER, "is_llama_config": True, "rope_interleaved": False, "_flash_attn_2_enabled":
                   False},
    "qwen2.5": {"model_type": "qwen2", **_DECODER, "attention_dropout": 0.0, "max_window_layers": 21, "rope_theta": 1000000.0,
                "sliding_window": 32768, "use_mrope": False, "use_sliding_window": False},
    "qwen3": {"model_type": "qwen3", **_DECODER, "attention_bias": False, "head_dim": 16, "max_window_layers": 28,
              "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None, "use_sliding_window": False},
    "mistral": {"model_type": "mistral", **_DECODER, "rope_theta": 10000.0, "sliding_window": 4096},
    "mistral-v0.3": {"model_type": "mistral", **_DECODER, "rope_theta": 1000000.0, "sliding_window": None},
    "gemma": {"model_type": "gemma", **_DECODER, "head_dim": 16, "hidden_act": "gelu_pytorch_tanh", "hidden_activation": None,
              "rope_scaling": None, "rope_theta": 10000.0, "tie_word_embeddings": True},
    "gemma-2": {"model_type": "gemma2", **_DECODER, "attn_logit_softcapping": 50.0, "cache_implementation": "hybrid",
                "final_logit_softcapping": 30.0, "head_dim": 16, "hidden_act": "gelu_pytorch_tanh",
                "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256, "rope_theta": 10000.0,
                "sliding_window": 4096, "sliding_window_size": 4096, "tie_word_embeddings": True},
    "phi-2": {"model_type": "phi", **{name: value for name, value in _DECODER.items() if name != "rms_norm_eps"}, "embd_pdrop": 0.0, "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.4,
              "qk_layernorm": False, "resid_pdrop": 0.1, "rope_scaling": None, "rope_theta": 10000.0, "hidden_act": "gelu_new"},
    "phi-3": {"model_type": "phi3", **_DECODER, "embd_pdrop": 0.0, "original_max_position_embeddings": 4096,
              "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": 2047, "attention_bias": False, "pad_token_id": 0},
    "gpt-neox": {"model_type": "gpt_neox", "hidden_act": "gelu", "hidden_size": 64, "intermediate_size": 128, "vocab_size": 1000,
                 "layer_norm_eps": 1e-5, "max_position_embeddings": 2048, "num_attention_heads": 4, "num_hidden_layers": 2,
                 "rotary_emb_base": 10000, "rotary_pct": 0.25, "use_parallel_residual": True, "classifier_dropout": 0.1},
    "modernbert": {"model_type": "modernbert", "attention_bias": False, "classifier_activation": "gelu", "classifier_bias": False,
                   "classifier_pooling": "mean", "cls_token_id": 1, "decoder_bias": True, "deterministic_flash_attn": False,
                   "embedding_dropout": 0.0, "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0,
                   "gradient_checkpointing": False, "hidden_activation": "gelu", "hidden_size": 64, "initializer_cutoff_factor":
                   2.0, "intermediate_size": 96, "layer_norm_eps": 1e-5, "local_attention": 128, "local_rope_theta": 10000.0,
                   "max_position_embeddings": 8192, "mlp_bias": False, "norm_bias": False, "norm_eps": 1e-5,
                   "num_attention_heads": 4, "num_hidden_layers": 3, "pad_token_id": 0, "position_embedding_type": "absolute",
                   "reference_compile": False, "repad_logits_with_grad": False, "sep_token_id": 2, "sparse_pred_ignore_index":
                   -100, "sparse_prediction": False, "vocab_size": 1000},
}  # fmt: skip
