"""What a run is asked to do: frozen values, their defaults and their validation. Nothing here reads a file."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Literal, get_args

from scorer.errors import UsageError

Provider = Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]
RankedBy = Literal["loss", "self_confidence", "normalized_margin", "entropy"]
Quoting = Literal["auto", "double", "backslash", "none"]

PROVIDERS: tuple[str, ...] = get_args(Provider)
RANKED_BY: tuple[str, ...] = get_args(RankedBy)
QUOTINGS: tuple[str, ...] = get_args(Quoting)
# Delimiters that are hard to type.
NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t"}

# What `scorer report` writes beside a ranking, where no other name is given.
PAGE_FILE = "report.html"
# Rows tokenized and length-sorted together. More rows waste less padding and take more memory;
# at 8,192 news texts under the default budget, 99 of 100 padded tokens are real ones.
WINDOW_ROWS = 8_192
# Rows of one score shard, a multiple of the window.
SHARD_ROWS = 8 * WINDOW_ROWS
# Padded tokens per batch; a text that is longer is a batch of its own. A CPU's caches favour small batches (on two
# cores 512 scored news a quarter faster than 4,096), a GPU wants large ones.
DEFAULT_BATCH_TOKENS = {"cpu": 512, "openvino": 512, "cuda": 65_536, "tensorrt": 65_536}
# A GPU computes lengths of a multiple of eight at full speed, and is spared a shape for every length.
LENGTH_MULTIPLE = {"cpu": 1, "openvino": 1, "cuda": 8, "tensorrt": 8}
# The head that is exact with a model of less precision than fp32: this share of the rows, and at least so many.
EXACT_SHARE = 0.01
EXACT_ROWS = 500
# Longest text kept by default, in tokens, where the model could take more.
DEFAULT_MAX_LENGTH = 512
# Rows of the head that the summary shows.
SUMMARY_ROWS = 10
# What an option decides; each says so of itself, in its metadata.
# - shards: what shards hold, and the value stands in a run's fingerprint
# - found: what shards hold, by what it leads to, which stands in the fingerprint instead: files, columns, tokens kept
# - ranking: what is made of the shards; a finished run is ranked again when it changes
# - nothing: how fast results come, and where they go
Decides = Literal["shards", "found", "ranking", "nothing"]
_SHARDS, _FOUND, _RANKING, _NOTHING = ({"decides": each} for each in get_args(Decides))


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which rows, and how they and their labels are read.

    Attributes:
        data: files, globs or folders to read, or one hub data set id.
        text_column: column of the text; None guesses and says so.
        text_pair_column: column of a pair's second text, or None.
        label_column: column of the given label; None guesses and says so.
        id_column: column of the stable row id; None takes `id` where there is one, else the row number. "none" takes
            the row number, unless a column is called so.
        config_name: configuration of a hub data set.
        split: split of a hub data set, of a saved `DatasetDict`, or of a folder whose files' names tell of splits.
        revision: revision of a hub data set.
        delimiter: character between the fields of CSV and TSV, or "tab"; None finds it out and says what is unusual.
        quoting: how quotes stand in CSV and TSV: "double" (a quote within a quoted field is doubled), "backslash" (it
            stands behind one), "none" (quotes are text), or "auto".
        encoding: codec of CSV, TSV and JSON, as Python names it; None takes UTF-8, and UTF-16 where it shows.
        label_map: JSON file that maps each label of the data to a label of the model, or to null (reject).
        labels_by_index: take the data's labels as class indices, whatever their names.
        skip_bad_files: leave out what cannot be read and go on, instead of stopping there.
    """

    data: tuple[str, ...] = dataclasses.field(metadata=_FOUND)
    _: dataclasses.KW_ONLY
    text_column: str | None = dataclasses.field(default=None, metadata=_FOUND)
    text_pair_column: str | None = dataclasses.field(default=None, metadata=_FOUND)
    label_column: str | None = dataclasses.field(default=None, metadata=_FOUND)
    id_column: str | None = dataclasses.field(default=None, metadata=_FOUND)
    config_name: str | None = dataclasses.field(default=None, metadata=_FOUND)
    split: str | None = dataclasses.field(default=None, metadata=_FOUND)
    revision: str | None = dataclasses.field(default=None, metadata=_FOUND)
    delimiter: str | None = dataclasses.field(default=None, metadata=_SHARDS)
    quoting: Quoting = dataclasses.field(default="auto", metadata=_SHARDS)
    encoding: str | None = dataclasses.field(default=None, metadata=_SHARDS)
    label_map: Path | None = dataclasses.field(default=None, metadata=_FOUND)
    labels_by_index: bool = dataclasses.field(default=False, metadata=_SHARDS)
    skip_bad_files: bool = dataclasses.field(default=False, metadata=_RANKING)

    def __post_init__(self) -> None:
        """Check what can be checked without reading a file.

        Raises:
            UsageError: a value is out of range or two values contradict each other.
        """
        if not self.data:
            raise UsageError("no data given. Name one or more files, globs or folders, or a hub data set id.")
        self._check_text_options()
        if self.label_map is not None and self.labels_by_index:
            raise UsageError("--label-map and --labels-by-index contradict each other; give one of them.")
        if self.text_pair_column is not None and self.text_column is None:
            raise UsageError("--text-pair-column needs --text-column, so that both texts are named.")
        columns = [self.text_column, self.text_pair_column, self.label_column]
        named = [column for column in columns if column is not None]
        if len(set(named)) < len(named):
            raise UsageError(f"one column is given two roles: {', '.join(named)}.")

    def _check_text_options(self) -> None:
        mark = self.delimiter
        if mark is not None and mark not in NAMED_DELIMITERS and (len(mark) != 1 or mark in '"\\\r\n'):
            raise UsageError(
                f"--delimiter is {mark!r}; it must be one character that is no quote, backslash or line break, such as "
                "';' or '|', or tab."
            )
        if self.quoting not in QUOTINGS:
            raise UsageError(f"--quoting is '{self.quoting}'; it must be one of {', '.join(QUOTINGS)}.")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except (LookupError, ValueError) as error:
                raise UsageError(
                    f"--encoding is '{self.encoding}', which Python has no text encoding for. Give one such as utf-8, "
                    "utf-16, cp1252, latin-1, shift_jis or gb18030."
                ) from error


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which model, and where it runs.

    Attributes:
        model: model directory written by `scorer export-onnx`.
        max_length: tokens kept of each text, special tokens included; None takes the model directory's.
        provider: execution provider; "auto" takes CUDA where it starts, else the CPU.
        provider_options: (name, value) pairs for the execution provider, as ONNX Runtime documents them.
        rescore_top: with a model of less precision than fp32, the head of the ranking that is scored again in fp32,
            far enough down that by the errors measured no row is missing from it: "auto" (1% of the rows, at least
            500), a share such as "2%", a number of rows, or "0" for none.
        allow_low_fidelity: score with a model of less precision even where it does not keep fp32's ranking.
        threads: threads that compute, each a batch of its own; None takes all that affinity and cgroup allow.
    """

    model: Path = dataclasses.field(metadata=_FOUND)
    _: dataclasses.KW_ONLY
    max_length: int | None = dataclasses.field(default=None, metadata=_FOUND)
    provider: Provider = dataclasses.field(default="auto", metadata=_SHARDS)
    provider_options: tuple[tuple[str, str], ...] = dataclasses.field(default=(), metadata=_SHARDS)
    rescore_top: str = dataclasses.field(default="auto", metadata=_RANKING)
    allow_low_fidelity: bool = dataclasses.field(default=False, metadata=_NOTHING)
    threads: int | None = dataclasses.field(default=None, metadata=_NOTHING)

    def __post_init__(self) -> None:
        """Check what can be checked without reading a file.

        Raises:
            UsageError: a value is out of range or two values contradict each other.
        """
        _refuse_below_one(max_length=self.max_length, threads=self.threads)
        if self.provider not in PROVIDERS:
            raise UsageError(f"--provider is '{self.provider}'; it must be one of {', '.join(PROVIDERS)}.")
        if self.provider_options and self.provider in {"auto", "cpu"}:
            raise UsageError(
                f"--provider-option {'='.join(self.provider_options[0])} needs a provider that has options: give "
                "--provider cuda, tensorrt or openvino."
            )
        self.exact_rows(0)

    def exact_rows(self, rows: int) -> int:
        """Rows of the ranking's head that `rescore_top` asks to be exact, among so many.

        Raises:
            UsageError: `rescore_top` is neither "auto", a share nor a number.
        """
        wanted = self.rescore_top
        if wanted == "auto":
            return min(rows, max(EXACT_ROWS, math.ceil(EXACT_SHARE * rows)))
        if match := re.fullmatch(r"(\d+(?:\.\d+)?)%", wanted):
            share = float(match[1]) / 100
            if share <= 1:
                return math.ceil(share * rows)
        if re.fullmatch(r"\d+", wanted):
            return min(rows, int(wanted))
        raise UsageError(
            f"--rescore-top is '{wanted}'; it must be auto, a share such as 2% (at most 100%), a number of rows, or 0 "
            "for none."
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How many rows and tokens pass through at a time.

    Attributes:
        max_batch_tokens: cap on padded tokens per batch (rows x longest), but for a text that is longer; None takes
            what `scorer tune` found, or the provider's default.
        window_rows: rows tokenized and sorted together.
        shard_rows: rows of one score shard.
    """

    max_batch_tokens: int | None = dataclasses.field(default=None, metadata=_SHARDS)
    window_rows: int = dataclasses.field(default=WINDOW_ROWS, metadata=_SHARDS)
    shard_rows: int = dataclasses.field(default=SHARD_ROWS, metadata=_SHARDS)

    def __post_init__(self) -> None:
        """Check what can be checked without reading a file.

        Raises:
            UsageError: a value is out of range.
        """
        _refuse_below_one(
            max_batch_tokens=self.max_batch_tokens, window_rows=self.window_rows, shard_rows=self.shard_rows
        )


