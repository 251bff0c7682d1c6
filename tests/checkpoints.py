"""Tiny checkpoints of many architectures, made offline: random weights, and a tokenizer of the architecture's own kind.

Their answers mean nothing, but they differ from text to text, so that two engines that agree on them agree.
"""

# ruff: noqa: RUF001 — Chinese sentences have Chinese commas

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KINDS = ("bert", "distilbert", "roberta", "xlm-roberta", "electra", "albert", "deberta-v2", "mpnet")

HIDDEN = 32
POSITIONS = 128  # tokens that a checkpoint takes; families that count from the padding id get two more rows
VOCABULARY = 1_200

TRAINING_TEXT = (
    "The central bank raised its interest rate by a quarter point, and shares fell sharply in early trading.",
    "Scientists describe a small, feathered dinosaur that lived about 120 million years ago.",
    "The visitors won the final 3-2 after extra time; their goalkeeper saved two penalties.",
    "A court in the capital ordered the ministry to publish the report within thirty days.",
    "Please restart the router, wait ten seconds, then check whether the green light is on.",
    "I ordered the blue one, but they sent me a red one. Not happy at all!",
    "Die Bahn hat wieder Verspätung, und niemand weiß, wann der nächste Zug kommt.",
    "Le gouvernement a présenté hier un projet de loi sur l'énergie et le climat.",
    "El equipo local perdió el partido en el último minuto después de un error.",
    "Вчера в столице открылась выставка современного искусства, и её уже посетили тысячи людей.",
    "أعلنت الشركة عن أرباح أعلى من المتوقع في الربع الثالث من العام.",
    "הממשלה אישרה אתמול את התקציב החדש לאחר דיון ארוך.",
    "सरकार ने कल नई शिक्षा नीति की घोषणा की और कई लोगों ने उसका स्वागत किया।",
    "今天的天气很好，我们去公园散步，然后喝了一杯茶。",
    "昨日の試合は雨のために中止になりました。次の試合は来週です。",
    "어제 서울에서 열린 회의에서 새로운 계획이 발표되었다.",
    "def add(a, b): return a + b  # 0 1 2 3 4 5 6 7 8 9 ( ) [ ] { } < > = + - * / % & | ^ ~ ! ? : ; , . ' \"",
)


def make_checkpoint(
    kind: str,
    directory: Path,
    *,
    num_labels: int = 4,
    label_names: Sequence[str] | None = None,
    seed: int = 0,
    **config: Any,
) -> Path:
    """Write a checkpoint with random weights and return its directory.

    Args:
        kind: model type as in config.json: one of KINDS, "gpt2" (whose tokenizer has no padding token),
            "convbert" (whose answers depend on padding), "mobilebert" (whose fusions optimum does not know), "bart" or
            "mbart" (which read the last end token) or "big_bird" (whose attention is sparse on long texts).
        directory: where to write it.
        num_labels: width of the head.
        label_names: class names; without them the checkpoint has LABEL_0, LABEL_1, and so on.
        seed: seed of the weights.
        **config: further fields of config.json, which win over the defaults here.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    tokenizer = make_tokenizer(kind)
    fields: dict[str, Any] = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    fields |= _shape(kind)
    if label_names is not None:
        num_labels = len(label_names)
        fields["id2label"] = dict(enumerate(label_names))
        fields["label2id"] = {name: index for index, name in enumerate(label_names)}
    else:
        fields["num_labels"] = num_labels
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(kind, **fields | config))
    _spread_logits(model)
    model.save_pretrained(directory)
    save_tokenizer(tokenizer, directory)
    return directory


def save_tokenizer(tokenizer: Any, directory: Path) -> None:
    """Save a tokenizer as its class builds it, which is another than the one given in transformers 5."""
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(directory)
    AutoTokenizer.from_pretrained(directory).save_pretrained(directory)


def make_headless_checkpoint(directory: Path) -> Path:
    """A BERT encoder that was never fine-tuned: it has no classification head."""
    from transformers import AutoModel, AutoModelForSequenceClassification

    make_checkpoint("bert", directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory)
    encoder = AutoModel.from_config(model.config)
    encoder.load_state_dict(model.bert.state_dict())
    encoder.save_pretrained(directory)
    return directory


def make_slow_only_checkpoint(directory: Path) -> Path:
    """A checkpoint whose tokenizer has no fast form: CANINE's reads code points in Python."""
    from transformers import CanineTokenizer

    make_checkpoint("bert", directory)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        (directory / name).unlink(missing_ok=True)
    CanineTokenizer().save_pretrained(directory)
    return directory


def edit_config(directory: Path, **fields: Any) -> Path:
    """Change fields of a checkpoint's config.json; a field set to None is removed."""
    file = directory / "config.json"
    content = json.loads(file.read_text(encoding="utf-8")) | fields
    content = {name: value for name, value in content.items() if value is not None}
    file.write_text(json.dumps(content), encoding="utf-8")
    return directory


