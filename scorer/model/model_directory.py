"""The model directory: what `export-onnx` writes and every run reads.

    model.onnx       the graph and its weights (and model.onnx_data beside it for weights over 2 GB)
    model_fp32.onnx  beside a model of less precision: the same in fp32, for the rows that must be exact
    tokenizer.json   the fast tokenizer, complete
    config.json      the checkpoint's configuration as transformers knows it
    scorer.json      the contract below: everything a run needs to know, and what was proved at export

This module reads, checks and writes that contract. It opens neither the graph nor the tokenizer.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from scorer.arithmetic.fidelity import Fidelity
from scorer.errors import ModelError
from scorer.system.documents import parse, written

MODEL_FILE = "model.onnx"
FP32_FILE = "model_fp32.onnx"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "config.json"
CONTRACT_FILE = "scorer.json"
FORMAT_VERSION = 3

Precision = Literal["fp32", "fp16", "int8"]
Optimization = Literal["none", "O1", "O2", "O3"]
Exporter = Literal["torch", "optimum"]


class Parity(msgspec.Struct, frozen=True):
    """How far ONNX Runtime's answers lie from PyTorch's, measured at export on the same token ids.

    Attributes:
        texts: number of texts, or pairs, compared.
        longest: tokens of the longest of them.
        max_logit_difference: largest absolute difference of any logit.
        max_loss_difference: largest absolute difference of the cross-entropy, in nats, over all texts and
            all classes taken as the given label.
        tolerance: the largest difference, of logits and of loss, that the export accepted.
        calibration: where the texts came from: "built-in" or the file's name.
    """

    texts: int
    longest: int
    max_logit_difference: float
    max_loss_difference: float
    tolerance: float
    calibration: str

    @property
    def holds(self) -> bool:
        """Whether the answers are the same within the tolerance."""
        return max(self.max_logit_difference, self.max_loss_difference) <= self.tolerance


class ModelContract(msgspec.Struct, frozen=True, kw_only=True):
    """The content of scorer.json.

    Attributes:
        label_names: the C class names, in the order of the logits' columns.
        max_length: tokens kept of a text unless a run says otherwise, special tokens included.
        max_positions: the most tokens that the model can take, or None where it has no limit.
        pad_token_id: id written into padding.
        truncation_side: the side from which long texts are cut.
        graph_inputs: names of the graph's inputs.
        architecture: the checkpoint's class, such as BertForSequenceClassification.
        source: hub id, or the name of the local folder, that was exported.
        revision: the hub commit exported, or None for a local checkpoint.
        precision: number format of the weights.
        optimize: graph optimization level applied at export.
        one_position: whether the last layer is computed for one position of each text alone, the one its head reads.
        exporter: what wrote the graph: torch's own exporter, or optimum.
        written_by: version of transformers that wrote the checkpoint, or None where its config.json does not say.
        read_by: version of transformers that read it, and whose answers the graph gives.
        files: SHA-256 of every file that holds weights or tokenizer, by name.
        versions: versions of the packages that took part in the export.
        segments: whether the tokenizer's segments are fed; zeros where not.
        parity: what the export proved of texts.
        pairs: what it proved of pairs; None where it could not, and no run takes pairs.
        no_pairs: why it could not.
        fidelity: for a model of less precision than fp32, how well its losses keep the ranking of fp32's.
        equal_lengths: whether rows of each length are computed by themselves, since padding would move their answers.
        format_version: version of this contract.
    """

    label_names: tuple[str, ...]
    max_length: int
    max_positions: int | None
    pad_token_id: int
    truncation_side: Literal["left", "right"]
    graph_inputs: tuple[str, ...]
    architecture: str
    source: str
    revision: str | None
    precision: Precision
    optimize: Optimization
    one_position: bool
    exporter: Exporter
    written_by: str | None
    read_by: str
    files: Mapping[str, str]
    versions: Mapping[str, str]
    segments: bool
    parity: Parity
    pairs: Parity | None
    no_pairs: str | None = None
    fidelity: Fidelity | None = None
    equal_lengths: bool = False
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        """Check what types do not say, so that every reader may trust it.

        Raises:
            ValueError: a value is out of range; the message names it.
        """
        sound = {
            "label_names": len(set(self.label_names)) == len(self.label_names) > 1,
            "max_length": self.max_length > 0,
            "max_positions": self.max_positions is None or self.max_positions > 0,
            "pad_token_id": self.pad_token_id >= 0,
            "graph_inputs": "input_ids" in self.graph_inputs,
        }
        for name, is_sound in sound.items():
            if not is_sound:
                raise ValueError(f"{name} is {getattr(self, name)!r}")

    def to_json(self) -> str:
        """scorer.json."""
        return written(self, indent=2) + "\n"

    @staticmethod
    def from_json(document: str | bytes) -> ModelContract:
        """Parse scorer.json.

        Raises:
            ValueError: the document is not a contract of this version; the message names the place.
        """
        return parse(document, ModelContract, version=FORMAT_VERSION)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelDirectory:
    """A model directory whose contract was read and whose files match their recorded hashes."""

    path: Path
    contract: ModelContract

    @property
    def model_file(self) -> Path:
        """The ONNX graph."""
        return self.path / MODEL_FILE

    @property
    def fp32_file(self) -> Path | None:
        """The same model in fp32, where the graph is of less precision."""
        return self.path / FP32_FILE if FP32_FILE in self.contract.files else None

    @property
    def tokenizer_file(self) -> Path:
        """The fast tokenizer."""
        return self.path / TOKENIZER_FILE

    @property
    def model_hash(self) -> str:
        """SHA-256 of the graph file: the model's identity in run.json and in file metadata."""
        return self.contract.files[MODEL_FILE]


