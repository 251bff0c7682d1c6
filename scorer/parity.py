"""Is the exported graph still the model? Compares ONNX Runtime's answers with PyTorch's on real texts.

PyTorch sees each text alone, without padding; ONNX Runtime sees it in a padded batch, through the code that
scoring uses. So one comparison covers the graph, the tokenizer file, the padding and the batching. Imports
`torch`, and only when it compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scorer.batching import Encoded, IntArray, batches, collate
from scorer.checkpoint import Checkpoint
from scorer.classifier import OnnxClassifier, finite
from scorer.config import DEFAULT_BATCH_TOKENS
from scorer.errors import DataError, ExportError, ModelError, ParityError
from scorer.fidelity import Fidelity, measure_fidelity
from scorer.inference import infer
from scorer.machine import allowed_threads
from scorer.model_directory import EXACT_FILE, MODEL_FILE, TOKENIZER_FILE, Optimization, Parity, Precision
from scorer.parity_texts import BUILT_IN_TEXTS
from scorer.scoring import FloatArray, log_softmax
from scorer.tokenization import TextEncoder

# Largest difference accepted, of any logit and of any loss in nats. Each leaves a sound export room and stops a
# broken one, whose logits are wrong by whole units. Measured on a 6-layer BERT with logits between -5 and 6,
# over the built-in texts and 340 news texts, the larger of both:
#   fp32   3.5e-6 in a logit and 4.5e-6 in a loss; deeper models gather a few times more
#   O3     4.4e-3 and 6.2e-3: its GELU is the tanh approximation
#   fp16   3.7e-3 and 5.3e-3: ten bits of mantissa in every layer
#   int8   0.9 and 1.3: activations share one scale per batch, which the largest of them sets
TOLERANCES: Mapping[Precision, float] = {"fp32": 1e-4, "fp16": 5e-2, "int8": 2.0}
O3_TOLERANCE = 3e-2

BATCH_ROWS = 6
# Texts of a person's file: so many are compared with PyTorch, one by one, and so many between two graphs.
PARITY_TEXTS = 64
CALIBRATION_TEXTS = 1_024
BUILT_IN = "built-in"


def tolerance(precision: Precision, optimize: Optimization) -> float:
    """The largest difference accepted, of logits and of losses, for a precision and an optimization level."""
    return max(TOLERANCES[precision], O3_TOLERANCE if optimize == "O3" else 0.0)


def prove_parity(
    checkpoint: Checkpoint,
    directory: Path,
    texts: tuple[str, ...],
    *,
    precision: Precision,
    optimize: Optimization,
    calibration: str,
    graph: str = MODEL_FILE,
) -> Parity:
    """Compare the graph in a directory with the checkpoint it was made from.

    Args:
        checkpoint: the PyTorch side.
        directory: holds the graph and tokenizer.json.
        texts: texts to compare on; the first 64 are taken.
        precision: number format of the graph's weights.
        optimize: level applied to the graph.
        calibration: where the texts came from, for the record.
        graph: name of the graph's file.

    Raises:
        ParityError: they differ by more than the tolerance, or the graph does not run.
        ExportError: the tokenizer file is not the checkpoint's tokenizer, or PyTorch's own answers are not
            finite or depend on padding.
    """
    texts = texts[:PARITY_TEXTS]
    encoder = TextEncoder(directory / TOKENIZER_FILE, checkpoint.max_length, checkpoint.truncation_side)
    encoded = encoder.encode(texts)
    _check_token_ids(checkpoint, encoded, texts)
    expected = _reference_logits(checkpoint, encoded)  # float32 [N, C]
    try:
        actual = _onnx_logits(checkpoint, directory / graph, encoded)  # float32 [N, C]
    except ModelError as error:
        raise ParityError(f"the exported model does not run: {error} Nothing was written.") from error
    parity = Parity(
        texts=len(texts),
        max_logit_difference=float(np.abs(actual.astype(np.float64) - expected).max()),
        max_loss_difference=float(np.abs(log_softmax(actual) - log_softmax(expected)).max()),
        tolerance=tolerance(precision, optimize),
        calibration=calibration,
    )
    if not max(parity.max_logit_difference, parity.max_loss_difference) <= parity.tolerance:
        raise ParityError(
            f"the exported model ({precision}, {optimize}) does not agree with PyTorch: over {parity.texts} texts a "
            f"logit differs by {parity.max_logit_difference:.2g} and a loss by {parity.max_loss_difference:.2g} "
            f"nats, and {parity.tolerance:g} is accepted. Nothing was written. {_advice(precision, optimize)}"
        )
    return parity


def judge_fidelity(checkpoint: Checkpoint, directory: Path, texts: tuple[str, ...], *, calibration: str) -> Fidelity:
    """How well the graph of less precision keeps the ranking of the fp32 graph beside it.

    Every class is taken as the given label of every text in turn.

    Args:
        checkpoint: what both were made from.
        directory: holds model.onnx, model_fp32.onnx and tokenizer.json.
        texts: texts to compare on.
        calibration: where the texts came from, for the record.
    """
    encoder = TextEncoder(directory / TOKENIZER_FILE, checkpoint.max_length, checkpoint.truncation_side)
    encoded = encoder.encode(texts)
    losses = [
        -log_softmax(_logits_in_buckets(checkpoint, directory / graph, encoded)).ravel()
        for graph in (MODEL_FILE, EXACT_FILE)
    ]
    return measure_fidelity(losses[0], losses[1], calibration)


def read_texts(calibration: Path | None) -> tuple[str, ...]:
    """The first texts of a person's file, or the built-in ones.

    Args:
        calibration: a .txt file with a text per line, or a .jsonl, .csv or .parquet file with a column `text`.

    Raises:
        DataError: the file cannot be read or holds no text.
    """
    if calibration is None:
        return BUILT_IN_TEXTS
    try:
        texts = [text for text in _read_column(calibration) if text and text.strip()]
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"cannot read calibration texts from '{calibration}': {error}") from error
    if not texts:
        raise DataError(f"calibration file '{calibration}' holds no text.")
    return tuple(texts[:CALIBRATION_TEXTS])


def _read_column(file: Path) -> list[str | None]:
    """Texts of a file, up to a few times as many as will be used, since some may be empty."""
    import polars as pl

    rows = 2 * CALIBRATION_TEXTS
    kind = file.suffix.lower()
    if kind == ".txt":
        with file.open(encoding="utf-8") as lines:
            return [line.rstrip("\n") for line, _ in zip(lines, range(rows), strict=False)]
    if kind in {".jsonl", ".ndjson"}:
        frame = pl.read_ndjson(file.absolute(), n_rows=rows)
    elif kind == ".csv":
        frame = pl.read_csv(file.absolute(), n_rows=rows, glob=False)
    elif kind == ".parquet":
        frame = pl.read_parquet(file.absolute(), n_rows=rows, glob=False)
    else:
        raise DataError(f"calibration file '{file}' must be .txt (a text per line), .jsonl, .csv or .parquet.")
    if "text" not in frame.columns:
        raise DataError(f"calibration file '{file}' has no column 'text', only {', '.join(frame.columns)}. Rename one.")
    return frame["text"].cast(pl.String).to_list()


def _check_token_ids(checkpoint: Checkpoint, encoded: Encoded, texts: tuple[str, ...]) -> None:
    """The tokenizer file must give what the checkpoint's tokenizer gives when it is called."""
    for row, text in enumerate(texts):
        expected = checkpoint.tokenizer(text, truncation=True, max_length=checkpoint.max_length)["input_ids"]
        if encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]].tolist() != expected:
            raise ExportError(
                f"the tokenizer of '{checkpoint.source}' does more than its tokenizer.json can say: the ids of "
                f"{text[:40]!r} differ. It cannot be exported without changing what the model reads."
            )


