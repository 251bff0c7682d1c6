"""What a run directory's results come from: a fingerprint of everything that decides them, and the plan of its shards.

The manifest is written before the first shard. A run that finds one of the same fingerprint resumes the earlier
one, by its plan; a run that finds another refuses and names what differs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from scorer.config import RunConfig, options_that_decide
from scorer.errors import DataError
from scorer.model.model_directory import ModelDirectory
from scorer.sources import LeftOut, Plan, Shard, Source, Span
from scorer.system.documents import parse, plain, written

FORMAT_VERSION = 2
# Differences that a message names.
MOST_NAMED = 5


class _Shard(msgspec.Struct, frozen=True, array_like=True):
    index: int
    first_row: int
    spans: tuple[Span, ...]


class _Plan(msgspec.Struct, frozen=True):
    shards: tuple[_Shard, ...]
    label_counts: tuple[tuple[str | None, int], ...]  # no object, for which a key must be a string
    left_out: tuple[LeftOut, ...]


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json."""

    format_version: int = FORMAT_VERSION
    fingerprint: Mapping[str, Any]
    plan: _Plan


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """A run's fingerprint and plan.

    Attributes:
        fingerprint: plain JSON values by name, to be compared; equal fingerprints give equal shards.
        plan: the shards.
    """

    fingerprint: Mapping[str, Any]
    plan: Plan

    def to_json(self) -> str:
        """manifest.json."""
        shards = tuple(_Shard(shard.index, shard.first_row, shard.spans) for shard in self.plan.shards)
        plan = _Plan(shards, tuple(self.plan.label_counts.items()), self.plan.left_out)
        return written(_Document(fingerprint=self.fingerprint, plan=plan)) + "\n"

    @classmethod
    def from_json(cls, document: str | bytes) -> Manifest:
        """Parse manifest.json.

        Raises:
            ValueError: the document is no manifest of this version; the message names the place.
        """
        read = parse(document, _Document, version=FORMAT_VERSION)
        shards = tuple(Shard(shard.index, shard.first_row, shard.spans) for shard in read.plan.shards)
        return cls(read.fingerprint, Plan(shards, dict(read.plan.label_counts), read.plan.left_out))


def fingerprint_of(
    config: RunConfig,
    model: ModelDirectory,
    source: Source,
    *,
    max_length: int,
    label_map: Mapping[str, Any] | None,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Everything that decides a run's shards.

    Raises:
        DataError: a file cannot be looked at.
    """
    options = {name: getattr(config, name) for name in options_that_decide("shards")}
    decisive_versions = {name: version for name, version in versions.items() if name not in {"python", "polars"}}
    fingerprint = {
        "model": dict(model.contract.files),
        "max_length": max_length,
        "label_map": label_map,
        "columns": source.columns,
        "versions": decisive_versions,
        **options,
        "data": [[table.name, table.identity()] for table in source.tables],
    }
    return dict(plain(fingerprint))  # as it will come back from the file


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two fingerprints differ in, in words; the first few."""
    found = []
    for name in now:
        if earlier.get(name) == now[name]:
            continue
        if name == "data":
            found += _data_differences(earlier.get(name) or [], now[name])
        elif name in {"columns", "versions"}:
            before: Mapping[str, Any] = earlier.get(name) or {}
            found += [
                f"{part} was {_shown(before.get(part))} and is {_shown(now[name].get(part))}"
                for part in {**before, **now[name]}
                if before.get(part) != now[name].get(part)
            ]
        elif name in {"model", "label_map"}:
            found.append("the model is another" if name == "model" else "the label map is another")
        else:
            option = f"--{name.replace('_', '-')}"
            found.append(f"{option} was {_shown(earlier.get(name))} and is {_shown(now[name])}")
    more = [f"{len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    return found[:MOST_NAMED] + more


def refuse_changed_data(fingerprint: Mapping[str, Any], source: Source) -> None:
    """Check that the data are what they were when the run began.

    Raises:
        DataError: a file was changed, or is gone.
    """
    now = plain([[table.name, table.identity()] for table in source.tables])
    if now != fingerprint["data"]:
        changed = _data_differences(fingerprint["data"], now)
        raise DataError(
            f"the data changed while they were scored ({'; '.join(changed[:MOST_NAMED])}). Leave them alone and start "
            "again with --overwrite."
        )


def _data_differences(earlier: Sequence[Sequence[Any]], now: Sequence[Sequence[Any]]) -> list[str]:
    before, after = ({name: identity for name, identity in files} for files in (earlier, now))  # noqa: C416
    found = [f"'{name}' is new" for name in after if name not in before]
    found += [f"'{name}' is not among the data any more" for name in before if name not in after]
    for name in after:
        if name in before and before[name] != after[name]:
            parts = [
                f"{part} {_shown(before[name].get(part))} then, {_shown(value)} now"
                for part, value in after[name].items()
                if before[name].get(part) != value
            ]
            found.append(f"'{name}' has changed ({', '.join(parts)})")
    return found or ["the files come in another order, or another number of times"]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "/".join(map(str, value))
    return "not given" if value is None else str(value)
