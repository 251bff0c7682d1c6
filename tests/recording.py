"""Saves tiny checkpoints and records what they answer: the world that an export is compared with.

Runs in any environment with torch and transformers 4.5x or 5, and needs nothing of scorer:

    python tests/recording.py FOLDER bert qwen3 llama:rope-llama3

writes FOLDER/bert/checkpoint, as save_pretrained does, and FOLDER/bert/recording.{json,npz}: texts, token ids and
logits of each text alone, without padding, by the model and the tokenizer that are then saved.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from checkpoints import TRAINING_TEXT
from tiny_models import make_model
from tokenizer_files import POSITIONS, write_tokenizer
from worlds import TOKENIZERS, VARIANTS, Variant

# Texts or pairs -> their token ids, and their logits float32 [N, C].
Ask = Callable[[Sequence[Sequence[str]]], tuple[list[list[int]], np.ndarray]]
TEXTS, PAIRS = 150, 24
LABELS = ("politics", "sports", "science")
ODD = (
    "", " ", "  two  leading, and   three",
    "trailing   ", "\ttab\tbed\t", "line\nbreak\r\nand\n\nmore", "no\u00a0break",
    "\ufeffmark first",
    "zero\u200bwidth\u200d joiner", "a\u0000b \u0007", "e\u0301te\u0301 caf\u00e9 na\u00efve",
    "\u0130stanbul STRASSE \u1e9e \u01c5", "\ufb01ne \uff26\uff35\uff2c\uff2c \u2460 \u00bd",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 love \u2764\ufe0f",
    "##ing @@ \u2581x \u0120y </w>", "\u3002\u3001\uff01", ".", "\u0301", "\u202eright\u202c", "12345 6,789.01 007",
    "don't can't he'll I'm we've", "don 't do n't . No , thanks ! ok ?", "Hello  World", "hello world",
    "HELLO WORLD", " hello", "hello ",
    "x = {'a': [1, 2]}  # <br/>", "https://example.org/a?b=c&d=%20", "\u4eca\u5929\u6c14\u597d",
    "\uac00\ub098\ub2e4 \ud83d".encode("utf-8", "ignore").decode(),
)  # fmt: skip


def texts_of(tokenizer: Any) -> list[str]:
    """Texts of 1 to 512 tokens: odd ones, some with the tokenizer's special tokens, and words of many scripts."""
    random = np.random.default_rng(0)
    tokens = list(dict.fromkeys(map(str, [*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()])))[:8]
    special = [
        made
        for token in tokens
        for made in (f"a report {token} on shares", f"fell sharply {token}", f"{token} and  {token}", token)
    ]
    words = [word for text in TRAINING_TEXT for word in text.split()]
    sizes = [*range(1, 12), *np.geomspace(12, 700, 100).astype(int)]
    found = list(dict.fromkeys([*ODD, *special, *(" ".join(random.choice(words, size)) for size in sizes)]))
    kept = [text for text in found if len(tokenizer(text)["input_ids"])]
    odd = len(kept) - len(sizes)
    return [*kept[: min(odd, TEXTS - 90)], *kept[odd:]][:TEXTS] if len(kept) > TEXTS else kept


