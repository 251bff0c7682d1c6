"""Graphs as torch's exporter wrote them, kept on disk for a session of tests: tracing is what takes the seconds.

What comes after, from the rewrites to the proof, is done anew for every export.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scorer.export.graph import onnx_graph
from scorer.export.graph.torch_graph import write_torch_graph

ANSWER = "answer"


@contextlib.contextmanager
def keep_graphs(folder: Path) -> Iterator[None]:
    """Take graphs of models that have been traced before from a folder, which several processes may share."""

    def write(model: Any, inputs: Sequence[str], file: Path) -> bool:
        kept = folder / key_of(model, inputs)
        if not kept.exists():
            making = folder / f"{kept.name}.{os.getpid()}"
            making.mkdir(parents=True)
            answer = write_torch_graph(model, inputs, making / file.name)
            (making / ANSWER).write_text(str(answer))
            with contextlib.suppress(OSError):  # another process was faster
                making.rename(kept)
        for part in kept.iterdir():
            if part.name != ANSWER:
                shutil.copy(part, file.parent)
        return (kept / ANSWER).read_text() == str(True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_graph, "write_torch_graph", write)
        yield


def key_of(model: Any, inputs: Sequence[str]) -> str:
    """A name for all that a graph depends on: class, configuration, weights, inputs."""
    digest = hashlib.sha256(repr((type(model), model.config.to_dict(), tuple(inputs))).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
