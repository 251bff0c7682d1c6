"""`scorer export-onnx`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scorer.cli.terminal.common import OUTPUT, say
from scorer.cli.terminal.help import Command, option


@click.command(
    "export-onnx",
    cls=Command,
    short_help="Export a fine-tuned classifier to a model directory.",
    examples=[
        "scorer export-onnx textattack/bert-base-uncased-ag-news model",
        "scorer export-onnx ./my-checkpoint model --precision int8 --calibration sample.txt",
    ],
)
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@option(
    "--optimize",
    heading="Graph",
    type=click.Choice(["none", "O1", "O2", "O3"]),
    default="O2",
    show_default=True,
    help="Graph optimization: O1 general, O2 also fuses attention and GELU, O3 also approximates GELU.",
)
@option(
    "--precision",
    heading="Graph",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="Number format of the weights; fp16 is meant for CUDA.",
)
@option(
    "--exporter",
    heading="Graph",
    type=click.Choice(["auto", "torch", "optimum"]),
    default="auto",
    show_default=True,
    help="What writes the graph: optimum (transformers 4.57) or torch's own exporter (transformers 5). [auto: optimum "
    "where it is installed]",
)
@option(
    "--max-length",
    heading="Graph",
    type=int,
    metavar="TOKENS",
    help="Tokens that runs keep of each text, and the longest that is proved: no run takes more. "
    "[default: what the model takes, at most 512]",
)
@option("--revision", heading="Checkpoint", help="Branch, tag or commit of a hub model. [default: main]")
@option(
    "--trust-remote-code",
    heading="Checkpoint",
    is_flag=True,
    help="Run code that comes with the checkpoint. Only for checkpoints whose code you have read.",
)
@option(
    "--tokenizer",
    heading="Checkpoint",
    metavar="DIR",
    help="Folder or hub id of the tokenizer, where the checkpoint has none, as those that a Trainer writes on the way.",
)
@option(
    "--base",
    heading="Checkpoint",
    metavar="MODEL",
    help="Folder or hub id of a PEFT adapter's base model, where it is not where the adapter says.",
)
@option(
    "--one-logit",
    heading="Checkpoint",
    type=click.Choice(["binary"]),
    help="What a head of one logit is, where the checkpoint does not say: binary means that sigmoid(logit) is the "
    "probability of class 1.",
)
@option(
    "--calibration",
    heading="Parity",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Texts to prove parity on: a .txt file with one per line, or a data file with a column `text`. "
    "[default: a few dozen built-in texts in many languages]",
)
@option("--overwrite", heading=OUTPUT, is_flag=True, help="Replace an earlier export in OUT.")
def export_onnx_command(model: str, out: Path, **options: Any) -> None:
    """Export a fine-tuned classifier to a model directory.

    MODEL is a hub id or a folder: a checkpoint with a classification head for one label per text, a PEFT adapter of
    one, a SetFit model, or a CrossEncoder of sentence-transformers. OUT receives model.onnx, tokenizer.json,
    config.json and scorer.json. ONNX Runtime's answers are compared with PyTorch's before OUT appears; if they differ
    by more than the precision allows, nothing is written.
    """
    from scorer.export.export import ExportConfig, export_onnx

    directory = export_onnx(ExportConfig(model=model, output=out, **options), notify=say)
    contract = directory.contract
    click.echo(
        f"Exported {contract.source} to '{out}': {contract.architecture}, {contract.precision}, "
        f"{contract.optimize}, {len(contract.label_names)} labels, at most {contract.max_length} tokens."
    )
    click.echo(
        f"Parity with PyTorch on {contract.parity.texts} texts: logits within "
        f"{contract.parity.max_logit_difference:.1e}, loss within {contract.parity.max_loss_difference:.1e} nats "
        f"(tolerance {contract.parity.tolerance:.0e})."
    )
    click.echo(f"Next: scorer run {out} DATA --output DIR")