def _reference_logits(checkpoint: Checkpoint, encoded: Encoded) -> FloatArray:
    """PyTorch's logits, each text alone, once it is certain that padding does not change them: float32 [N, C]."""
    alone = _torch_logits(checkpoint, encoded, batch_rows=1)
    padded = _torch_logits(checkpoint, encoded, batch_rows=BATCH_ROWS)
    if not (np.isfinite(alone).all() and np.isfinite(padded).all()):
        raise ExportError(
            f"'{checkpoint.source}' gives logits that are not finite in PyTorch already: its weights are damaged."
        )
    difference = float(np.abs(padded - alone).max())
    if difference > TOLERANCES["fp32"]:
        raise ExportError(
            f"the answers of '{checkpoint.source}' ({type(checkpoint.model).__name__}) depend on padding: in PyTorch, "
            f"a logit changes by {difference:.2g} when longer texts share the batch. Its scores would depend on the "
            "rows beside each row; choose a checkpoint of another architecture."
        )
    return alone


def _torch_logits(checkpoint: Checkpoint, encoded: Encoded, batch_rows: int) -> FloatArray:
    """PyTorch's logits in batches of so many texts: float32 [N, C]."""
    import torch

    takes_types = "token_type_ids" in checkpoint.tokenizer.model_input_names
    logits = []
    for rows in _chunks(encoded, batch_rows):
        batch = collate(encoded, rows, checkpoint.pad_token_id)
        feeds = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if takes_types:
            feeds["token_type_ids"] = batch.token_type_ids
        with torch.inference_mode():
            output: Any = checkpoint.model(**{name: torch.from_numpy(ids).long() for name, ids in feeds.items()})
        logits.append(output.logits.numpy())  # [B, C]
    result: FloatArray = np.concatenate(logits)
    return result


def _onnx_logits(checkpoint: Checkpoint, graph: Path, encoded: Encoded) -> FloatArray:
    """ONNX Runtime's logits on the CPU, in padded batches of mixed lengths: float32 [N, C]."""
    classifier = OnnxClassifier(graph, checkpoint.label_names, "cpu", threads=allowed_threads())
    batches = (collate(encoded, rows, checkpoint.pad_token_id) for rows in _chunks(encoded, BATCH_ROWS))
    result: FloatArray = np.concatenate([finite(classifier(batch)) for batch in batches])
    return result


def _logits_in_buckets(checkpoint: Checkpoint, graph: Path, encoded: Encoded) -> FloatArray:
    """ONNX Runtime's logits on the CPU, in the batches of a run: float32 [N, C]."""
    classifier = OnnxClassifier(graph, checkpoint.label_names, "cpu")
    logits = np.empty((encoded.lengths.size, len(checkpoint.label_names)), dtype=np.float32)
    budget = max(DEFAULT_BATCH_TOKENS["cpu"], int(encoded.lengths.max()))
    for batch, answer in infer(
        classifier, list(batches(encoded, budget, checkpoint.pad_token_id)), streams=allowed_threads()
    ):
        logits[batch.rows] = finite(answer)
    return logits


def _chunks(encoded: Encoded, batch_rows: int) -> Iterator[IntArray]:
    """Rows in their order, so many at a time: batches of mixed lengths, unlike a run's."""
    count = encoded.lengths.size
    for start in range(0, count, batch_rows):
        yield np.arange(start, min(start + batch_rows, count), dtype=np.int64)


def _advice(precision: Precision, optimize: Optimization) -> str:
    if precision != "fp32":
        return "Try --precision fp32."
    if optimize != "none":
        return "Try --optimize none."
    return "Try another version of optimum-onnx or torch; this one does not export the architecture correctly."
