"""A running Argilla server as tests see it: over REST, as the owner or as an annotator."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any
from unittest import mock

import httpx
import pytest
from argilla_server.stack import API_KEY, PASSWORD, Stack

import scorer.cli.main

WORKSPACE = "argilla"


@dataclasses.dataclass
class Server:
    """A server and its data sets."""

    stack: Stack
    keys: dict[str, str]
    shown: list[str] = dataclasses.field(default_factory=list)  # everything that commands printed

    def ask(self, method: str, path: str, key: str = API_KEY, **options: Any) -> Any:
        answer = httpx.request(
            method, f"{self.stack.url}/api/v1{path}", headers={"X-Argilla-Api-Key": key}, timeout=60, **options
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def environment(self, **changes: str) -> dict[str, str]:
        return os.environ | {
            "ARGILLA_API_URL": self.stack.url,
            "ARGILLA_API_KEY": API_KEY,
            "ARGILLA_WORKSPACE": WORKSPACE,
            **changes,
        }

    def command(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """A scorer command in this process; what it prints is kept, to look for keys in it."""
        command = ["scorer", *map(str, arguments)]
        stdout, stderr = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment(**environment)),
            mock.patch.object(sys, "argv", command),
            redirect_stdout(stdout),
            redirect_stderr(stderr),
            pytest.raises(SystemExit) as ended,
        ):
            scorer.cli.main.main()
        self.shown += [stdout.getvalue(), stderr.getvalue()]
        code = ended.value.code
        return subprocess.CompletedProcess(command, int(code or 0), stdout.getvalue(), stderr.getvalue())

    def push(self, directory: object, dataset: str, *options: object) -> str:
        done = self.command("to-argilla", directory, "--dataset", dataset, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dataset_id(self, name: str) -> str:
        found = [item["id"] for item in self.ask("GET", "/me/datasets")["items"] if item["name"] == name]
        assert len(found) == 1, name
        return found[0]

    def records(self, name: str) -> list[dict[str, Any]]:
        """All records as the server has them, in the order in which they came."""
        path, found = f"/datasets/{self.dataset_id(name)}/records", []
        while True:
            parameters = {"offset": len(found), "limit": 500, "include": ["responses", "suggestions"]}
            page = self.ask("GET", path, params=parameters)
            found += page["items"]
            if not page["items"] or len(found) >= page["total"]:
                return found

    def sorted_by_loss(self, name: str) -> list[dict[str, Any]]:
        """All records by falling loss, as the search engine sorts them."""
        path = f"/datasets/{self.dataset_id(name)}/records/search"
        sort = [{"scope": {"entity": "metadata", "metadata_property": "loss"}, "order": "desc"}]
        found: list[dict[str, Any]] = []
        while True:
            parameters = {"offset": len(found), "limit": 500, "include": ["suggestions"]}
            page = self.ask("POST", path, params=parameters, json={"sort": sort})
            found += [item["record"] for item in page["items"]]
            if not page["items"] or len(found) >= page["total"]:
                return found

    def answer(self, record: dict[str, Any], user: str, label: str | None, status: str = "submitted") -> None:
        values = {} if label is None else {"label": {"value": label}}
        body = {"values": values, "status": status}
        self.ask("POST", f"/records/{record['id']}/responses", key=self.keys[user], json=body)


@contextmanager
def serving() -> Iterator[Server]:
    """A server with two annotators, ada and bo."""
    with Stack() as stack:
        server = Server(stack, {})
        workspaces = server.ask("GET", "/me/workspaces")["items"]
        workspace = next(item["id"] for item in workspaces if item["name"] == WORKSPACE)
        for name in ("ada", "bo"):
            person = {"username": name, "first_name": name, "password": PASSWORD, "role": "annotator"}
            user = server.ask("POST", "/users", json=person)
            server.ask("POST", f"/workspaces/{workspace}/users", json={"user_id": user["id"]})
            server.keys[name] = user["api_key"]
        yield server


def wait_until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
