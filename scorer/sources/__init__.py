"""Where rows come from.

`open_source` turns the user's words (files, globs, folders, a hub id) into a `Source`: a list of tables with
known columns, planned into shards and read as record batches of one canonical schema. Each file format is one
module that yields its own columns as they are; `columns.py` gives them their roles.
"""

from scorer.sources.locate import open_source
from scorer.sources.planning import plan_source, remember_places
from scorer.sources.reading import read_shard, read_shards, without_unreadable
from scorer.sources.source import LeftOut, Plan, Shard, Source, Span, UnreadableError
from scorer.sources.storage.table import Table

__all__ = [
    "LeftOut",
    "Plan",
    "Shard",
    "Source",
    "Span",
    "Table",
    "UnreadableError",
    "open_source",
    "plan_source",
    "read_shard",
    "read_shards",
    "remember_places",
    "without_unreadable",
]