def pairs_of(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of texts: short beside long, like beside like."""
    chosen = [text for text in texts[:: max(1, len(texts) // PAIRS)] if text.strip()]
    return [*zip(chosen, chosen[::-1], strict=True)][:PAIRS]


def record(name: str, folder: Path) -> None:
    """Save one checkpoint and what it answers.

    Args:
        name: an architecture, or one and a variant of it: "llama:rope-llama3".
        folder: receives `checkpoint` and the recording.
    """
    import torch
    import transformers

    kind, _, variant_name = name.partition(":")
    variant = VARIANTS[name] if variant_name else Variant()
    tokenizer = load_tokenizer(kind, variant)
    model = make_classifier(kind, tokenizer, variant)
    ask = answerer(model, tokenizer)
    texts = computed(ask, texts_of(tokenizer))
    ids, logits = ask([(text,) for text in texts])
    if not np.isfinite(logits).all() or logits.std(axis=0).max() < 0.02:
        raise RuntimeError("its answers are not finite, or do not differ")
    try:
        pairs = pairs_of(texts)
        pair_ids, pair_logits = ask(pairs)
    except Exception as error:  # not every tokenizer and model takes pairs
        print(f"{name}: no pairs: {str(error)[:100]}", file=sys.stderr)
        pairs, pair_ids, pair_logits = [], [], np.zeros((0, len(LABELS)), np.float32)
    checkpoint = folder / "checkpoint"
    model.save_pretrained(checkpoint, **variant.saving)
    tokenizer.save_pretrained(checkpoint)
    variant.edit(checkpoint)
    np.savez(folder / "recording.npz", logits=logits, pair_logits=pair_logits)
    known = {
        "name": name,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "tokenizer": type(tokenizer).__name__,
        "texts": texts,
        "ids": ids,
        "pairs": pairs,
        "pair_ids": pair_ids,
    }
    (folder / "recording.json").write_text(json.dumps(known), encoding="utf-8")


def load_tokenizer(kind: str, variant: Variant) -> Any:
    """The tokenizer as a trainer would have it: its maker's files, converted, saved and loaded by AutoTokenizer.

    Loaded from what was saved, since in some versions saving loses what conversion gave (BigBird's in 4.50).
    """
    from transformers import AutoTokenizer

    families = (
        [variant.tokenizer]
        if variant.tokenizer is not None
        else [TOKENIZERS.get(kind), ("cls-json", "PreTrainedTokenizerFast")]
    )
    for family, tokenizer_class in filter(None, families):
        with tempfile.TemporaryDirectory() as folder:
            try:
                files = write_tokenizer(family, tokenizer_class, Path(folder), **variant.tokenizer_settings)
                AutoTokenizer.from_pretrained(files).save_pretrained(Path(folder) / "saved")
                tokenizer = AutoTokenizer.from_pretrained(Path(folder) / "saved")
            except Exception as error:
                print(f"{kind}: {tokenizer_class}: {str(error)[:100]}", file=sys.stderr)
                continue
            if tokenizer.is_fast:
                if variant.added_tokens:
                    tokenizer.add_tokens(list(variant.added_tokens))
                return tokenizer
    raise RuntimeError(f"no fast tokenizer for {kind}")


def make_classifier(kind: str, tokenizer: Any, variant: Variant) -> Any:
    """A tiny model that fits the tokenizer."""
    roles = ("pad", "bos", "eos", "sep", "cls")
    given = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id", None) for role in roles}
    given = {name: token for name, token in given.items() if token is not None}
    start = given.get("eos_token_id", given.get("pad_token_id", 0)) if kind != "t5" else given["pad_token_id"]
    given |= {"decoder_start_token_id": start, "vocab_size": -(-len(tokenizer) // 8) * 8}
    model = make_model(kind, unusual=True, **given | variant.fields())
    model.config.id2label = dict(enumerate(LABELS))
    model.config.label2id = {label: index for index, label in enumerate(LABELS)}
    if kind == "reformer":  # pads by itself, by an id that its tokenizer does not have
        return model
    model.config.pad_token_id = tokenizer.pad_token_id
    if hasattr(model.config, "get_text_config"):
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model


def answerer(model: Any, tokenizer: Any) -> Ask:
    """A function of texts or pairs: their token ids, and their logits float32 [N, C], each computed alone."""
    import inspect

    import torch

    parameters = inspect.signature(model.forward).parameters

    def ask(rows: Sequence[Sequence[str]]) -> tuple[list[list[int]], np.ndarray]:
        ids, logits = [], []
        for row in rows:
            encoded: Mapping[str, Any] = tokenizer(*row, truncation=True, max_length=POSITIONS, return_tensors="pt")
            with torch.inference_mode():
                answer = model(**{name: value for name, value in encoded.items() if name in parameters}).logits
            ids.append(encoded["input_ids"][0].tolist())
            logits.append(answer[0].float().numpy())
        return ids, np.stack(logits)

    return ask


def computed(ask: Ask, texts: Sequence[str]) -> list[str]:
    """Those texts that the model computes: some fail on very short ones; a tenth at most may be left out."""
    kept, failed = [], []
    for text in texts:
        try:
            ask([(text,)])
            kept.append(text)
        except Exception as error:
            failed.append(error)
    if len(failed) > len(texts) / 10:
        raise failed[0]
    return kept


def main() -> None:
    """Record the architectures named; one that fails leaves its reason."""
    folder, *names = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for name in names:
        place = Path(folder) / name
        place.mkdir(parents=True, exist_ok=True)
        try:
            record(name, place)
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            (place / "failed.txt").write_text(f"{type(error).__name__}: {lines[0][:200]}", encoding="utf-8")
            print(f"{name}: {type(error).__name__}: {lines[0][:200]}", file=sys.stderr)


if __name__ == "__main__":
    main()
