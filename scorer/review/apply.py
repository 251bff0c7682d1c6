"""Corrections applied: the data set with its labels changed where people decided so, and nowhere else."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from scorer.config import Quoting, RunConfig
from scorer.errors import DataError, LabelError, OutputError, UsageError
from scorer.files import writing
from scorer.labels import LabelEncoder, resolve_labels
from scorer.listener import Listener, Silence
from scorer.prepare import read_label_map
from scorer.review.corrections import Corrections, read_corrections
from scorer.review.datasets_folder import Classes, import_datasets, write_folder
from scorer.review.decisions import Decision, OnConflict, merge
from scorer.review.edits import Edits, Value, refuse_taken_columns
from scorer.review.matching import Candidates, Match, spelled_labels
from scorer.review.rewrite import refuse_another_format, rewrite
from scorer.sources import Plan, Source, open_source, plan_source, read_shards
from scorer.sources.columnar import ArrowTable
from scorer.sources.hub import HubTable

SHARD_ROWS = 65_536
WINDOW_ROWS = 8_192


@dataclasses.dataclass(frozen=True, slots=True)
class ApplyConfig:
    """Corrections to apply.

    Attributes:
        corrections: corrections files.
        data: files, globs or folders to read, or one hub data set id.
        output: the file to write, or the folder where the data are several files or a data set of `datasets`.
        on_conflict: what to do where people disagree.
        drop: leave out rows that people want dropped; they stay otherwise.
        keep_original: add columns with the label as it was and as people decided.
        as_datasets: write a folder that `datasets` loads, whatever the data are.
        text_column: see RunConfig.
        text_pair_column: see RunConfig.
        label_column: see RunConfig.
        id_column: see RunConfig.
        config_name: see RunConfig.
        split: see RunConfig.
        revision: see RunConfig.
        delimiter: see RunConfig.
        quoting: see RunConfig.
        encoding: see RunConfig.
        label_map: see RunConfig.
        labels_by_index: see RunConfig.
    """

    corrections: tuple[Path, ...]
    data: tuple[str, ...]
    output: Path
    on_conflict: OnConflict = "majority"
    drop: bool = False
    keep_original: bool = False
    as_datasets: bool = False
    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    config_name: str | None = None
    split: str | None = None
    revision: str | None = None
    delimiter: str | None = None
    quoting: Quoting = "auto"
    encoding: str | None = None
    label_map: Path | None = None
    labels_by_index: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What applying corrections did.

    Attributes:
        output: what was written.
        label_names: the model's C class names, in its order.
        decisions: what people decided, row by row.
        matches: the decisions with the rows that they are about.
        rows: rows of the data.
        changed: rows whose label is another now, by given and corrected label.
        already: rows that had the right label before.
        dropped: rows that were left out.
    """

    output: Path
    label_names: tuple[str, ...]
    decisions: tuple[Decision, ...]
    matches: tuple[Match, ...]
    rows: int
    changed: Counter[tuple[str, str]]
    already: int
    dropped: int

    @property
    def refused(self) -> tuple[Match, ...]:
        """Decisions that changed nothing, each with the reason."""
        return tuple(match for match in self.matches if match.refused is not None)


def apply_corrections(config: ApplyConfig, listener: Listener | None = None) -> Applied:
    """Write the data set with the labels that people decided on.

    Args:
        config: which corrections, on which data, to where.
        listener: hears guesses and progress.

    Raises:
        ScorerError: one of its subclasses, with a message for a person. Nothing is written then.
    """
    listener = listener or Silence()
    corrections = read_corrections(config.corrections)
    if not corrections.answers:
        raise DataError(f"{', '.join(map(repr, map(str, config.corrections)))} holds no answers; nothing to apply.")
    decisions = merge(corrections.answers, config.on_conflict)
    source = open_source(_run_config(config), listener.info)
    form = _output_form(config, source)
    plan = plan_source(source, shard_rows=SHARD_ROWS, limit=None)
    label_names = _label_names(corrections, source)
    encoder = resolve_labels(
        plan.label_counts,
        label_names,
        class_names=source.class_names,
        label_map=None if config.label_map is None else read_label_map(config.label_map),
        by_index=config.labels_by_index,
    )
    candidates = Candidates(decisions, encoder, label_names, by_id=source.columns.id is not None)
    _look_through(source, plan, candidates, listener)
    matches = candidates.matches()
    outcome = _Outcome(matches, plan, encoder, label_names, drop=config.drop)
    edits = [_table_edits(config, source, plan, index, outcome) for index in range(len(source.tables))]
    if form == "datasets":
        classes = Classes(label_names, encoder, source.class_names, list(plan.label_counts))
        write_folder(source.tables, edits, classes, config.output)
    elif form == "file":
        rewrite(source.tables[0], config.output, edits[0])
    else:
        _rewrite_all(source, config.output, edits)
    return Applied(
        output=config.output,
        label_names=label_names,
        decisions=tuple(decisions),
        matches=tuple(matches),
        rows=plan.rows,
        changed=outcome.changed,
        already=outcome.already,
        dropped=len(outcome.dropped),
    )


