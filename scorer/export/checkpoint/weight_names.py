"""Names of weights that a wrapper has lengthened: `module.` of DataParallel, `_orig_mod.` of torch.compile.

Whoever saves the weights of a wrapped model gets its prefix before all of their names. Imports nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# What wrappers write before every name, one or several of them.
WRAPPERS = re.compile(r"(?:module\.|_orig_mod\.)+")


def wrapper_prefix(missing: Iterable[str], unexpected: Iterable[str]) -> str | None:
    """The prefix that the missing weights have in the file, or None where that is not all that keeps them out.

    Args:
        missing: names of weights that a model has not found.
        unexpected: names of weights that it has no place for.
    """
    names = set(unexpected)
    prefixes = {found[0] for name in names if (found := WRAPPERS.match(name))}
    for prefix in sorted(prefixes):
        if names.issuperset(absent := {f"{prefix}{name}" for name in missing}) and absent:
            return prefix
    return None


def without_prefix(prefix: str) -> Mapping[str, str]:
    """How names with a prefix become a model's own, as `from_pretrained` takes it for `key_mapping`."""
    return {f"^{re.escape(prefix)}": ""}
