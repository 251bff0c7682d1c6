"""A few of the kills of scripts/kill_soak.py; the script does two hundred."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kill_soak import SIGNS, Soak

KILLS = 8


@pytest.fixture(scope="module")
def soak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soak]:
    return Soak(tmp_path_factory.mktemp("soak"), 1, print)


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_goes_on_and_equals_an_undisturbed_one(number: int, soak: Soak) -> None:
    soak.kill(number, KILLS)


@pytest.mark.parametrize("sign", [SIGNS[6], SIGNS[7], SIGNS[8]])
def test_a_run_killed_while_it_ranks_goes_on(sign: str, soak: Soak) -> None:
    soak.kill(2 * SIGNS.index(sign) + 1, 10_000)
