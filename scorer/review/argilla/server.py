"""An Argilla server as pushing and pulling need it. The only module that knows the client's and the server's ways.

Data sets are made by Argilla's client; records and answers go over its REST interface, which sorts, pages, and tells
a discarded answer from none where the client does not. A connection that breaks is tried again with growing waits.
The key travels in a header and is shown nowhere.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scorer.errors import MissingExtraError, ServerError, UsageError
from scorer.listener import Listener
from scorer.review.argilla.access import Access
from scorer.review.argilla.records import FIELDS, METADATA, QUESTION, DatasetSettings

# Seconds to wait before each further try when a connection breaks, or the server is not there for a moment.
WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
BUSY = frozenset({429, 502, 503, 504})
TIMEOUT_S = 60
PAGE_RECORDS = 500  # that one request reads
SHOWN_CHARACTERS = 300  # of what a server answers in an error


@dataclasses.dataclass(frozen=True, slots=True)
class Dataset:
    """A data set on the server.

    Attributes:
        id: the server's id.
        name: its name.
        ready: whether it was published; one that was not holds no records yet.
        question: the server's id of the label question, or None where it has none.
        settings: its fields, labels and metadata.
    """

    id: str
    name: str
    ready: bool
    question: str | None
    settings: DatasetSettings


class ArgillaServer:
    """A connection to a server, in one workspace.

    Args:
        access: where, and who.
        listener: hears of waits.

    Raises:
        MissingExtraError: the package `argilla` is not installed.
        ServerError: the server cannot be reached or refuses the key.
        UsageError: the user has no such workspace.
    """

    def __init__(self, access: Access, listener: Listener) -> None:
        try:
            import argilla
            from argilla._exceptions import ArgillaAPIError, ArgillaCredentialsError, ArgillaError
        except ImportError as error:
            raise MissingExtraError(error.name or "argilla", "argilla", "talking to an Argilla server") from error
        self.url = access.shown_url
        self._listener = listener
        self._argilla = argilla
        self._api_error, self._bad_key, self._client_error = ArgillaAPIError, ArgillaCredentialsError, ArgillaError
        with self._explained():
            self._client = self._patiently(
                lambda: argilla.Argilla(api_url=access.url, api_key=access.key, timeout=TIMEOUT_S, retries=0)
            )
        self._workspace_id, self.workspace = self._find_workspace(access.workspace)

    def find_dataset(self, name: str) -> Dataset | None:
        """The data set of this name in the workspace, or None."""
        parameters = {"workspace_id": self._workspace_id}
        for found in self.request("GET", "/api/v1/me/datasets", params=parameters)["items"]:
            if found["name"] == name:
                return self._dataset(found)
        return None

    def create_dataset(self, name: str, settings: DatasetSettings, *, guidelines: str, annotators: int) -> Dataset:
        """Make a data set and publish it.

        Args:
            name: its name.
            settings: fields, labels and metadata.
            guidelines: what annotators read.
            annotators: people who must answer a record before it is done.
        """
        wanted = self._client_settings(settings, guidelines, annotators)
        made = self._argilla.Dataset(name=name, workspace=self.workspace, settings=wanted, client=self._client)
        with self._explained():
            made.create()
        found = self.find_dataset(name)
        if found is None:
            raise ServerError(f"{self.url} took the data set '{name}' and does not list it. Try again.")
        return found

    def delete_dataset(self, dataset: Dataset) -> None:
        """Take away a data set."""
        self.request("DELETE", f"/api/v1/datasets/{dataset.id}")

    def put_records(self, dataset: Dataset, records: Sequence[Mapping[str, Any]]) -> None:
        """Make records or replace their fields, metadata and suggestion; people's answers stay.

        Args:
            dataset: where.
            records: at most 500 in the server's form, no id twice.
        """
        self.request("PUT", f"/api/v1/datasets/{dataset.id}/records/bulk", json={"items": list(records)})

    def records(self, dataset: Dataset, *include: str) -> Iterator[dict[str, Any]]:
        """All records in the server's form, page by page.

        Args:
            dataset: where.
            include: what to send with them: "responses", "suggestions".

        Raises:
            ServerError: the records changed under the paging, so that some would be missed.
        """
        path, seen, total = f"/api/v1/datasets/{dataset.id}/records", set(), 0
        for offset in range(0, 2**40, PAGE_RECORDS):
            parameters = {"offset": offset, "limit": PAGE_RECORDS, "include": list(include)}
            page = self.request("GET", path, params=parameters)
            total = page["total"]
            for record in page["items"]:
                if record["id"] not in seen:
                    seen.add(record["id"])
                    yield record
            if offset + PAGE_RECORDS >= total:
                break
        if len(seen) != total:
            raise ServerError(
                f"'{dataset.name}' has {total:,} records, and {len(seen):,} could be read: it is being changed. Try "
                "again."
            )

    def user_names(self) -> dict[str, str]:
        """Names of users by their ids, as far as this user may know them."""
        me = self.request("GET", "/api/v1/me")
        names = {me["id"]: me["username"]}
        for path in (f"/api/v1/workspaces/{self._workspace_id}/users", "/api/v1/users"):
            with contextlib.suppress(ServerError):  # only owners and administrators may ask
                names |= {user["id"]: user["username"] for user in self.request("GET", path)["items"]}
        return names

    def request(self, method: str, path: str, **options: Any) -> Any:
        """A request and its JSON answer, tried again while the connection breaks.

        Raises:
            ServerError: no answer, or one that says no.
        """
        with self._explained():
            answer = self._patiently(lambda: self._checked(method, path, **options))
            return answer.json() if answer.content else None

    def _client_settings(self, settings: DatasetSettings, guidelines: str, annotators: int) -> Any:
        rg, client = self._argilla, self._client
        kinds = {
            "terms": rg.TermsMetadataProperty,
            "integer": rg.IntegerMetadataProperty,
            "float": rg.FloatMetadataProperty,
        }
        question = rg.LabelQuestion(
            name=QUESTION,
            title="Which label is right?",
            description="Discard what you cannot decide.",
            labels=list(settings.labels),
            client=client,
        )
        return rg.Settings(
            guidelines=guidelines,
            fields=[
                rg.TextField(name=name, title=FIELDS[name], required=name != "text_pair", client=client)
                for name in settings.fields
            ],
            questions=[question],
            metadata=[
                kinds[kind](name=name, title=METADATA[name][1], client=client)
                for name, kind in settings.metadata.items()
            ],
            distribution=rg.TaskDistribution(min_submitted=annotators),
        )

    def _checked(self, method: str, path: str, **options: Any) -> Any:
        answer = self._client.http_client.request(method, path, **options)
        answer.raise_for_status()
        return answer

    def _patiently(self, call: Any) -> Any:
        import httpx

        for wait_s in WAITS_S:
            try:
                return call()
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            except (httpx.HTTPStatusError, self._api_error) as error:
                if _status(error) not in BUSY:
                    raise
                reason = f"it answers {_status(error)}"
            self._listener.info(f"No connection to {self.url} ({reason}); trying again in {wait_s:g} s.")
            time.sleep(wait_s)
        return call()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what goes wrong with a server into ServerError."""
        import httpx

        try:
            yield
        except httpx.TransportError as error:
            raise ServerError(
                f"cannot reach {self.url}: {str(error) or type(error).__name__}. Check ARGILLA_API_URL, and that the "
                "server runs; what it has taken so far is safe, and the same command goes on from there."
            ) from error
        except httpx.HTTPStatusError as error:
            raise self._refusal(_status(error), error.response.text) from error
        except self._client_error as error:
            cause = error.__cause__ if isinstance(error.__cause__, self._client_error) else error
            if isinstance(error, self._bad_key):
                raise self._refusal(401, "") from error
            raise self._refusal(_status(cause), str(cause)) from error
        except ValueError as error:  # a proxy or another program answered with something that is no JSON
            raise ServerError(f"{self.url} does not answer as Argilla does. Check ARGILLA_API_URL.") from error

    def _refusal(self, status: int, detail: str) -> ServerError:
        if status == 401:
            return ServerError(f"{self.url} does not know the API key. Copy it again from 'My settings' in Argilla.")
        if status == 403:
            return ServerError(f"{self.url} does not allow this user to do it: owners and administrators may.")
        detail = " ".join(detail.split())[:SHOWN_CHARACTERS]
        return ServerError(f"{self.url} refuses with status {status}: {detail or 'no reason given'}")

    def _find_workspace(self, wanted: str | None) -> tuple[str, str]:
        found = {item["name"]: item["id"] for item in self.request("GET", "/api/v1/me/workspaces")["items"]}
        if wanted is None and len(found) == 1:
            wanted = next(iter(found))
        if wanted is None or wanted not in found:
            what = f"no workspace '{wanted}'" if wanted else f"{len(found)} workspaces"
            listed = ", ".join(sorted(found)) or "none yet"
            raise UsageError(f"this user has {what} at {self.url}. Choose with --workspace: {listed}.")
        return found[wanted], wanted

    def _dataset(self, found: Mapping[str, Any]) -> Dataset:
        path = f"/api/v1/datasets/{found['id']}"
        fields = self.request("GET", f"{path}/fields")["items"]
        questions = self.request("GET", f"{path}/questions")["items"]
        metadata = self.request("GET", f"/api/v1/me/datasets/{found['id']}/metadata-properties")["items"]
        asked = [question for question in questions if question["settings"]["type"] == "label_selection"]
        question = asked[0] if len(questions) == 1 and asked else None
        labels = [option["value"] for option in question["settings"]["options"]] if question else []
        settings = DatasetSettings(
            fields=tuple(field["name"] for field in fields),
            labels=tuple(labels),
            metadata={item["name"]: item["settings"]["type"] for item in metadata},
        )
        return Dataset(found["id"], found["name"], found["status"] == "ready", question and question["id"], settings)


def _status(error: Any) -> int:
    """The HTTP status of an error of httpx or of Argilla's client; 0 where it has none."""
    response = getattr(error, "response", None)
    return int(getattr(error, "status_code", 0) if response is None else response.status_code)