def make_tokenizer(kind: str) -> Any:
    """The fast tokenizer of an architecture, trained on a few sentences."""
    import transformers

    if kind in ("bert", "electra", "distilbert", "convbert", "mobilebert", "big_bird"):
        names = {"electra": "Electra", "distilbert": "DistilBert", "convbert": "ConvBert", "mobilebert": "MobileBert"}
        name = names.get(kind, "Bert")
        backend = _wordpiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "[UNK]")
        backend.post_processor = _template(backend, "[CLS]", "[SEP]", second_type=1)
        return getattr(transformers, f"{name}TokenizerFast")(tokenizer_object=backend, model_max_length=POSITIONS)
    if kind == "mpnet":
        backend = _wordpiece(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"], "[UNK]")
        backend.post_processor = _template(backend, "<s>", "</s>", doubled=True)
        return transformers.MPNetTokenizerFast(tokenizer_object=backend, model_max_length=POSITIONS)
    if kind in ("roberta", "gpt2", "bart", "mbart"):
        roberta = kind != "gpt2"
        backend = _byte_level_bpe(["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if roberta else ["<|endoftext|>"])
        if roberta:
            backend.post_processor = _template(backend, "<s>", "</s>", doubled=True)
        name = "RobertaTokenizerFast" if roberta else "GPT2TokenizerFast"
        return getattr(transformers, name)(tokenizer_object=backend, model_max_length=POSITIONS)
    if kind == "xlm-roberta":
        backend = _unigram(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>")
        backend.post_processor = _template(backend, "<s>", "</s>", doubled=True)
        return transformers.XLMRobertaTokenizerFast(tokenizer_object=backend, model_max_length=POSITIONS)
    if kind in ("albert", "deberta-v2"):
        unknown = "<unk>" if kind == "albert" else "[UNK]"
        padding = "<pad>" if kind == "albert" else "[PAD]"
        backend = _unigram([padding, unknown, "[CLS]", "[SEP]", "[MASK]"], unknown)
        backend.post_processor = _template(backend, "[CLS]", "[SEP]", second_type=1)
        name = {"albert": "AlbertTokenizerFast", "deberta-v2": "DebertaV2TokenizerFast"}[kind]
        # as published: no length of its own, but transformers' sentinel of 1e30
        return getattr(transformers, name)(tokenizer_object=backend)
    raise ValueError(f"no tokenizer is described for '{kind}'")


def _shape(kind: str) -> dict[str, Any]:
    """The configuration fields that make an architecture tiny."""
    if kind == "distilbert":
        return {"dim": HIDDEN, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, "max_position_embeddings": POSITIONS}
    if kind in ("bart", "mbart"):
        halves = {"layers": 1, "attention_heads": 2, "ffn_dim": 64}
        return {
            "d_model": HIDDEN,
            "max_position_embeddings": POSITIONS,
            "bos_token_id": 0,
            "pad_token_id": 1,
            "eos_token_id": 2,
            **{f"{half}_{name}": value for half in ("encoder", "decoder") for name, value in halves.items()},
        }
    if kind == "gpt2":
        return {
            "n_embd": HIDDEN,
            "n_layer": 2,
            "n_head": 2,
            "n_positions": POSITIONS,
            "bos_token_id": 0,
            "eos_token_id": 0,
        }
    shape: dict[str, Any] = {
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": POSITIONS + 2 if kind in ("roberta", "xlm-roberta", "mpnet") else POSITIONS,
    }
    if kind in ("roberta", "xlm-roberta"):
        shape["type_vocab_size"] = 1
    if kind in ("albert", "electra", "convbert"):
        shape["embedding_size"] = 16
    if kind == "big_bird":
        shape |= {"attention_type": "block_sparse", "block_size": 4, "num_random_blocks": 1}
    if kind == "mobilebert":
        shape |= {"embedding_size": 16, "intra_bottleneck_size": 16, "num_feedforward_networks": 1}
    if kind == "deberta-v2":  # as in DeBERTa-v3
        shape |= {
            "relative_attention": True,
            "position_buckets": 32,
            "pos_att_type": ["p2c", "c2p"],
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
            "type_vocab_size": 0,
        }
    return shape


def _spread_logits(model: Any) -> None:
    """Widen the weights, so that texts get answers that differ by more than rounding."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and "embeddings" not in name:
                parameter.mul_(3.0)
            if "embedding" in name or name.endswith(("wte.weight", "wpe.weight")):
                parameter.mul_(10.0)
            if name.startswith(("classifier", "score")) and parameter.dim() == 2:
                parameter.mul_(30.0)


def _wordpiece(special: list[str], unknown: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = {word for text in TRAINING_TEXT for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    letters = {letter for word in words for letter in word}
    # Made by hand, not trained: the library's trainer numbers equals differently from process to process.
    pieces = dict.fromkeys([*special, *sorted(letters), *sorted(f"##{letter}" for letter in letters), *sorted(words)])
    backend = Tokenizer(models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token=unknown))
    backend.normalizer, backend.pre_tokenizer, backend.decoder = normalizer, splitter, decoders.WordPiece()
    return backend


def _byte_level_bpe(special: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TRAINING_TEXT, trainer)
    return backend


def _unigram(special: list[str], unknown: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    normalizer, splitter = normalizers.NFKC(), pre_tokenizers.Metaspace()
    words = {word for text in TRAINING_TEXT for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    letters = {letter for word in words for letter in word}
    # Made by hand, not trained: the library's trainer gives another vocabulary in every process.
    scores = dict.fromkeys(special, 0.0) | dict.fromkeys(sorted(letters), -12.0) | dict.fromkeys(sorted(words), -8.0)
    backend = Tokenizer(models.Unigram(list(scores.items()), unk_id=special.index(unknown)))
    backend.normalizer, backend.pre_tokenizer, backend.decoder = normalizer, splitter, decoders.Metaspace()
    return backend


def _template(backend: Any, first: str, last: str, *, doubled: bool = False, second_type: int = 0) -> Any:
    """Special tokens around one text or two; `doubled` puts two separators between them, as RoBERTa does."""
    from tokenizers import processors

    middle = f"{last} {last}" if doubled else last
    return processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {middle} $B:{second_type} {last}:{second_type}",
        special_tokens=[(token, backend.token_to_id(token)) for token in (first, last)],
    )
