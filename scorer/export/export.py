"""Checkpoint to model directory: opened, exported, proved equal to PyTorch, then published whole or not at all.

The order of work is here. What a good checkpoint is stands in `containers.checkpoint`, how a graph is made in
`graph.onnx_graph`, what equal means in `proof.parity`; torch, transformers, optimum and onnx load only
when a checkpoint is really exported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from scorer.arithmetic.fidelity import Fidelity
from scorer.errors import UsageError
from scorer.export.checkpoint.exporters import ExporterChoice, choose_exporter, versions
from scorer.export.containers.checkpoint import Checkpoint, open_checkpoint
from scorer.export.containers.one_logit import OneLogit
from scorer.export.containers.place import Wishes
from scorer.export.graph.onnx_graph import Applied, write_graph
from scorer.export.graph.optimum_graph import check_exportable
from scorer.export.onnx.files import graph_inputs
from scorer.export.output import published
from scorer.export.proof.parity import BUILT_IN, judge_fidelity, make_reference, prove_parity
from scorer.export.proof.proof_texts import read_texts
from scorer.model.model_directory import (
    CONTRACT_FILE,
    FP32_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Exporter,
    ModelContract,
    ModelDirectory,
    Optimization,
    Parity,
    Precision,
    open_model_directory,
    sha256_of,
)


@dataclasses.dataclass(frozen=True, slots=True)
class ExportConfig:
    """One export.

    Attributes:
        model: hub id or folder: of a checkpoint that `save_pretrained` wrote, a PEFT adapter, a SetFit model, a
            CrossEncoder.
        output: model directory to write.
        optimize: graph optimization level.
        precision: number format of the weights.
        exporter: what writes the graph: "optimum", "torch" (torch's own exporter), or "auto", which takes optimum where
            it is installed.
        revision: branch, tag or commit of a hub checkpoint.
        max_length: tokens kept of a text unless a run says otherwise; None takes what tokenizer and model
            allow, at most 512.
        calibration: file of texts to compare on; None takes the built-in ones.
        trust_remote_code: let the checkpoint's own Python code run.
        tokenizer: hub id or folder of the tokenizer, where the checkpoint has none.
        base: hub id or folder of an adapter's base model, where the adapter's own record does not find it.
        one_logit: what a head of one logit is; "binary" says that sigmoid(logit) is the probability of class 1.
        overwrite: replace an earlier model directory.
    """

    model: str
    output: Path
    optimize: Optimization = "O2"
    precision: Precision = "fp32"
    exporter: ExporterChoice = "auto"
    revision: str | None = None
    max_length: int | None = None
    calibration: Path | None = None
    trust_remote_code: bool = False
    tokenizer: str | None = None
    base: str | None = None
    one_logit: OneLogit | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without reading a file.

        Raises:
            UsageError: a value is not one of those possible.
        """
        for option, value, possible in (
            ("--optimize", self.optimize, get_args(Optimization)),
            ("--precision", self.precision, get_args(Precision)),
            ("--exporter", self.exporter, get_args(ExporterChoice)),
            ("--one-logit", self.one_logit, (None, *get_args(OneLogit))),
        ):
            if value not in possible:
                raise UsageError(f"{option} is '{value}'; it must be one of {', '.join(filter(None, possible))}.")
        if self.max_length is not None and self.max_length < 1:
            raise UsageError(f"--max-length is {self.max_length}; it must be at least 1.")


def _say_nothing(_: str) -> None:
    """The default of `notify`."""


def export_onnx(config: ExportConfig, *, notify: Callable[[str], None] = _say_nothing) -> ModelDirectory:
    """Export a checkpoint to a model directory whose answers are proved to be PyTorch's.

    Args:
        config: what to export, and how.
        notify: is given a line of progress now and then.

    Returns:
        The directory written.

    Raises:
        MissingExtraError, ProviderError: a package that exporting needs is not installed.
        ExportError: the checkpoint is not a single-label text classifier that can be exported.
        UsageError: the maximum length does not fit the model or its tokenizer.
        DataError: the calibration texts cannot be read.
        ParityError: the exported model does not agree with PyTorch.
        OutputError: the directory cannot be written, or holds something else.
        Whatever is raised, KeyboardInterrupt included, leaves the output as it was.
    """
    exporter = choose_exporter(config.exporter)
    output = config.output.expanduser().resolve()
    with _quiet_libraries(), published(output, overwrite=config.overwrite) as directory:
        _build(config, exporter, directory, notify)
    notify(f"wrote {output}")
    return open_model_directory(output)


def _build(config: ExportConfig, exporter: Exporter, directory: Path, notify: Callable[[str], None]) -> None:
    """Write a complete model directory into an empty folder."""
    read_texts(config.calibration)  # a mistake there shows before the work
    notify(f"opening {config.model}")
    checkpoint = open_checkpoint(
        config.model,
        revision=config.revision,
        max_length=config.max_length,
        wishes=Wishes(config.trust_remote_code, config.tokenizer, config.base, config.one_logit),
    )
    for notice in checkpoint.notices:
        notify(notice)
    if exporter == "optimum":
        check_exportable(checkpoint.model.config.model_type, config.model)
    _write_tokenizer(checkpoint.tokenizer, directory / TOKENIZER_FILE)
    architecture = type(checkpoint.model).__name__
    notify(f"exporting {architecture} as {config.precision}, optimized at {config.optimize}, by {exporter}")
    applied = write_graph(checkpoint, directory, config.optimize, config.precision, notify, exporter=exporter)
    proof = _prove(config, checkpoint, directory, applied, notify)
    contract = _contract(checkpoint, directory, config.precision, applied, proof)
    (directory / CONTRACT_FILE).write_text(contract.to_json(), encoding="utf-8")


@dataclasses.dataclass(frozen=True, slots=True)
class _Proof:
    """What was proved of the graph: on texts; on pairs, or why not; and how well it keeps the ranking of fp32."""

    texts: Parity
    pairs: Parity | str
    fidelity: Fidelity | None
    equal_lengths: bool


def _prove(
    config: ExportConfig,
    checkpoint: Checkpoint,
    directory: Path,
    applied: Applied,
    notify: Callable[[str], None],
) -> _Proof:
    """Compare with PyTorch and, where there are two graphs, one with the other."""
    texts = read_texts(config.calibration)
    calibration = BUILT_IN if config.calibration is None else config.calibration.name
    notify("asking PyTorch")
    reference = make_reference(checkpoint, directory, texts, calibration=calibration)
    if reference.equal_lengths:
        notify("padding moves its answers in PyTorch: runs will compute texts of each length by themselves")
    notify(f"comparing with PyTorch on {len(reference.texts.logits)} texts")

    def prove(graph: str, precision: Precision) -> tuple[Parity, Parity | str]:
        return prove_parity(checkpoint, directory / graph, reference, precision=precision, optimize=applied.optimize)

    fp32_pairs = None if config.precision == "fp32" else prove(FP32_FILE, "fp32")[1]
    parity, pairs = prove(MODEL_FILE, config.precision)
    if isinstance(fp32_pairs, str):
        pairs = fp32_pairs
    notify(
        f"largest difference: {parity.max_logit_difference:.1e} in a logit, {parity.max_loss_difference:.1e} nats "
        f"in a loss ({parity.tolerance:g} accepted)"
    )
    if isinstance(pairs, str):
        notify(f"runs will not take pairs of texts: {pairs}")
    if config.precision == "fp32":
        return _Proof(parity, pairs, None, reference.equal_lengths)
    fidelity = judge_fidelity(checkpoint, directory, texts, reference)
    notify(f"{config.precision} against fp32: {fidelity}")
    return _Proof(parity, pairs, fidelity, reference.equal_lengths)


def _contract(
    checkpoint: Checkpoint,
    directory: Path,
    precision: Precision,
    applied: Applied,
    proof: _Proof,
) -> ModelContract:
    """What the directory now holds, and what was proved of it."""
    recorded = versions(applied.exporter)
    return ModelContract(
        label_names=checkpoint.label_names,
        max_length=checkpoint.max_length,
        max_positions=checkpoint.max_positions,
        pad_token_id=checkpoint.pad_token_id,
        truncation_side=checkpoint.truncation_side,
        graph_inputs=graph_inputs(directory / MODEL_FILE),
        architecture=type(checkpoint.model).__name__,
        source=checkpoint.source,
        revision=checkpoint.revision,
        precision=precision,
        optimize=applied.optimize,
        one_position=applied.one_position,
        exporter=applied.exporter,
        written_by=checkpoint.written_by,
        read_by=recorded["transformers"],
        files={file.name: sha256_of(file) for file in sorted(directory.iterdir())},
        versions=recorded,
        segments=checkpoint.segments,
        parity=proof.texts,
        pairs=None if isinstance(proof.pairs, str) else proof.pairs,
        no_pairs=proof.pairs if isinstance(proof.pairs, str) else None,
        fidelity=proof.fidelity,
        equal_lengths=proof.equal_lengths,
    )


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Hold back what the exporting libraries log and warn: nothing in it is for the person who exports."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _write_tokenizer(tokenizer: Any, file: Path) -> None:
    """Save the fast tokenizer, without the truncation and padding that its last user left on."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    backend.save(str(file))
