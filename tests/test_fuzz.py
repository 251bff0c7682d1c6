"""Some of the inputs of scripts/fuzz_readers.py; the script tries twenty thousand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from fuzz_readers import fuzz

INPUTS = 1_500


@pytest.mark.parametrize("piece", range(5))
def test_inputs_end_in_rows_or_in_one_of_our_errors(piece: int, tmp_path: Path) -> None:
    seeds = range(1_000_000 + piece, 1_000_000 + INPUTS, 5)
    outcomes = Counter(fuzz(seed, tmp_path) for seed in seeds)
    assert outcomes.total() == len(seeds)
    assert not outcomes["an error without a message"]
    assert outcomes["rows"] > 20
    assert outcomes["DataError"] > 20
