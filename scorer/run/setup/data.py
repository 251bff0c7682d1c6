"""Second step of a run's preparation: the data, cut into shards, and how their labels are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scorer.config import RunConfig
from scorer.errors import DataError, NothingScoredError, UsageError
from scorer.labels import UNKNOWN, UNKNOWN_SHARE, LabelEncoder, shown
from scorer.labels.label_map import Target, read_label_map
from scorer.labels.proposal import propose_map, told, write_map
from scorer.labels.settled_labels import settle_labels
from scorer.listener import Listener, Silence
from scorer.model.model_directory import ModelContract, open_model_directory
from scorer.model.session import installed_onnxruntime
from scorer.results.manifest import Manifest, fingerprint_of
from scorer.results.run_directory import RunDirectory
from scorer.results.run_report import versions
from scorer.run.setup.model import OpenModel
from scorer.sources import Plan, Source, open_source, plan_source, remember_places
from scorer.tasks.single_label import SingleLabel


@dataclasses.dataclass(frozen=True, slots=True)
class OpenData:
    """Data that are ready to be read.

    Attributes:
        source: the tables, with their columns.
        plan: the shards, and how often each label occurs.
        task: how labels are read, and what a row's loss is.
        fingerprint: what of model, data and options decides the results.
        warnings: what may make the result worthless.
    """

    source: Source
    plan: Plan
    task: SingleLabel
    fingerprint: dict[str, Any]
    warnings: tuple[str, ...]


def open_data(
    config: RunConfig, model: OpenModel, directory: RunDirectory, earlier: Manifest | None, listener: Listener
) -> OpenData:
    """Open the data, cut them into shards, and settle their labels.

    Args:
        config: what is asked for.
        model: the model, opened.
        directory: where results will go.
        earlier: manifest of the run that is resumed, or None.
        listener: hears of guesses and warnings.

    Raises:
        ScorerError: the data cannot be read, are those of another run, or hold no label that the model knows.
    """
    contract = model.contract
    source = open_source(config, listener.info, contract.label_names)
    if source.columns.text_pair is not None:
        _refuse_unproved_pairs(source.columns.text_pair, contract)
    model.encoder.check_room(pairs=source.columns.text_pair is not None)
    label_map = read_label_map(config.label_map) if config.label_map is not None else None
    fingerprint = fingerprint_of(
        config,
        model.directory,
        source,
        max_length=model.max_length,
        label_map=label_map,
        versions=versions(installed_onnxruntime()),
    )
    directory.refuse_another_run(earlier, fingerprint)
    plan = earlier.plan if earlier else _plan(config, source)
    remember_places(source, plan)
    if plan.left_out and not config.skip_bad_files:
        raise DataError(plan.left_out[0].reason)
    labels = _settle_labels(config, source, plan, contract, label_map)
    listener.info(f"Labels: {labels.description}.")
    warnings = (*labels.warnings, *_warn_of_unknown_labels(plan, labels, contract.label_names))
    for warning in warnings:
        listener.warning(warning)
    task = SingleLabel(labels, contract.label_names, config.top_k_probabilities)
    return OpenData(source, plan, task, fingerprint, warnings)


def write_label_map(config: RunConfig, file: Path, listener: Listener | None = None) -> str:
    """Write a label map to edit, from the labels of the data to the model's, with the best guess; score nothing.

    Returns:
        What to do next, for a person.

    Raises:
        ScorerError: the model or the data cannot be read, the file is there already or cannot be written.
    """
    if config.label_map is not None or config.labels_by_index:
        raise UsageError("--write-label-map writes a label map; leave out --label-map and --labels-by-index.")
    listener = listener or Silence()
    label_names = open_model_directory(config.model).contract.label_names
    source = open_source(config, listener.info, label_names)
    proposal = propose_map(_plan(config, source).label_counts, label_names, source.class_names)
    write_map(proposal, file)
    return told(proposal, file)


def _plan(config: RunConfig, source: Source) -> Plan:
    """The shards that this run is to score."""
    return plan_source(
        source,
        shard_rows=config.shard_rows,
        joined_rows=config.window_rows,
        limit=config.limit,
        skip_bad_files=config.skip_bad_files,
    ).part(config.part)


def _refuse_unproved_pairs(column: str, contract: ModelContract) -> None:
    if contract.pairs is None:
        reason = str(contract.no_pairs).rstrip(". ")
        raise UsageError(
            f"this model cannot score pairs of texts (the second text would be column '{column}'): its export did not "
            f"prove them ({reason}). Give a model for pairs, or score single texts: --text-column without "
            "--text-pair-column."
        )


def _settle_labels(
    config: RunConfig,
    source: Source,
    plan: Plan,
    contract: ModelContract,
    label_map: Mapping[str, Target] | None,
) -> LabelEncoder:
    """How the data's labels are read; refuses data of which no label can be."""
    labels = settle_labels(source, plan, contract.label_names, label_map=label_map, by_index=config.labels_by_index)
    usable = sum(rows for value, rows in plan.label_counts.items() if labels.encode_value(value) >= 0)
    if not usable:
        values = ", ".join("no value" if value is None else shown(value) for value in list(plan.label_counts)[:10])
        raise NothingScoredError(
            f"none of the {plan.rows:,} rows of {source.kind} has a label that the model knows: column "
            f"'{source.columns.label}' holds {values}. Name another column with --label-column, or translate with "
            "--label-map FILE."
        )
    return labels


def _warn_of_unknown_labels(plan: Plan, labels: LabelEncoder, label_names: Sequence[str]) -> tuple[str, ...]:
    """A warning where so many labels are none of the model's classes that the set-up may be at fault."""
    unknown = {value: rows for value, rows in plan.label_counts.items() if labels.encode_value(value) == UNKNOWN}
    rows = sum(plan.label_counts.values())
    if sum(unknown.values()) <= UNKNOWN_SHARE * rows:
        return ()
    values = ", ".join(shown(value) for value in list(unknown)[:10] if value is not None)
    more = ", …" if len(unknown) > 10 else ""
    return (
        f"{sum(unknown.values()):,} of {rows:,} rows have a label outside the model's {len(label_names)} classes "
        f"({values}{more}) and will be rejected. Is this the model for these labels?",
    )
