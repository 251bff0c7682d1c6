"""Checkpoints with random weights in the shapes of models that people fine-tune, with few layers. Speed needs no more.

They share another checkpoint's tokenizer and labels, so that all score the same rows in the same tokens. Needs
transformers 5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Model type and what its config.json says besides the sizes of the vocabulary.
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert-base": (
        "bert",
        {"hidden_size": 768, "intermediate_size": 3_072, "num_attention_heads": 12, "num_hidden_layers": 4},
    ),
    "modernbert-base": (
        "modernbert",
        {
            "hidden_size": 768,
            "intermediate_size": 1_152,
            "num_attention_heads": 12,
            "num_hidden_layers": 6,
            "classifier_pooling": "mean",
        },
    ),
    "modernbert-base-cls": (
        "modernbert",
        {
            "hidden_size": 768,
            "intermediate_size": 1_152,
            "num_attention_heads": 12,
            "num_hidden_layers": 6,
            "classifier_pooling": "cls",
        },
    ),
    "deberta-v3-base": (
        "deberta-v2",
        {
            "hidden_size": 768,
            "intermediate_size": 3_072,
            "num_attention_heads": 12,
            "num_hidden_layers": 4,
            "relative_attention": True,
            "max_relative_positions": -1,
            "position_buckets": 256,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "type_vocab_size": 0,
            "layer_norm_eps": 1e-7,
        },
    ),
    "qwen3-0.6b": (
        "qwen3",
        {
            "hidden_size": 1_024,
            "intermediate_size": 3_072,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "num_hidden_layers": 4,
            "max_position_embeddings": 2_048,
        },
    ),
}


def make_checkpoint(shape: str, like: Path, folder: Path) -> Path:
    """Save a checkpoint of one of the shapes.

    Args:
        shape: its name.
        like: folder of the checkpoint whose tokenizer and labels it takes.
        folder: where to save it.
    """
    import torch
    from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    kind, fields = SHAPES[shape]
    tokenizer = AutoTokenizer.from_pretrained(like)
    labels = AutoConfig.from_pretrained(like).id2label
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    if kind == "modernbert":
        special |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
    config = CONFIG_MAPPING[kind](
        vocab_size=len(tokenizer),
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
        **special,
        **fields,
    )
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():  # a head whose logits differ from text to text, whatever the rest makes of it
        head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        head.weight.normal_(0, 1.5 * head.weight.shape[1] ** -0.5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
