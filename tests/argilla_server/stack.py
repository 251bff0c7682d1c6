"""A real Argilla server on loopback: argilla-server from PyPI, SQLite, redis, and the stand-in for its search engine.

    with Stack() as stack:
        rg.Argilla(api_url=stack.url, api_key=stack.api_key)

    python stack.py [HOME]      prints address and key, and runs until interrupted; HOME keeps what people did

`scripts/argilla-setup` makes the environment that the server runs in.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".argilla"
USER, PASSWORD, API_KEY = "argilla", "12345678", "argilla.apikey"
READY_S = 120
SET_UP = "set it up with: bash scripts/argilla-setup"


def missing() -> str | None:
    """Why no server can be started here, with the command that changes it; None where one can."""
    if not (ENVIRONMENT / "bin" / "python").exists():
        return f"needs the Argilla server's environment; {SET_UP}"
    if shutil.which("redis-server") is None:
        return f"needs redis-server; {SET_UP}"
    return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """The server and what it needs, as a context manager.

    Args:
        home: where everything lies; None takes a folder that is removed at the end.
        port: of the server; None takes a free one.
    """

    api_key, user, password = API_KEY, USER, PASSWORD

    def __init__(self, home: Path | None = None, port: int | None = None) -> None:
        self._kept = home is not None
        self.home = (home or Path(tempfile.mkdtemp(prefix="argilla-"))).resolve()
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._python = str(ENVIRONMENT / "bin" / "python")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment: dict[str, str] = {}

    def __enter__(self) -> Stack:
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self._start_redis_and_search()
            self._prepare_database()
            self.start_server()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self._processes)):
            self._stop(name)
        if not self._kept:
            shutil.rmtree(self.home, ignore_errors=True)

    def start_server(self) -> None:
        """Start the server, the first time or again after `kill_server`."""
        arguments = ["start", "--host", "127.0.0.1", "--port", str(self.port)]
        self._spawn("server", [self._python, "-m", "argilla_server", *arguments])
        # /api/v1/status answers 422, a bug of the server
        self._wait_for("server", lambda: urllib.request.urlopen(f"{self.url}/api/v1/version", timeout=2).status == 200)

    def kill_server(self) -> None:
        """End the server at once, as a crash would; redis and the search engine live on."""
        self._processes["server"].kill()
        self._stop("server")

    def manage(self, *arguments: str) -> None:
        """A command of the server's own command line."""
        with (self.home / "setup.log").open("ab") as log:
            subprocess.run(
                [self._python, "-m", "argilla_server", *arguments],
                env=self._environment,
                check=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def add_user(self, name: str, role: str, *workspaces: str) -> str:
        """A further user, in workspaces that exist; returns the key."""
        key = f"key-of-{name}"
        options = [item for workspace in workspaces for item in ("--workspace", workspace)]
        names = ["--username", name, "--first-name", name, "--password", PASSWORD, "--role", role, "--api-key", key]
        self.manage("database", "users", "create", *names, *options)
        return key

    def _start_redis_and_search(self) -> None:
        self._socket = self.home / "redis.sock"
        ready = self.home / "search.url"
        ready.unlink(missing_ok=True)
        no_files = ["--save", "", "--appendonly", "no", "--dir", str(self.home)]
        self._spawn("redis", ["redis-server", "--port", "0", "--unixsocket", str(self._socket), *no_files])
        search = [self._python, str(HERE / "search_stand_in"), "--port", "0", "--ready-file", str(ready)]
        self._spawn("search", search)
        self._wait_for("redis", self._socket.exists)
        self._wait_for("search", ready.exists)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ARGILLA_", "HF_"))}
        self._environment = inherited | {
            "ARGILLA_HOME_PATH": str(self.home),
            "ARGILLA_SEARCH_ENGINE": "elasticsearch",
            "ARGILLA_ELASTICSEARCH": ready.read_text().strip(),
            "ARGILLA_REDIS_URL": f"unix://{self._socket}",
            "ARGILLA_AUTH_SECRET_KEY": "0" * 32,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(self.home / "hf"),
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def _prepare_database(self) -> None:
        """A migrated database with its user: making one takes ten seconds, so the first one is kept as a template."""
        database, template = self.home / "argilla.db", ENVIRONMENT / "template.db"
        if database.exists():  # a home that was kept: the search engine is empty, the truth is in the database
            self.manage("search-engine", "reindex")
        elif template.exists():
            shutil.copyfile(template, database)
        else:
            self.manage("database", "migrate")
            self.manage("database", "users", "create_default", "--api-key", API_KEY, "--password", PASSWORD)
            temporary = template.with_suffix(f".{os.getpid()}.tmp")
            shutil.copyfile(database, temporary)
            temporary.replace(template)

    def _spawn(self, name: str, command: Sequence[str]) -> None:
        if shutil.which("setpriv"):  # a test run that is killed leaves no server behind
            command = ["setpriv", "--pdeathsig", "TERM", "--", *command]
        with (self.home / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._environment or None,
                start_new_session=True,
            )

    def _wait_for(self, name: str, is_ready: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            if self._processes[name].poll() is not None:
                break
            with contextlib.suppress(OSError):
                if is_ready():
                    return
            time.sleep(0.05)
        log = (self.home / f"{name}.log").read_text(errors="replace")[-2_000:]
        raise RuntimeError(f"{name} did not start: see {self.home}\n{log}")

    def _stop(self, name: str) -> None:
        process = self._processes.pop(name)
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """Run a server until interrupted or terminated."""
    if (reason := missing()) is not None:
        sys.exit(f"Cannot start: {reason}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    home = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with contextlib.suppress(KeyboardInterrupt), Stack(home, int(os.environ.get("PORT", "6900"))) as stack:
        print(json.dumps({"url": stack.url, "user": USER, "password": PASSWORD, "api_key": API_KEY}), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
