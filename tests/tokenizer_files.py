"""Tokenizers as their makers publish them: vocabulary files of each kind, trained on a few sentences.

What transformers makes of them is its own affair, and differs from version to version. Needs nothing of scorer, and
runs with any transformers.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from checkpoints import TRAINING_TEXT

POSITIONS = 512
CORPUS = [*TRAINING_TEXT, *(text.lower() for text in TRAINING_TEXT), *(text.upper() for text in TRAINING_TEXT[:6])]


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """A kind of tokenizer.

    Attributes:
        kind: of its files: "wordpiece", "bytes", "unigram", "sentencepiece-bpe" or "json".
        file: name of the vocabulary file, where there is one.
        special: its special tokens by their role, in the order of their ids.
        more: what tokenizer_config.json says besides.
    """

    kind: str
    file: str
    special: dict[str, str]
    more: dict[str, Any] = dataclasses.field(default_factory=dict)


_BERT = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_ROBERTA = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
_ALBERT = {"pad": "<pad>", "unk": "<unk>", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_T5 = {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
_LLAMA = {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}
_GEMMA = {"pad": "<pad>", "eos": "<eos>", "bos": "<bos>", "unk": "<unk>"}
FAMILIES = {
    "bert": Family("wordpiece", "vocab.txt", _BERT, {"do_lower_case": True}),
    "bert-cased": Family("wordpiece", "vocab.txt", _BERT, {"do_lower_case": False}),
    "mpnet": Family("wordpiece", "vocab.txt", _ROBERTA | {"unk": "[UNK]"}, {"do_lower_case": True}),
    "roberta": Family("bytes", "vocab.json", _ROBERTA),
    "deberta": Family("bytes", "vocab.json", _BERT),
    "gpt2": Family("bytes", "vocab.json", {"bos": "<|endoftext|>"}),
    "qwen": Family("bytes", "vocab.json", {"eos": "<|endoftext|>", "more": "<|im_start|>", "other": "<|im_end|>"}),
    "xlm-roberta": Family("unigram", "sentencepiece.bpe.model", _ROBERTA),
    "camembert": Family("unigram", "sentencepiece.bpe.model", _ROBERTA),
    "mbart": Family("unigram", "sentencepiece.bpe.model", _ROBERTA),
    "albert": Family("unigram", "spiece.model", _ALBERT, {"do_lower_case": True}),
    "fnet": Family("unigram", "spiece.model", _ALBERT, {"do_lower_case": False}),
    "xlnet": Family("unigram", "spiece.model", {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "cls": "<cls>",
                                                "sep": "<sep>", "pad": "<pad>", "mask": "<mask>"}),
    "deberta-v2": Family("unigram", "spm.model", {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]"}),
    "rembert": Family("unigram", "sentencepiece.model", _BERT),
    "big_bird": Family("unigram", "spiece.model", {"pad": "<pad>", "eos": "</s>", "bos": "<s>", "unk": "<unk>",
                                                   "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}),
    "t5": Family("unigram", "spiece.model", _T5, {"extra_ids": 10}),
    "pegasus": Family("unigram", "spiece.model", _T5, {"offset": 0}),
    "reformer": Family("sentencepiece-bpe", "spiece.model", {"unk": "<unk>", "eos": "</s>"}),
    "llama": Family("sentencepiece-bpe", "tokenizer.model", _LLAMA),
    "gemma": Family("sentencepiece-bpe", "tokenizer.model", _GEMMA),
    "cls-json": Family("json", "", _BERT),
    "bos-json": Family("json", "", {"bos": "<|begin|>", "eos": "<|end|>", "pad": "<|pad|>"}),
    "eos-json": Family("json", "", {"eos": "</s>", "pad": "<pad>", "bos": "<s>"}),
}  # fmt: skip


def write_tokenizer(family: str, tokenizer_class: str, folder: Path, **settings: Any) -> Path:
    """Write the files of a tokenizer as one would find them on a hub.

    Args:
        family: a key of FAMILIES.
        tokenizer_class: what tokenizer_config.json names.
        folder: is made.
        **settings: what tokenizer_config.json says besides.
    """
    described = FAMILIES[family]
    folder.mkdir(parents=True, exist_ok=True)
    special = list(dict.fromkeys(described.special.values()))
    if described.kind == "wordpiece":
        (folder / described.file).write_text(
            "\n".join(_pieces(special, lower=described.more["do_lower_case"])), "utf-8"
        )
    elif described.kind == "bytes":
        _write_bytes(special, folder)
    elif described.kind == "json":
        _write_json(described.special, folder)
    else:
        (folder / described.file).write_bytes(_sentencepiece(family, described))
    roles: dict[str, Any] = {
        f"{role}_token": token for role, token in described.special.items() if role not in {"more", "other"}
    }
    if family == "gpt2":
        roles |= {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    if family == "qwen":
        roles |= {"pad_token": "<|endoftext|>", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}
    if family in {"roberta", "xlm-roberta", "camembert", "mbart", "mpnet"}:
        roles |= {"cls_token": "<s>", "sep_token": "</s>"}
    if family == "deberta":
        roles |= {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    content = {"tokenizer_class": tokenizer_class, "model_max_length": POSITIONS, **roles, **described.more, **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return folder


def _pieces(special: Iterable[str], *, lower: bool) -> list[str]:
    """WordPieces: all letters, alone and within words, and the words of the corpus."""
    from tokenizers import normalizers, pre_tokenizers

    normalizer, splitter = normalizers.BertNormalizer(lowercase=lower), pre_tokenizers.BertPreTokenizer()
    words = {word for text in CORPUS for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    letters = {letter for word in words for letter in word}
    kept = sorted(words, key=lambda word: (len(word), word))[:500]
    return list(dict.fromkeys([*special, *sorted(letters), *sorted(f"##{letter}" for letter in letters), *kept]))


def _write_bytes(special: list[str], folder: Path) -> None:
    """vocab.json and merges.txt of a byte-level BPE."""
    from tokenizers import ByteLevelBPETokenizer

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(CORPUS, vocab_size=600, special_tokens=special, show_progress=False)
    trained.save_model(str(folder))


def _write_json(special: dict[str, str], folder: Path) -> None:
    """tokenizer.json alone: a byte-level BPE that splits by an expression of its own, as many models of today have."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    pattern = r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(special.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    first = special.get("cls") or special["bos"]
    last = special.get("sep") or special["eos"]
    begins, ends = "bos" not in special or special["bos"] == "<|begin|>", special.get("bos") != "<|begin|>"
    around = [first] * begins, [last] * ends
    backend.post_processor = processors.TemplateProcessing(
        single=" ".join([*around[0], "$A", *around[1]]),
        pair=" ".join([*around[0], "$A", *around[1], "$B:1", *(f"{token}:1" for token in around[1])]),
        special_tokens=[(token, backend.token_to_id(token)) for token in {first, last}],
    )
    backend.save(str(folder / "tokenizer.json"))


