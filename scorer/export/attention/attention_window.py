"""Which keys each query sees, where the distance between the two decides it: causal attention, and local attention.

A window travels from the traced model to the graph's last rewrite as attributes of the attention node, since a mask of
T x T numbers is what long texts have no room for. Imports `torch` only where a mask function is measured.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scorer.export.onnx.names import attribute, set_attribute

# A side without a limit: further than any text is long, and small enough to be added to a position.
UNLIMITED = 2**31 - 1
LEFT, RIGHT = "window_left", "window_right"
# The query whose keys are looked at, and those that must show the same window; no model has positions so far out.
FAR = 2**18
OTHERS = (0, 1, 77, FAR // 3, FAR - 1)


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """The query at position i sees the keys from i - left to i + right, and no others."""

    left: int
    right: int

    @property
    def is_causal(self) -> bool:
        """Whether a query sees all of the past, and nothing else."""
        return (self.left, self.right) == (UNLIMITED, 0)

    def within(self, tokens: int) -> Window:
        """The same window for texts of at most so many tokens: without limits that they cannot reach."""
        return Window(*(UNLIMITED if side >= tokens - 1 else side for side in (self.left, self.right)))


EVERYTHING = Window(UNLIMITED, UNLIMITED)
CAUSAL = Window(UNLIMITED, 0)


def measured_window(mask_function: Any) -> Window | None:
    """The window of one of transformers' mask functions, or None where not the distance alone decides.

    The function is asked, in a thread of its own: what happens in this one may be traced.

    Args:
        mask_function: of the numbers of row, head, query and key; true where the query sees the key.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_measure, mask_function).result()


def _measure(mask_function: Callable[..., Any]) -> Window | None:
    import torch

    keys, zero = torch.arange(2 * FAR), torch.tensor(0)

    def seen(query: int) -> Any:
        return torch.as_tensor(mask_function(zero, zero, torch.tensor(query), keys)).expand(keys.shape)

    with contextlib.suppress(Exception):  # it reads the texts of the batch
        found = seen(FAR).nonzero()
        first, last = int(found[0]), int(found[-1])
        window = Window(UNLIMITED if first == 0 else FAR - first, UNLIMITED if last == 2 * FAR - 1 else last - FAR)
        if min(window.left, window.right) >= 0 and all(
            torch.equal(seen(query), (keys >= query - window.left) & (keys <= query + window.right))
            for query in (FAR, *OTHERS)
        ):
            return window
    return None


def window_attributes(window: Window) -> dict[str, int]:
    """A window as attributes of an attention node; none where everything is seen."""
    if window == EVERYTHING:
        return {}
    return {"unidirectional": 1} if window.is_causal else {LEFT: window.left, RIGHT: window.right}


def window_of(node: Any) -> Window:
    """The window that an attention node's attributes tell."""
    if attribute(node, "unidirectional", 0):
        return CAUSAL
    return Window(attribute(node, LEFT, UNLIMITED), attribute(node, RIGHT, UNLIMITED))


def set_window(node: Any, window: Window) -> None:
    """Give an attention node a window in place of its own."""
    kept = [given for given in node.attribute if given.name not in {LEFT, RIGHT, "unidirectional"}]
    del node.attribute[:]
    node.attribute.extend(kept)
    for name, value in window_attributes(window).items():
        set_attribute(node, name, value)
