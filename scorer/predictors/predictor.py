"""What a predictor must offer: records of a window in, logits out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.arithmetic.scoring import FloatArray
from scorer.system.clock import Clock

FP32 = "fp32"

# Called after every part of the work: tokens computed since the last call, and tokens of the window in all. It may
# raise, where the run has been stopped.
Advance = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Outputs:
    """What a model says of the W records of a window, in their order.

    Attributes:
        logits: float32 [W, C], finite wherever `lengths` is not 0.
        lengths: int32 [W], tokens read of each record; 0 where nothing of it can be read, which rejects the row.
        truncated: bool [W], records whose text was cut.
        precision: names of the number formats that computed them, string or dictionary [W].
        texts: texts that were computed; a text that came before in the shard is not computed again.
        tokens: real tokens that were computed.
        padded_tokens: tokens that were computed, padding included.
    """

    logits: FloatArray
    lengths: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]
    precision: pa.Array
    texts: int
    tokens: int
    padded_tokens: int


# What computes a window that is ready.
Prediction = Callable[[Advance], Outputs]


class Predictor(Protocol):
    """One model, or whatever stands for one."""

    @property
    def precision(self) -> str:
        """Number format that it computes in."""
        ...

    @property
    def in_fp32(self) -> Callable[[], Predictor] | None:
        """Makes a predictor of the same model in fp32; None where there is no other."""
        ...

    def shard(self, clock: Clock) -> Callable[[pa.RecordBatch], Prediction]:
        """Begin a shard: returns what makes its windows ready, in their order.

        Making ready is what may be done ahead (tokenizing, padding): it runs in the thread that reads, a window ahead
        of the prediction, which runs in another and in the same order. Nothing may pass from one shard to another.

        Args:
            clock: receives the seconds spent per stage.
        """
        ...

    def close(self) -> None:
        """Give its memory back; nothing is predicted any more."""
        ...
