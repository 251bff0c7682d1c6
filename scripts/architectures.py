"""Which checkpoints an export reads as they were trained: one line for each architecture with a text classifier.

Tiny checkpoints are saved and their answers recorded by any transformers (tests/recording.py), exported by the one
that is installed here, and compared: token ids and logits of texts of 1 to 512 tokens, and of pairs.

    python scripts/architectures.py FOLDER                                 # all, saved and read by the one installed
    python scripts/architectures.py FOLDER bert llama:rope-llama3          # some
    python scripts/architectures.py FOLDER --variants --saved-by ../env-4.50/bin/python
    python scripts/architectures.py FOLDER --reading                       # PyTorch's answers alone, without an export
    python scripts/architectures.py FOLDER --table                         # of what is known so far
    python scripts/architectures.py FOLDER --beside FOLDER FOLDER          # a column for each version that saved

What is recorded or compared already is not done again, so that it can be stopped at any time.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import logging
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS.parent)]
POSITIONS = 512
# The setting in the refusal of a checkpoint that another version computes otherwise.
CHANGED = re.compile(r"whose code computes (.+?) otherwise")
# What a refusal says besides its reason.
ADVICE = re.compile(r" (Nothing was written\.|Choose a checkpoint of another architecture\.).*", re.DOTALL)
# Architectures that have a text classifier by name, and why it is not exported; nothing of them is tried.
NOT_TRIED = {
    "canine": "it reads characters, by a tokenizer without a fast form",
    "layoutlmv2": "it reads pictures of pages, by detectron2",
    "mra": "it computes attention on a GPU alone: on a CPU, PyTorch answers every text alike",
    "tapas": "it reads tables, with seven kinds of token types",
    "zamba": "torch's exporter goes through its Mamba layers token by token, and was not done after nine minutes",
}


def main() -> None:
    """Compare, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the recordings of one version of transformers")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--saved-by", default=sys.executable, help="Python of the environment that saves")
    parser.add_argument("--variants", action="store_true", help="the variants instead of the architectures")
    parser.add_argument("--reading", action="store_true", help="compare PyTorch's answers, and export nothing")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--beside", type=Path, nargs="+", help="folders of what other versions saved")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    names = given.names or every(variants=given.variants)
    if given.beside:
        print(across([given.folder, *given.beside]))
        return
    if given.table:
        print(table(given.folder, names))
        return
    for name in names:
        find = read if given.reading else exported
        print(line(name, result_of(given.folder / name, name, given.saved_by, find)), flush=True)


