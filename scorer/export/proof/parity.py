"""Is the exported graph still the model? Compares ONNX Runtime's answers with PyTorch's, on texts and on pairs.

PyTorch sees each text alone, without padding; ONNX Runtime sees it alone and in a padded batch, through the code that
scoring uses. So one comparison covers the graph, the tokenizer file, the padding and the batching, whoever wrote the
graph.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scorer.arithmetic.batching import Encoded, IntArray, batches, collate
from scorer.arithmetic.fidelity import Fidelity, measure_fidelity
from scorer.arithmetic.scoring import DoubleArray, FloatArray, log_softmax
from scorer.config import DEFAULT_BATCH_TOKENS
from scorer.errors import ExportError, ModelError, ParityError, UsageError
from scorer.export.checkpoint.tokenizer_file import check_tokenizer_file
from scorer.export.containers.checkpoint import Checkpoint
from scorer.export.proof.proof_texts import PARITY_TEXTS, proof_pairs, proof_texts
from scorer.export.proof.reference import BATCH_ROWS, BATCH_TOKENS, Expected, PyTorchError, expect, padding_moves
from scorer.model.classifier import OnnxClassifier, finite
from scorer.model.inference import infer
from scorer.model.model_directory import FP32_FILE, MODEL_FILE, TOKENIZER_FILE, Optimization, Parity, Precision
from scorer.model.session import installed_onnxruntime
from scorer.model.tokenization import TextEncoder
from scorer.system.machine import allowed_threads

# Largest difference accepted, of any logit and of any loss in nats, where logits are of the usual size. Each leaves a
# sound export room and stops a broken one, whose logits are wrong by whole units. Measured on a 6-layer BERT with
# logits between -5 and 6, over the built-in texts and 340 news texts, the larger of both:
#   fp32   3.5e-6 in a logit and 4.5e-6 in a loss; deeper models gather a few times more
#   O3     4.4e-3 and 6.2e-3: its GELU is the tanh approximation
#   fp16   3.7e-3 and 5.3e-3: ten bits of mantissa in every layer
#   int8   0.9 and 1.3: activations share one scale per batch, which the largest of them sets
TOLERANCES: Mapping[Precision, float] = {"fp32": 1e-4, "fp16": 5e-2, "int8": 2.0}
O3_TOLERANCE = 3e-2
# Rounding grows with the numbers: beyond logits of this size, so does what is accepted.
USUAL_LOGIT = 10.0
# Classes whose logits lie further below a row's highest are masked: no rounding brings them back.
LIVE_NATS = 200.0
BUILT_IN = "built-in"
FAILED_NODE = re.compile(r"(?P<what>.*?): .* running (?P<operator>\w+) node\. Name:'(?P<name>[^']*)'", re.DOTALL)


def tolerance(precision: Precision, optimize: Optimization, logits: FloatArray) -> float:
    """The largest difference accepted, of logits and of losses.

    It follows the size of the logits, but not of those that carry no probability (a class that is masked by a bias of
    -1e6 says nothing of the others), nor, in less precision than fp32, a number that is added to all of a row.

    Args:
        precision: number format of the weights.
        optimize: level applied to the graph.
        logits: PyTorch's, float32 [N, C].
    """
    usual = max(TOLERANCES[precision], O3_TOLERANCE if optimize == "O3" else 0.0)
    wide = logits.astype(np.float64)
    live = _live(wide)
    middle = 0.0
    if precision != "fp32":
        lowest = np.where(live, wide, np.inf).min(axis=1, keepdims=True)
        middle = (wide.max(axis=1, keepdims=True) + lowest) / 2  # float64 [N, 1]
    return usual * max(1.0, float(np.abs(wide - middle)[live].max()) / USUAL_LOGIT)


def _live(logits: DoubleArray) -> npt.NDArray[np.bool_]:
    """Which logits are not so far below their row's highest that the model can never mean them: bool [N, C]."""
    below: npt.NDArray[np.bool_] = logits.max(axis=1, keepdims=True) - logits <= LIVE_NATS
    return below


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """PyTorch's answers, which every graph of the checkpoint must give.

    Attributes:
        texts: those of texts.
        pairs: those of pairs, or why there are none.
        calibration: where the texts came from, for the record.
        equal_lengths: whether PyTorch's answers depend on padding, so that there must be none.
    """

    texts: Expected
    pairs: Expected | str
    calibration: str
    equal_lengths: bool


