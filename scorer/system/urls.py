"""URLs of object stores: what is one, and what of it may be shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(name: str) -> bool:
    """Whether a name is a URL, such as s3://bucket/key or hf://datasets/owner/name/file.csv."""
    return _URL.match(name) is not None


def without_secrets(name: str) -> str:
    """The name; of a URL without user, password, query and fragment, where keys and signatures stand."""
    if not is_url(name):
        return name
    parts = urlsplit(name)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