def _sentencepiece(family: str, described: Family) -> bytes:
    """A SentencePiece model with the special tokens at the ids that the family's makers gave them."""
    import sentencepiece

    bytewise = described.kind == "sentencepiece-bpe" and family != "reformer"
    ids: dict[str, Any] = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
    more: dict[str, Any] = {}
    if family not in {"xlm-roberta", "camembert", "mbart", "llama"}:
        order = list(described.special)
        ids = {f"{role}_id": order.index(role) if role in order else -1 for role in ("unk", "bos", "eos", "pad")}
        given = {f"{role}_piece": described.special[role] for role in ("unk", "bos", "eos", "pad") if role in order}
        others = [described.special[role] for role in order if role not in {"unk", "bos", "eos", "pad"}]
        more = given | ({"control_symbols": others} if others else {})
    if bytewise:
        more |= {"byte_fallback": True, "split_digits": True, "normalization_rule_name": "identity"}
        more |= {"remove_extra_whitespaces": False, "add_dummy_prefix": family == "llama"}
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=trained,
        model_type="bpe" if described.kind == "sentencepiece-bpe" else "unigram",
        vocab_size=700,
        hard_vocab_limit=False,
        character_coverage=0.999,
        num_threads=1,
        minloglevel=2,
        **ids,
        **more,
    )
    return trained.getvalue()
