"""The classifier of the demo: a small BERT and its WordPiece tokenizer, trained from nothing on made-up messages.

It knows nothing of the corpus that is shipped, and writes an ordinary checkpoint of transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from demo_texts import Message, class_names
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

VOCABULARY = 3_000
MAX_LENGTH = 128
EPOCHS = 3
BATCH_ROWS = 48
LEARNING_RATE = 6e-4

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# One training example: token ids and the class index.
Example = tuple[list[int], int]


def train_checkpoint(messages: Sequence[Message], directory: Path, seed: int) -> None:
    """Train on correctly labelled messages and save model and tokenizer into `directory`."""
    torch.set_num_threads(1)  # matrices this small gain nothing from more, and one thread always sums in one order
    torch.manual_seed(seed)
    tokenizer = make_tokenizer([message.text for message in messages])
    names = class_names()
    encodings = tokenizer([message.text for message in messages], truncation=True)["input_ids"]
    examples = [(ids, names.index(message.label)) for ids, message in zip(encodings, messages, strict=True)]
    model = BertForSequenceClassification(_configuration(len(tokenizer)))
    _train(model, examples, seed)
    model.eval().save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def make_tokenizer(texts: Sequence[str]) -> Any:
    """A WordPiece tokenizer whose vocabulary is learnt from the texts."""
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=list(SPECIAL_TOKENS), show_progress=False)
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return BertTokenizerFast(tokenizer_object=backend, model_max_length=MAX_LENGTH)


def _configuration(vocabulary: int) -> Any:
    names = class_names()
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=MAX_LENGTH,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )


def _train(model: Any, examples: Sequence[Example], seed: int) -> None:
    """Cross-entropy with AdamW; the learning rate rises over the first tenth of the steps, then falls to zero."""
    batches = [batch for epoch in range(EPOCHS) for batch in _batches(examples, seed + epoch)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LEARNING_RATE, total_steps=len(batches), pct_start=0.1, anneal_strategy="linear"
    )
    model.train()
    for step, batch in enumerate(batches, start=1):
        loss = model(**_collate(batch)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 100 == 0:
            print(f"  step {step:,} of {len(batches):,}: loss {loss.item():.4f}", flush=True)


def _batches(examples: Sequence[Example], seed: int) -> Iterator[list[Example]]:
    """Batches of texts of like length, in random order."""
    dice = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(examples), generator=dice).tolist()
    pool_rows = 32 * BATCH_ROWS  # sorted by length together
    batches = []
    for start in range(0, len(order), pool_rows):
        pool = sorted(order[start : start + pool_rows], key=lambda row: len(examples[row][0]))
        batches += [pool[first : first + BATCH_ROWS] for first in range(0, len(pool), BATCH_ROWS)]
    for index in torch.randperm(len(batches), generator=dice).tolist():
        yield [examples[row] for row in batches[index]]


def _collate(batch: Sequence[Example]) -> dict[str, Any]:
    """One padded batch; the padding id is 0."""
    longest = max(len(ids) for ids, _ in batch)
    padded = [ids + [0] * (longest - len(ids)) for ids, _ in batch]
    input_ids = torch.tensor(padded)  # int64 [B, T]
    lengths = torch.tensor([len(ids) for ids, _ in batch])  # int64 [B]
    return {
        "input_ids": input_ids,
        "attention_mask": (torch.arange(longest)[None, :] < lengths[:, None]).long(),  # int64 [B, T]
        "labels": torch.tensor([label for _, label in batch]),  # int64 [B]
    }
