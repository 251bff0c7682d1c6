"""Everything that a run opens and checks before it writes its first byte: bad set-up fails here, in seconds."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from scorer.config import LENGTH_MULTIPLE, RunConfig
from scorer.errors import DataError, NothingScoredError, UsageError
from scorer.labels import UNKNOWN, UNKNOWN_SHARE, LabelEncoder, shown
from scorer.labels.label_map import Target, read_label_map
from scorer.labels.proposal import propose_map, told, write_map
from scorer.labels.settled_labels import settle_labels
from scorer.listener import Listener, Silence
from scorer.model.classifier import OnnxClassifier
from scorer.model.model_directory import CONTRACT_FILE, ModelContract, ModelDirectory, open_model_directory
from scorer.model.session import import_onnxruntime, installed_onnxruntime
from scorer.model.tokenization import TextEncoder
from scorer.model.tuning import choose_setting, decisive, setting_of
from scorer.pipeline.distinct import most_texts
from scorer.pipeline.stages import Clock, Stages
from scorer.results.manifest import Manifest, fingerprint_of
from scorer.results.run_directory import RunDirectory
from scorer.results.run_report import versions
from scorer.sources import Plan, Source, open_source, plan_source, remember_places
from scorer.system.files import refuse_undecodable
from scorer.system.machine import allowed_threads


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """A run that is ready to score; nothing is written yet.

    Attributes:
        config: what was asked for.
        directory: where results will go.
        model: the model directory.
        manifest: what decides the results, and the shards and label counts of the data.
        stages: the pipeline's parts.
        classifier: the session, also in `stages`.
        threads: threads that compute.
        max_length: tokens kept of a text.
        warnings: what the listener was warned of so far.
    """

    config: RunConfig
    directory: RunDirectory
    model: ModelDirectory
    manifest: Manifest
    stages: Stages
    classifier: OnnxClassifier
    threads: int
    max_length: int
    warnings: tuple[str, ...]

    @property
    def plan(self) -> Plan:
        """Shards and label counts of the data."""
        return self.manifest.plan


def prepare(config: RunConfig, listener: Listener | None = None) -> Job:
    """Open and check everything that a run needs, before it writes its first byte.

    Raises:
        ScorerError: one of its subclasses, as `score` does.
    """
    listener = listener or Silence()
    for option, path in (("MODEL_DIR", config.model), ("--output", config.output), ("--label-map", config.label_map)):
        refuse_undecodable(option, path)
    _refuse_swapped(config)
    directory = RunDirectory(config.output)
    earlier = directory.earlier_run(overwrite=config.overwrite)
    import_onnxruntime()
    clock = Clock()
    with clock.stage("prepare"):
        model = open_model_directory(config.model)
        max_length = _max_length(config, model.contract)
        threads = config.threads or allowed_threads()
        encoder = TextEncoder(
            model.tokenizer_file,
            max_length,
            model.contract.truncation_side,
            threads,
            segments=model.contract.segments,
        )
    with clock.stage("plan"):
        source = open_source(config, listener.info, model.contract.label_names)
        if source.columns.text_pair is not None:
            _refuse_unproved_pairs(source.columns.text_pair, model.contract)
        encoder.check_room(pairs=source.columns.text_pair is not None)
        label_map = read_label_map(config.label_map) if config.label_map is not None else None
        fingerprint = fingerprint_of(
            config,
            model,
            source,
            max_length=max_length,
            label_map=label_map,
            versions=versions(installed_onnxruntime()),
        )
        directory.refuse_another_run(earlier, fingerprint)
        plan = earlier.plan if earlier else _plan(config, source)
        remember_places(source, plan)
        if plan.left_out and not config.skip_bad_files:
            raise DataError(plan.left_out[0].reason)
        labels = _settle_labels(config, source, plan, model.contract, label_map)
        listener.info(f"Labels: {labels.description}.")
        warnings = (*labels.warnings, *_warn_of_unknown_labels(plan, labels, model.contract.label_names))
        for warning in warnings:
            listener.warning(warning)
    with clock.stage("session"):
        classifier = open_classifier(config, model)
        device = classifier.device
        setting = None if earlier is None else setting_of(earlier.fingerprint, device, threads)
        setting = setting or choose_setting(model, device, threads, max_batch_tokens=config.max_batch_tokens)
        if setting.session_threads > 1:
            classifier.close()
            classifier = open_classifier(config, model, threads=setting.session_threads)
    fingerprint |= {"device": classifier.provider, **decisive(setting)}
    directory.refuse_another_run(earlier, fingerprint)
    stages = Stages(
        source=source,
        labels=labels,
        encoder=encoder,
        classifier=classifier,
        precision=model.contract.precision,
        exact=None
        if model.exact_file is None
        else partial(open_classifier, config, model, exact=True, threads=setting.session_threads),
        length_multiple=LENGTH_MULTIPLE[device] if max_length % LENGTH_MULTIPLE[device] == 0 else 1,
        max_batch_tokens=setting.max_batch_tokens,
        pad_token_id=model.contract.pad_token_id,
        window_rows=min(config.window_rows, most_texts(len(model.contract.label_names))),
        streams=setting.streams,
        clock=clock,
        progress=listener.advanced,
    )
    manifest = Manifest(fingerprint, plan)
    return Job(config, directory, model, manifest, stages, classifier, threads, max_length, warnings)


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


def open_classifier(
    config: RunConfig, model: ModelDirectory, *, exact: bool = False, threads: int = 1
) -> OnnxClassifier:
    """The model's session, or that of the fp32 graph beside it.

    Raises:
        ProviderError: the provider asked for did not start.
        ModelError: the graph cannot be loaded.
    """
    file = model.exact_file if exact else None
    return OnnxClassifier(
        file or model.model_file,
        model.contract.label_names,
        config.provider,
        threads=threads,
        options=dict(config.provider_options),
        equal_lengths=model.contract.equal_lengths,
    )


def _plan(config: RunConfig, source: Source) -> Plan:
    """The shards that this run is to score."""
    return plan_source(
        source,
        shard_rows=config.shard_rows,
        joined_rows=config.window_rows,
        limit=config.limit,
        skip_bad_files=config.skip_bad_files,
    ).part(config.part)


def _refuse_swapped(config: RunConfig) -> None:
    """The model directory is the first argument, the data follow."""
    models = [item for item in config.data if os.path.isfile(os.path.join(item, CONTRACT_FILE))]  # noqa: PTH113, PTH118
    if models and not (config.model / CONTRACT_FILE).is_file():
        rest = [str(config.model), *(item for item in config.data if item != models[0])]
        raise UsageError(
            f"'{models[0]}' is a model directory, and '{config.model}' is none. The model comes first, then the data: "
            f"scorer run {shlex.join([models[0], *rest])}"
        )


def _max_length(config: RunConfig, contract: ModelContract) -> int:
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
