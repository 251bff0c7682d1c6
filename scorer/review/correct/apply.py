"""Corrections applied: the data set with its labels changed where people decided so, and nowhere else."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from scorer.config import DataConfig
from scorer.errors import DataError, LabelError, UsageError
from scorer.labels import LabelEncoder
from scorer.labels.label_map import read_label_map
from scorer.labels.proposal import propose_map, told, write_map
from scorer.labels.settled_labels import settle_labels
from scorer.listener import Listener, Silence
from scorer.review.answers.corrections import Corrections, read_corrections
from scorer.review.answers.decisions import Decision, OnConflict, merge
from scorer.review.answers.matching import Candidates, Match
from scorer.review.correct.datasets_folder import Classes, import_datasets, write_folder
from scorer.review.correct.outputs import Form, output_form, places, rewrite
from scorer.review.correct.spelling import Spelling
from scorer.sources import Source, open_source, plan_source, read_shards
from scorer.sources.storage.edits import Edits, refuse_taken_columns
from scorer.system.files import making_folder, remove_leftovers, writing

SHARD_ROWS = 65_536
WINDOW_ROWS = 8_192


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApplyConfig(DataConfig):
    """Corrections to apply to data, which are read as a run reads them.

    Attributes:
        corrections: corrections files.
        output: the file to write, or the folder where the data are several files or a data set of `datasets`.
        on_conflict: what to do where people disagree.
        drop: leave out rows that people want dropped; they stay otherwise.
        keep_original: add columns with the label as it was and as people decided.
        as_datasets: write a folder that `datasets` loads, whatever the data are.
    """

    corrections: tuple[Path, ...]
    output: Path
    on_conflict: OnConflict = "majority"
    drop: bool = False
    keep_original: bool = False
    as_datasets: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without reading a file.

        Raises:
            UsageError: two values contradict each other, or files would be left out of the corrected data.
        """
        super().__post_init__()
        if self.skip_bad_files:
            raise UsageError("what cannot be read cannot be written anew; leave skip_bad_files out.")


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
    def alike(self) -> tuple[Match, ...]:
        """Decisions that stand for several rows which nothing tells apart."""
        return tuple(match for match in self.matches if match.refused is None and len(match.rows) > 1)

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
    source = open_source(config, listener.info, corrections.label_names or ())
    form = output_form(config.data, source.tables, config.output, as_datasets=config.as_datasets)
    if form == "datasets":
        import_datasets("writing a folder of `datasets`")
    elif form == "folder":
        places(config.data, source.tables)
    if config.keep_original:
        for table in source.tables:
            refuse_taken_columns(table.schema().names, table.name)
    plan = plan_source(source, shard_rows=SHARD_ROWS, limit=None)
    label_names = _label_names(corrections, source)
    label_map = None if config.label_map is None else read_label_map(config.label_map)
    encoder = settle_labels(source, plan, label_names, label_map=label_map, by_index=config.labels_by_index)
    for warning in encoder.warnings:
        listener.warning(warning)
    candidates = Candidates(decisions, by_id=source.columns.id is not None)
    spelling = Spelling(encoder, plan.label_counts)
    listener.started(plan.rows)
    try:
        for _, batch in read_shards(source, plan.shards, WINDOW_ROWS):
            _add(candidates, batch, encoder, label_names)
            spelling.add(batch)
            listener.advanced(batch.num_rows, 0)
    finally:
        listener.finished()
    matches = candidates.matches()
    rows = plan.table_rows()
    files = {source.tables[index].name: found for index, found in rows.items()}
    outcome = _Outcome(matches, files, spelling, label_names, drop=config.drop)
    edits = [
        _table_edits(config, source, rows.get(index, range(0)), index, outcome) for index in range(len(source.tables))
    ]
    classes = Classes(label_names, encoder, source.class_names, list(plan.label_counts))
    _write(form, config, source, edits, classes)
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


def write_label_map(config: ApplyConfig, file: Path, listener: Listener | None = None) -> str:
    """Write a label map to edit, as `scorer.run.setup.prepare.write_label_map` does for a run; apply nothing.

    Returns:
        What to do next, for a person.
    """
    corrections = read_corrections(config.corrections)
    source = open_source(config, (listener or Silence()).info, corrections.label_names or ())
    plan = plan_source(source, shard_rows=SHARD_ROWS, limit=None)
    proposal = propose_map(plan.label_counts, _label_names(corrections, source), source.class_names)
    write_map(proposal, file)
    return told(proposal, file)


def _write(form: Form, config: ApplyConfig, source: Source, edits: Sequence[Edits], classes: Classes) -> None:
    """Write the output in its form, whole or not at all."""
    remove_leftovers(config.output)
    if form == "datasets":
        write_folder(source.tables, edits, classes, config.output)
    elif form == "file":
        rewrite(source.tables[0], config.output, edits[0])
    else:
        files = places(config.data, source.tables)
        with writing(config.output), making_folder(config.output) as folder:
            for table, file, changes in zip(source.tables, files, edits, strict=True):
                rewrite(table, folder / file, changes)


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


def _add(candidates: Candidates, batch: pa.RecordBatch, encoder: LabelEncoder, label_names: Sequence[str]) -> None:
    """Show rows in the source schema to the candidates."""
    written = batch.column("label")
    candidates.add(
        batch.column("row").to_pylist(),
        ids=batch.column("id").to_pylist(),
        texts=batch.column("text").to_pylist(),
        pairs=batch.column("text_pair").to_pylist() if "text_pair" in batch.schema.names else None,
        labels=[label_names[index] if index >= 0 else None for index in encoder.encode(written).tolist()],
        written=written.to_pylist(),
    )


class _Outcome:
    """What the matches come to, row by row of the whole data."""

    def __init__(
        self,
        matches: Sequence[Match],
        files: Mapping[str, range],
        spelling: Spelling,
        label_names: Sequence[str],
        *,
        drop: bool,
    ) -> None:
        self.labels: dict[int, str] = {}
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
                if decision.label is None or row.label is None or row.written is None:
                    continue
                if row.label == decision.label:
                    self.labels[row.row] = row.written
                    self.already += decision.verdict == "relabel"
                    continue
                file = next(name for name, rows in files.items() if row.row in rows)
                spelled, index = spelling.of(file), label_names.index(decision.label)
                if index not in spelled:
                    raise LabelError(
                        f"people gave rows the label '{decision.label}', which the data cannot express: none of its "
                        "names stands for it. Add it to the data's own names (ClassLabel) or to --label-map."
                    )
                self.labels[row.row] = spelled[index]
                self.changed[row.label, decision.label] += 1


def _table_edits(config: ApplyConfig, source: Source, rows: range, index: int, outcome: _Outcome) -> Edits:
    """The changes to one table, whose rows count from 0; `rows` are its rows in the whole data."""
    return Edits(
        table=source.tables[index].name,
        rows=len(rows),
        column=source.columns.label,
        labels={row - rows.start: value for row, value in outcome.labels.items() if row in rows},
        dropped=frozenset(row - rows.start for row in outcome.dropped if row in rows),
        keep_original=config.keep_original,
    )
