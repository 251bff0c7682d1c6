"""Where a container lies, a folder or a repository of the hub, and what it gives once it is opened.

Imports `transformers`, and only to find a file.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.files import cannot_read, check_folder
from scorer.export.checkpoint.weights import brief
from scorer.export.containers.one_logit import OneLogit

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclasses.dataclass(frozen=True, slots=True)
class Wishes:
    """What a person says of a container, beyond where it lies.

    Attributes:
        trust_remote_code: let its own Python code run.
        tokenizer: hub id or folder of its tokenizer, where that lies elsewhere.
        base: hub id or folder of an adapter's base model, where the adapter's own record does not find it.
        one_logit: what a head of one logit is.
    """

    trust_remote_code: bool = False
    tokenizer: str | None = None
    base: str | None = None
    one_logit: OneLogit | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A folder, or a repository of the hub at a revision.

    Attributes:
        location: hub id or folder, as the libraries load from it.
        hub: whether it is a hub id.
        revision: branch, tag or commit of the hub, or None.
        trust_remote_code: let its own Python code run.
        names: the files of a repository, or None where the hub does not answer and its cache must do.
    """

    location: str
    hub: bool
    revision: str | None
    trust_remote_code: bool
    names: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """The hub id, or the folder's name without its path."""
        return self.location if self.hub else Path(self.location).name

    @property
    def options(self) -> dict[str, Any]:
        """What the libraries are given beside the location."""
        return {"revision": self.revision, "trust_remote_code": self.trust_remote_code}

    def find(self, name: str) -> Path | None:
        """A file of it, fetched where it is on the hub, or None where it has none of the name."""
        if not self.hub:
            file = Path(self.location, name)
            return file if file.is_file() else None
        if self.names is not None and name not in self.names:
            return None
        if self.names is None:
            from huggingface_hub import try_to_load_from_cache

            kept = try_to_load_from_cache(self.location, name, revision=self.revision)
            return Path(kept) if isinstance(kept, str) else None
        from transformers.utils import cached_file

        try:
            found = cached_file(self.location, name, revision=self.revision)
        except Exception as error:
            raise ExportError(f"cannot read '{self.location}/{name}' from the hub: {brief(error)}") from error
        return None if found is None else Path(found)

    def json(self, name: str) -> Mapping[str, Any] | None:
        """The content of a JSON file of it, or None where it has none of the name.

        Raises:
            ExportError: it is no JSON object.
        """
        file = self.find(name)
        if file is None:
            return None
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ExportError(f"cannot read '{self.location}/{name}': {brief(error)}") from error
        if not isinstance(content, dict):
            raise ExportError(f"'{self.location}/{name}' is not a JSON object.")
        return content

    def pinned(self, name: str) -> Place:
        """The same at the commit that a file of it was read from, so that all further files are of that commit."""
        file = self.find(name)
        if not self.hub or file is None:
            return self
        from transformers.utils.hub import extract_commit_hash

        return dataclasses.replace(self, revision=extract_commit_hash(str(file), None) or self.revision)


@dataclasses.dataclass(frozen=True, slots=True)
class Contents:
    """What a container gives.

    Attributes:
        model: the PyTorch model in float32, in evaluation mode, whose logits are those of a classifier of one label.
        tokenizer: the fast tokenizer.
        tokenizer_place: where it was read from.
        label_names: the C class names, in the order of the logits' columns.
        commit: the hub commit of the container, or None for a folder.
        written_by: version of transformers that wrote it, or None where it does not say.
        notices: what a person should know of it.
    """

    model: Any
    tokenizer: Any
    tokenizer_place: Place
    label_names: tuple[str, ...]
    commit: str | None
    written_by: str | None
    notices: tuple[str, ...]


def place_of(model: str, revision: str | None, *, trust_remote_code: bool) -> Place:
    """The folder or the hub id that a person's word names.

    Raises:
        ExportError: it is neither, or cannot be read.
    """
    path = Path(model).expanduser()
    try:
        if path.is_dir():
            check_folder(path)
            return Place(str(path.resolve()), False, None, trust_remote_code)
        if path.exists():
            raise ExportError(f"'{model}' is a file. Give the checkpoint's folder, or a hub id.")
    except OSError as error:  # a folder above it is closed, or its name is too long
        raise cannot_read(path, error) from error
    if not HUB_ID.fullmatch(model) or model.startswith("."):
        raise ExportError(f"'{model}' does not exist. Give a checkpoint's folder, or a hub id such as owner/name.")
    return Place(model, True, revision, trust_remote_code, _names(model, revision))


def _names(repository: str, revision: str | None) -> frozenset[str] | None:
    """The files of a repository of the hub, or None where it does not answer."""
    from huggingface_hub import list_repo_files

    try:
        return frozenset(list_repo_files(repository, revision=revision))
    except Exception:  # whoever reads its config.json says what is wrong
        return None
