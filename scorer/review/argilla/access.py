"""Where an Argilla server is and who asks. The key is held here, and shown by nothing."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlsplit, urlunsplit

from scorer.errors import UsageError


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """Where a data set is and who asks.

    Attributes:
        url: the server.
        key: the user's API key; no representation of this object shows it.
        workspace: name of the workspace; None takes the only one that the user has.
    """

    url: str
    key: str = dataclasses.field(repr=False)
    workspace: str | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a server.

        Raises:
            UsageError: the address is none, or the key cannot be one.
        """
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise UsageError(f"--api-url is '{self.url}'; it must be an address such as http://localhost:6900.")
        if not self.key:
            raise UsageError("there is no API key. Set ARGILLA_API_KEY to the one under 'My settings' in Argilla.")
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise UsageError("the API key holds characters that no key has. Copy it from 'My settings' in Argilla.")

    @property
    def shown_url(self) -> str:
        """The address without user and password."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