def open_model_directory(path: Path) -> ModelDirectory:
    """Read a model directory's contract and check the hash of every file it lists.

    Raises:
        ModelError: a file is missing, unreadable, not a contract, outside the directory, or does not match
            its recorded hash.
    """
    contract_file = path / CONTRACT_FILE
    if not path.is_dir():
        raise ModelError(f"model directory '{path}' does not exist. Make one with: scorer export-onnx MODEL {path}")
    if not contract_file.is_file():
        hint = " (a PyTorch checkpoint)" if _looks_like_checkpoint(path) else ""
        raise ModelError(
            f"'{path}' is not a model directory{hint}: it has no {CONTRACT_FILE}. "
            f"Make one with: scorer export-onnx {path} OUT"
        )
    try:
        contract = ModelContract.from_json(contract_file.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read '{contract_file}': {error}. Export the model again.") from error
    for name in (MODEL_FILE, TOKENIZER_FILE):
        if name not in contract.files:
            raise ModelError(f"'{contract_file}' records no hash for {name}. Export the model again.")
    for name, expected in contract.files.items():
        _check_file(path, name, expected)
    return ModelDirectory(path, contract)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(directory: Path, name: str, expected: str) -> None:
    if Path(name).name != name:
        raise ModelError(
            f"'{directory / CONTRACT_FILE}' names a file outside its directory: '{name}'. Export the model again."
        )
    file = directory / name
    if not file.is_file():
        raise ModelError(f"model directory '{directory}' has no {name}. Export the model again.")
    try:
        actual = sha256_of(file)
    except OSError as error:
        raise ModelError(f"cannot read '{file}': {error.strerror}") from error
    if actual != expected:
        raise ModelError(
            f"'{file}' does not match the hash recorded at export (expected {expected[:12]}…, found "
            f"{actual[:12]}…): the file was changed or damaged. Export the model again."
        )


def _looks_like_checkpoint(path: Path) -> bool:
    return any((path / name).exists() for name in ("model.safetensors", "pytorch_model.bin"))