@dataclasses.dataclass(frozen=True)
class RunConfig(BatchConfig, DataConfig, ModelConfig):
    """One scoring run: its data, its model, its batches, and what is made of them.

    Attributes:
        output: directory that receives the results.
        limit: score only the first this many rows.
        part: (I, N) scores the I-th of N parts of the data, from 1; None scores all.
        workers: processes that score shards side by side.
        overwrite: replace an earlier run's results in `output`.
        keep_text: write texts into the scores and the ranking.
        ranked_top: rank only this many of the most suspect rows; None ranks all.
        top_k_probabilities: keep only the K highest of a row's probabilities; None keeps all.
    """

    output: Path = dataclasses.field(metadata=_NOTHING)
    _: dataclasses.KW_ONLY
    limit: int | None = dataclasses.field(default=None, metadata=_SHARDS)
    part: tuple[int, int] | None = dataclasses.field(default=None, metadata=_SHARDS)
    workers: int = dataclasses.field(default=1, metadata=_NOTHING)
    overwrite: bool = dataclasses.field(default=False, metadata=_NOTHING)
    keep_text: bool = dataclasses.field(default=True, metadata=_SHARDS)
    ranked_top: int | None = dataclasses.field(default=None, metadata=_RANKING)
    top_k_probabilities: int | None = dataclasses.field(default=None, metadata=_SHARDS)

    def __post_init__(self) -> None:
        """Check what can be checked without reading a file.

        Raises:
            UsageError: a value is out of range or two values contradict each other.
        """
        DataConfig.__post_init__(self)
        ModelConfig.__post_init__(self)
        BatchConfig.__post_init__(self)
        _refuse_below_one(
            limit=self.limit,
            workers=self.workers,
            ranked_top=self.ranked_top,
            top_k_probabilities=self.top_k_probabilities,
        )
        if self.part is not None and not 1 <= self.part[0] <= self.part[1]:
            raise UsageError(f"--part is {self.part[0]}/{self.part[1]}; it must be I/N with I from 1 to N.")


def options_that_decide(what: Decides) -> tuple[str, ...]:
    """Names of a run's options that decide this."""
    return tuple(field.name for field in dataclasses.fields(RunConfig) if field.metadata["decides"] == what)


def _refuse_below_one(**counts: int | None) -> None:
    for name, value in counts.items():
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be at least 1.")
