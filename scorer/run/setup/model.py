"""First step of a run's preparation: the model directory, and what turns texts into its tokens."""

from __future__ import annotations

import dataclasses
import os
import shlex

from scorer.config import ModelConfig, RunConfig
from scorer.errors import UsageError
from scorer.model.model_directory import CONTRACT_FILE, ModelContract, ModelDirectory, open_model_directory
from scorer.model.tokenization import TextEncoder
from scorer.system.machine import allowed_threads


@dataclasses.dataclass(frozen=True, slots=True)
class OpenModel:
    """A model whose files are those that were exported; no session runs yet.

    Attributes:
        directory: the model directory.
        max_length: tokens kept of a text.
        threads: threads that compute.
        encoder: texts to token ids.
    """

    directory: ModelDirectory
    max_length: int
    threads: int
    encoder: TextEncoder

    @property
    def contract(self) -> ModelContract:
        """What the export recorded."""
        return self.directory.contract


def open_model(config: RunConfig) -> OpenModel:
    """Open the model directory.

    Raises:
        ModelError: it is none, or a file of it was changed.
        UsageError: model and data are swapped, or more tokens are asked for than the model can take.
    """
    _refuse_swapped(config)
    directory = open_model_directory(config.model)
    max_length = _max_length(config, directory.contract)
    threads = config.threads or allowed_threads()
    return OpenModel(directory, max_length, threads, open_encoder(directory, max_length, threads))


def open_encoder(directory: ModelDirectory, max_length: int, threads: int) -> TextEncoder:
    """What turns texts into the model's tokens."""
    return TextEncoder(
        directory.tokenizer_file,
        max_length,
        directory.contract.truncation_side,
        threads,
        segments=directory.contract.segments,
    )


def _refuse_swapped(config: RunConfig) -> None:
    """The model directory is the first argument, the data follow."""
    models = [item for item in config.data if os.path.isfile(os.path.join(item, CONTRACT_FILE))]  # noqa: PTH113, PTH118
    if models and not (config.model / CONTRACT_FILE).is_file():
        rest = [str(config.model), *(item for item in config.data if item != models[0])]
        raise UsageError(
            f"'{models[0]}' is a model directory, and '{config.model}' is none. The model comes first, then the data: "
            f"scorer run {shlex.join([models[0], *rest])}"
        )


def _max_length(config: ModelConfig, contract: ModelContract) -> int:
    if config.max_length is None:
        return contract.max_length
    if contract.max_positions is not None and config.max_length > contract.max_positions:
        raise UsageError(
            f"--max-length {config.max_length} is more than the {contract.max_positions} tokens that this model "
            f"has positions for. Give at most {contract.max_positions}."
        )
    if config.max_length > contract.parity.longest:
        raise UsageError(
            f"--max-length {config.max_length} is more than the {contract.parity.longest} tokens for which this model "
            "was compared with PyTorch; some architectures answer otherwise beyond a length. Export it for texts of "
            f"that length: scorer export-onnx {contract.source} OUT --max-length {config.max_length}"
        )
    return config.max_length