def make_reference(checkpoint: Checkpoint, directory: Path, texts: Sequence[str], *, calibration: str) -> Reference:
    """What PyTorch answers to the proof's texts, and to pairs of them.

    Args:
        checkpoint: the PyTorch side.
        directory: holds tokenizer.json.
        texts: texts to compare on; the first 64 are taken, and others made.
        calibration: where the texts came from.

    Raises:
        ExportError: the tokenizer file is not the checkpoint's tokenizer, or PyTorch's own answers are not
            finite, fail, or are alike for all texts.
        UsageError: the maximum length leaves no room for text.
    """
    chosen = proof_texts(checkpoint.tokenizer, texts, checkpoint.max_length)
    both = proof_pairs(chosen)
    tokenizer, at = checkpoint.tokenizer, (checkpoint.tokenizer_location, checkpoint.tokenizer_revision)
    check_tokenizer_file(tokenizer, *at, chosen, both)
    try:
        expected = expect(checkpoint, directory, chosen)
    except PyTorchError as error:
        raise ExportError(
            f"'{checkpoint.source}' ({type(checkpoint.model).__name__}) does not compute every text: {error}. Runs "
            "would end there; choose another checkpoint, or correct this one's tokenizer."
        ) from error
    if np.ptp(expected.logits, axis=0).max() == 0:
        raise ExportError(
            f"'{checkpoint.source}' ({type(checkpoint.model).__name__}) answers every text alike in PyTorch on this "
            "machine, so that scores would say nothing. Its weights are damaged, or it computes on a GPU alone, as MRA "
            "does; choose another checkpoint."
        )
    given = min(len(texts), PARITY_TEXTS)
    moved = padding_moves(checkpoint, Expected(expected.encoded, expected.logits[:given]))
    pairs: Expected | str
    first, second = zip(*both, strict=True)
    try:
        pairs = expect(checkpoint, directory, first, second)
    except (ExportError, PyTorchError, UsageError) as error:
        pairs = str(error)
    return Reference(expected, pairs, calibration, moved > tolerance("fp32", "none", expected.logits))


def prove_parity(
    checkpoint: Checkpoint,
    graph: Path,
    reference: Reference,
    *,
    precision: Precision,
    optimize: Optimization,
) -> tuple[Parity, Parity | str]:
    """Compare a graph with the checkpoint it was made from.

    Args:
        checkpoint: the PyTorch side.
        graph: the graph's file.
        reference: PyTorch's answers.
        precision: number format of the graph's weights.
        optimize: level applied to the graph.

    Returns:
        What was proved of texts; and of pairs, or why nothing was.

    Raises:
        ParityError: on texts they differ by more than the tolerance, or the graph does not run.
    """

    def compare(expected: Expected) -> Parity:
        answers = _answers(checkpoint, classifier, expected.encoded, _advice(precision, optimize))
        differences = [_differences(answer, expected.logits) for answer in answers]
        return Parity(
            texts=len(expected.logits),
            longest=int(expected.encoded.lengths.max()),
            max_logit_difference=max(logit for logit, _ in differences),
            max_loss_difference=max(loss for _, loss in differences),
            tolerance=tolerance(precision, optimize, expected.logits),
            calibration=reference.calibration,
        )

    try:
        classifier = OnnxClassifier(
            graph,
            checkpoint.label_names,
            "cpu",
            threads=allowed_threads(),
            equal_lengths=reference.equal_lengths,
        )
    except ModelError as error:
        raise _does_not_load(checkpoint, error) from error
    try:
        texts = compare(reference.texts)
    except ModelError as error:
        raise ParityError(f"the exported model does not run: {_failure(error)} Nothing was written.") from error
    if not texts.holds:
        raise ParityError(
            f"the exported model ({precision}, {optimize}) does not agree with PyTorch: over {texts.texts} texts of at "
            f"most {texts.longest} tokens, a logit differs by {texts.max_logit_difference:.2g} and a loss by "
            f"{texts.max_loss_difference:.2g} nats, and {texts.tolerance:.2g} is accepted. Nothing was written. "
            f"{_advice(precision, optimize)}"
        )
    if isinstance(reference.pairs, str):
        return texts, reference.pairs
    try:
        pairs = compare(reference.pairs)
    except ModelError as error:
        return texts, f"the exported model does not compute them: {_failure(error)}"
    if pairs.holds:
        return texts, pairs
    return texts, f"on them, a logit of the exported model differs from PyTorch's by {pairs.max_logit_difference:.2g}"