def _run_config(config: ApplyConfig) -> RunConfig:
    """The data as a run would read it."""
    names = {field.name for field in dataclasses.fields(RunConfig)} - {"output"}
    shared = {
        field.name: getattr(config, field.name) for field in dataclasses.fields(ApplyConfig) if field.name in names
    }
    return RunConfig(model=Path(), output=config.output, **shared)


def _output_form(config: ApplyConfig, source: Source) -> Literal["datasets", "file", "folder"]:
    """What the output will be: the form in which the data came, unless another is asked for."""
    if config.output.exists():
        raise OutputError(f"'{config.output}' exists already. Give another --output.")
    if config.keep_original:
        for table in source.tables:
            refuse_taken_columns(table.schema().names, table.name)
    if config.as_datasets or any(map(_is_saved, source.tables)):
        import_datasets("writing a folder of `datasets`")
        return "datasets"
    if len(source.tables) == 1 and not Path(config.data[0]).is_dir():
        refuse_another_format(source.tables[0], config.output)
        return "file"
    names = [Path(table.name).name for table in source.tables]
    if len(set(names)) < len(names):
        raise UsageError("two of the data's files have the same name. Correct them apart, or use --as-datasets.")
    return "folder"


def _rewrite_all(source: Source, output: Path, edits: Sequence[Edits]) -> None:
    """Write several files into a folder, which appears when all are there."""
    temporary = output.with_name(f".{output.name}.tmp")
    try:
        with writing(output):
            temporary.mkdir(parents=True)
            for table, changes in zip(source.tables, edits, strict=True):
                rewrite(table, temporary / Path(table.name).name, changes)
            temporary.rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_saved(table: Any) -> bool:
    """Whether a table belongs to `datasets`: of the hub, or of a folder that it saved."""
    in_saved_folder = isinstance(table, ArrowTable) and Path(table.name).with_name("state.json").is_file()
    return in_saved_folder or isinstance(table, HubTable)


def _label_names(corrections: Corrections, source: Source) -> tuple[str, ...]:
    names = corrections.label_names or source.class_names
    if names is None:
        raise LabelError(
            "the corrections do not say in which order the model has its labels (they have no header), and the data "
            "does not name its labels either. Let the tool that reviewed write the file again."
        )
    spoken = {label for answer in corrections.answers for label in (answer.given_label, answer.label) if label}
    if unknown := sorted(spoken - set(names)):
        raise LabelError(f"the corrections speak of '{unknown[0]}', which the data does not name: {', '.join(names)}.")
    return tuple(names)


def _look_through(source: Source, plan: Plan, candidates: Candidates, listener: Listener) -> None:
    listener.started(plan.rows)
    try:
        for _, batch in read_shards(source, plan.shards, WINDOW_ROWS):
            candidates.add(batch)
            listener.advanced(batch.num_rows, 0)
    finally:
        listener.finished()


class _Outcome:
    """What the matches come to, row by row of the whole data."""

    def __init__(
        self,
        matches: Sequence[Match],
        plan: Plan,
        encoder: LabelEncoder,
        label_names: Sequence[str],
        *,
        drop: bool,
    ) -> None:
        spelled = spelled_labels(encoder, plan.label_counts, label_names)
        self.labels: dict[int, Value] = {}
        self.dropped: set[int] = set()
        self.changed: Counter[tuple[str, str]] = Counter()
        self.already = 0
        for match in matches:
            if match.refused is not None:
                continue
            decision = match.decision
            for row in match.rows:
                if decision.verdict == "drop" and drop:
                    self.dropped.add(row.row)
                if decision.label is None or row.label is None:
                    continue
                index = label_names.index(decision.label)
                if index not in spelled:
                    raise LabelError(
                        f"people gave rows the label '{decision.label}', which the data cannot express: none of its "
                        "names stands for it. Add it to the data's own names (ClassLabel) or to --label-map."
                    )
                self.labels[row.row] = spelled[index]
                if row.label != decision.label:
                    self.changed[row.label, decision.label] += 1
                elif decision.verdict == "relabel":
                    self.already += 1


def _table_edits(config: ApplyConfig, source: Source, plan: Plan, index: int, outcome: _Outcome) -> Edits:
    """The changes to one table, whose rows count from 0."""
    shards = [shard for shard in plan.shards if shard.table == index]
    first = shards[0].first_row if shards else 0
    rows = sum(shard.rows for shard in shards)
    return Edits(
        table=source.tables[index].name,
        rows=rows,
        column=source.columns.label,
        labels={row - first: value for row, value in outcome.labels.items() if first <= row < first + rows},
        dropped=frozenset(row - first for row in outcome.dropped if first <= row < first + rows),
        keep_original=config.keep_original,
    )