def every(*, variants: bool) -> Sequence[str]:
    """All architectures of the installed transformers, or all variants."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as KINDS
    from worlds import VARIANTS

    return tuple(VARIANTS) if variants else tuple(KINDS)


def result_of(folder: Path, name: str, saved_by: str, find: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """What is known of one checkpoint; found out where nothing is known yet."""
    import transformers

    if name in NOT_TRIED:
        return {"result": "not tried", "reason": NOT_TRIED[name]}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{find.__name__}-by-{transformers.__version__}.json"
    if file.exists():
        return dict(json.loads(file.read_text(encoding="utf-8")))
    if not any((folder / known).exists() for known in ("recording.json", "failed.txt")):
        command = [saved_by, str(TESTS / "recording.py"), str(folder.parent), name]
        subprocess.run(command, check=False, capture_output=True)
    found = find(folder) if (folder / "recording.json").exists() else not_made(folder)
    file.write_text(json.dumps(found), encoding="utf-8")
    return found


def not_made(folder: Path) -> dict[str, Any]:
    """The result of a checkpoint that cannot be made."""
    reason = folder / "failed.txt"
    said = reason.read_text(encoding="utf-8") if reason.exists() else "the process that saves it ends"
    return {"result": "not made", "reason": said}


def exported(folder: Path) -> dict[str, Any]:
    """Export and compare one checkpoint."""
    import onnx
    from recorded import compare, export_recorded

    from scorer.errors import ParityError, ScorerError

    said: list[str] = []
    started = time.monotonic()
    known = json.loads((folder / "recording.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {"wrote": known["transformers"], "tokenizer": known["tokenizer"]}
    with tempfile.TemporaryDirectory() as output:
        try:
            directory = export_recorded(folder, Path(output) / "model", notify=said.append)
        except ScorerError as error:
            kind = "not proved" if isinstance(error, ParityError) else "refused"
            return found | {"result": kind, "reason": str(error).replace(str(folder), "…")}
        except Exception as error:  # a fault of ours: no checkpoint may end so
            return found | {"result": "FAILED", "reason": f"{type(error).__name__}: {error}"[:300]}
        comparison = compare(folder, directory)
        operators = {node.op_type for node in onnx.load(directory.model_file).graph.node}
    cut = [line.removeprefix("the last layer is computed for all tokens: ") for line in said if "last layer is" in line]
    return found | {
        "result": "right" if comparison.holds else "WRONG",
        "fused": bool(operators & {"Attention", "MultiHeadAttention"}),
        "one_position": directory.contract.one_position,
        "why_not": cut[0] if cut else "",
        "no_pairs": directory.contract.no_pairs,
        "seconds": round(time.monotonic() - started),
        **dataclasses.asdict(comparison),
    }


def read(folder: Path) -> dict[str, Any]:
    """Open one checkpoint as an export does, and compare what PyTorch answers; exports nothing."""
    import torch
    from recorded import Comparison

    from scorer.errors import ScorerError
    from scorer.export.checkpoint.tokenizer_file import check_tokenizer_file
    from scorer.export.containers.checkpoint import open_checkpoint, takes
    from scorer.export.proof.parity import tolerance

    known = json.loads((folder / "recording.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {"wrote": known["transformers"], "tokenizer": known["tokenizer"]}
    with np.load(folder / "recording.npz") as arrays:
        expected = np.concatenate([arrays["logits"], arrays["pair_logits"]])
    rows = [*((text,) for text in known["texts"]), *map(tuple, known["pairs"])]
    ids = [*known["ids"], *known["pair_ids"]]
    try:
        checkpoint = open_checkpoint(str(folder / "checkpoint"))
        check_tokenizer_file(checkpoint.tokenizer, checkpoint.tokenizer_location, None, known["texts"], known["pairs"])
    except ScorerError as error:
        return found | {"result": "refused", "reason": str(error).replace(str(folder), "…")}
    differences, other = [0.0], 0
    for row, texts in enumerate(rows):
        asked = checkpoint.tokenizer(*texts, truncation=True, max_length=POSITIONS, return_tensors="pt")
        other += asked["input_ids"][0].tolist() != ids[row]
        if row % 4 == 0:
            with torch.inference_mode():
                answer = checkpoint.model(
                    **{name: tensor for name, tensor in asked.items() if takes(checkpoint.model, name)}
                ).logits
            differences.append(float(np.abs(answer[0].numpy() - expected[row]).max()))
    comparison = Comparison(
        len(known["texts"]), len(known["pairs"]), other, max(differences), tolerance("fp32", "O2", expected), 0
    )
    return found | {
        "result": "right" if comparison.holds else "WRONG",
        "fused": False, "one_position": False, "why_not": "", "notices": [*checkpoint.notices],
        **dataclasses.asdict(comparison),
    }  # fmt: skip


def table(folder: Path, names: Sequence[str]) -> str:
    """Markdown of what is known."""
    import transformers

    columns = ("architecture", "result", "tokenizer", "attention", "one position", "texts, pairs", "difference")
    rows, results = [], collections.Counter[str]()
    for name in names:
        file = folder / name / f"exported-by-{transformers.__version__}.json"
        known = {"result": "not tried", "reason": NOT_TRIED.get(name, "yet")}
        if file.exists() and name not in NOT_TRIED:
            known = json.loads(file.read_text(encoding="utf-8"))
        results[known["result"]] += 1
        rows.append(line(name, known))
    counted = ", ".join(f"{count} {result}" for result, count in results.most_common())
    return "\n".join(
        [f"{len(names)} architectures: {counted}.", "", f"| {' | '.join(columns)} |", "|---" * 7 + "|", *rows]
    )


def across(folders: Sequence[Path]) -> str:
    """Markdown of how one version reads what others saved: a column for each folder, a row for each checkpoint."""
    import transformers

    names = sorted({place.name for folder in folders for place in folder.iterdir() if place.is_dir()})
    cells = {name: [cell(folder / name, transformers.__version__) for folder in folders] for name in names}
    wrote = [
        next(json.loads(file.read_text(encoding="utf-8"))["transformers"] for file in folder.glob("*/recording.json"))
        for folder in folders
    ]
    head = f"| architecture | {' | '.join(f'saved by {version}' for version in wrote)} |"
    rows = [f"| {name} | {' | '.join(cells[name])} |" for name in names]
    return "\n".join([head, "|---" * (1 + len(folders)) + "|", *rows])


def cell(place: Path, version: str) -> str:
    """What is known of one checkpoint, in a few words."""
    results = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in (place / f"exported-by-{version}.json", place / f"read-by-{version}.json")
        if file.exists()
    ]
    if not results:
        return "not tried"
    found = results[0]
    if found["result"] == "not made":
        absent = ("KeyError", "Unrecognized configuration class", "does not recognize this architecture")
        return "not in it" if any(word in found["reason"] for word in absent) else f"not made: {found['reason']}"
    if found["result"] != "right":
        setting = CHANGED.search(found.get("reason", ""))
        return f"{found['result']}: {setting[1] if setting else found.get('reason', '')}"
    exported = (place / f"exported-by-{version}.json").exists()
    return f"equal, {found['difference']:.0e}{', exported' if exported else ''}"


def line(name: str, found: dict[str, Any]) -> str:
    """One row of the table."""
    if "texts" not in found:
        reason = f": {ADVICE.sub('', found['reason'])}"
        return f"| {name} | {found['result']}{reason} | {found.get('tokenizer', '')} |" + " |" * 4
    ids = f"; {found['other_ids']} rows of other token ids" if found["other_ids"] else ""
    attention = "fused" if found["fused"] else "plain"
    cut = "yes" if found["one_position"] else found["why_not"] or "no"
    rows = f"{found['texts']}, {found['pairs']}"
    result, tokenizer = found["result"] + ids, found["tokenizer"]
    return f"| {name} | {result} | {tokenizer} | {attention} | {cut} | {rows} | {found['difference']:.1e} |"


if __name__ == "__main__":
    main()