def _differences(actual: FloatArray, expected: FloatArray) -> tuple[float, float]:
    """The largest difference of a logit, and of a loss: of logits float32 [N, C].

    Where a class carries no probability, its difference counts in proportion to how far it lies below the others.
    """
    wide = expected.astype(np.float64)
    below = wide.max(axis=1, keepdims=True) - wide
    weight = np.where(_live(wide), 1.0, np.maximum(below / USUAL_LOGIT, 1.0))  # float64 [N, C]
    logit = np.abs(actual.astype(np.float64) - expected) / weight
    loss = np.abs(log_softmax(actual) - log_softmax(expected)) / weight
    return float(logit.max()), float(loss.max())


def _answers(checkpoint: Checkpoint, classifier: OnnxClassifier, encoded: Encoded, advice: str) -> Iterator[FloatArray]:
    """ONNX Runtime's logits, float32 [N, C]: of each row alone, then in batches of mixed lengths."""
    for most in (1, BATCH_ROWS):
        chunks = (collate(encoded, rows, checkpoint.pad_token_id) for rows in _chunks(encoded, most))
        yield np.concatenate([finite(classifier(batch), advice) for batch in chunks])


def judge_fidelity(checkpoint: Checkpoint, directory: Path, texts: tuple[str, ...], reference: Reference) -> Fidelity:
    """How well the graph of less precision keeps the ranking of the fp32 graph beside it.

    Every class is taken as the given label of every text in turn.

    Args:
        checkpoint: what both were made from.
        directory: holds model.onnx, model_fp32.onnx and tokenizer.json.
        texts: texts to compare on.
        reference: what both were compared with.
    """
    encoder = TextEncoder(
        directory / TOKENIZER_FILE, checkpoint.max_length, checkpoint.truncation_side, segments=checkpoint.segments
    )
    encoded = encoder.encode(texts)
    losses = [
        -log_softmax(_logits_in_buckets(checkpoint, directory / graph, encoded, reference.equal_lengths)).ravel()
        for graph in (MODEL_FILE, FP32_FILE)
    ]
    return measure_fidelity(losses[0], losses[1], reference.calibration)


def _logits_in_buckets(checkpoint: Checkpoint, graph: Path, encoded: Encoded, equal_lengths: bool) -> FloatArray:
    """ONNX Runtime's logits on the CPU, in the batches of a run: float32 [N, C]."""
    classifier = OnnxClassifier(graph, checkpoint.label_names, "cpu", equal_lengths=equal_lengths)
    logits = np.empty((encoded.lengths.size, len(checkpoint.label_names)), dtype=np.float32)
    budget = max(DEFAULT_BATCH_TOKENS["cpu"], int(encoded.lengths.max()))
    for batch, answer in infer(
        classifier, list(batches(encoded, budget, checkpoint.pad_token_id)), streams=allowed_threads()
    ):
        logits[batch.rows] = finite(answer, "Export it in fp32.")
    return logits


def _chunks(encoded: Encoded, most: int) -> Iterator[IntArray]:
    """Rows in their order, so many at a time or as many as fit: batches of mixed lengths, unlike a run's."""
    start, lengths = 0, encoded.lengths
    while start < lengths.size:
        rows = min(most, lengths.size - start)
        while rows > 1 and rows * int(lengths[start : start + rows].max()) > BATCH_TOKENS:
            rows -= 1
        yield np.arange(start, start + rows, dtype=np.int64)
        start += rows


def _does_not_load(checkpoint: Checkpoint, error: ModelError) -> ParityError:
    """The refusal of a graph that ONNX Runtime does not load."""
    kind, reason = type(checkpoint.model).__name__, str(error.__cause__ or error).strip().rstrip(".")
    cure = (
        f"It lacks an operation, or the number format of one, that {kind} computes with in these settings, so that "
        "exporting again does not help. Choose a checkpoint of another architecture, or try a newer ONNX Runtime."
        if "NOT_IMPLEMENTED" in reason
        else "Try --optimize none, or a newer ONNX Runtime."
    )
    installed = ", ".join(f"{name} {version}" for name, version in installed_onnxruntime().items())
    return ParityError(f"{installed} does not load the exported graph of {kind}: {reason}. Nothing was written. {cure}")


def _failure(error: ModelError) -> str:
    """What failed, and at which node, without ONNX Runtime's account of its own code."""
    found = FAILED_NODE.search(str(error))
    return str(error) if found is None else f"{found['what']}, at its node {found['name']} ({found['operator']})."


def _advice(precision: Precision, optimize: Optimization) -> str:
    if precision != "fp32":
        return "Try --precision fp32."
    if optimize != "none":
        return "Try --optimize none, or a smaller --max-length where long texts alone are off."
    return "Try the other exporter, in an environment of its own: this one does not write the architecture correctly."
