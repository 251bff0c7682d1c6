"""A stand-in for the search engine that an Argilla server needs, for tests: it is not Elasticsearch.

It speaks the part of the Elasticsearch 8 HTTP protocol that argilla-server 2.8.0 uses, in memory, by brute force, with
the standard library alone, so that an unmodified server runs where no engine is to be had. What it does not implement
it refuses with HTTP 400 ("not implemented: ..."); it never guesses.

    python search_stand_in --port 9200 [--host 127.0.0.1] [--ready-file FILE]

Endpoints: HEAD|GET /   PUT|HEAD|DELETE|GET /{index}   PUT|GET /{index}/_mapping   POST /_bulk   GET /_cat/indices
           POST /{index}/_update/{id}   POST|GET /{index}/_search   GET /{index}/_count   GET /{index}/_doc/{id}
Queries:   match_all bool term terms range exists ids nested simple_query_string function_score(random_score)
Counts:    terms value_count stats
Known differences: scores are not BM25 but the sum of tf / (tf + 1.2) over matched terms; the analyser is lower case
and a regular expression for words; there are no vectors; nothing is written to disk.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from documents import EsError, unsupported
from indices import Index
from queries import only

ABOUT = {
    "name": "stand-in",
    "cluster_name": "stand-in",
    "cluster_uuid": "stand-in",
    "version": {
        "number": "8.7.0",
        "build_flavor": "default",
        "build_type": "stand-in",
        "build_hash": "0",
        "build_date": "2023-01-01T00:00:00Z",
        "build_snapshot": False,
        "lucene_version": "9.5.0",
        "minimum_wire_compatibility_version": "7.17.0",
        "minimum_index_compatibility_version": "7.0.0",
    },
    "tagline": "not Elasticsearch: a subset for tests",
}


class Store:
    def __init__(self):
        self.indices: dict[str, Index] = {}
        self.lock = threading.RLock()

    def index(self, name: str) -> Index:
        index = self.indices.get(name)
        if index is None:
            raise EsError(404, "index_not_found_exception", f"no such index [{name}]")
        return index

    def bulk(self, text: str) -> dict:
        started, items, errors = time.perf_counter(), [], False
        lines = iter([line for line in text.split("\n") if line.strip()])
        for line in lines:
            ((op, meta),) = json.loads(line).items()
            if op not in ("index", "delete"):
                raise unsupported(f"bulk [{op}]")
            name, id_ = meta["_index"], str(meta["_id"])
            source = json.loads(next(lines)) if op == "index" else None
            try:
                index = self.index(name)
                with index.lock:
                    res = index.put(id_, source) if op == "index" else index.remove(id_)
                res["status"] = {"created": 201, "updated": 200, "deleted": 200, "not_found": 404}[res["result"]]
            except EsError as e:
                errors = True
                res = {"_index": name, "_id": id_, "status": e.status, "error": {"type": e.kind, "reason": e.reason}}
            items.append({op: res})
        return {"took": int((time.perf_counter() - started) * 1000), "errors": errors, "items": items}

    def handle(self, method: str, path: str, params: dict, raw: bytes):
        """-> (status, body)"""
        parts = [unquote(part) for part in path.split("/") if part]
        body = json.loads(raw) if raw.strip() and parts != ["_bulk"] else {}
        if not parts and method in ("GET", "HEAD"):
            return 200, ABOUT
        if parts == ["_bulk"] and method in ("POST", "PUT"):
            return 200, self.bulk(raw.decode())
        if parts == ["_cat", "indices"] and method == "GET":
            return 200, [{"index": i.name, "docs.count": str(len(i.docs))} for i in list(self.indices.values())]
        if len(parts) == 1 and not parts[0].startswith("_"):
            return self._on_index(method, parts[0], params, body)
        if len(parts) > 1:
            method = "GET" if parts[1] in ("_search", "_count") and method == "POST" else method
            route = getattr(self, f"{method.lower()}{parts[1]}{len(parts)}", None)
            if route is not None:
                index = self.index(parts[0])
                with index.lock:
                    return route(index, body, params, *parts[2:])
        raise unsupported(f"{method} {path}")

    def _on_index(self, method: str, name: str, params: dict, body: dict):
        with self.lock:
            if method == "GET":
                index = self.index(name)
                settings = {"index.max_result_window": str(index.window)}
                return 200, {name: {"mappings": index.root.dump(), "settings": settings}}
            if method == "PUT":
                if name in self.indices:
                    raise EsError(400, "resource_already_exists_exception", f"index [{name}] already exists")
                self.indices[name] = Index(name, body.get("settings") or {}, body.get("mappings") or {})
                return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}
            if method == "HEAD":
                return (200 if name in self.indices else 404), {}
            if method == "DELETE":
                if self.indices.pop(name, None) is None and params.get("ignore_unavailable") != "true":
                    raise EsError(404, "index_not_found_exception", f"no such index [{name}]")
                return 200, {"acknowledged": True}
        raise unsupported(f"{method} /{name}")

    # One method for each route: method, verb, and the number of parts of the path.

    def post_refresh2(self, index: Index, body: dict, params: dict):
        return 200, {"_shards": {"total": 1, "successful": 1, "failed": 0}}

    def get_mapping2(self, index: Index, body: dict, params: dict):
        return 200, {index.name: {"mappings": index.root.dump()}}

    def put_mapping2(self, index: Index, body: dict, params: dict):
        only(body, {"properties"}, "_mapping")
        index.root.merge(body["properties"])
        index.touch()
        return 200, {"acknowledged": True}

    def get_doc3(self, index: Index, body: dict, params: dict, id_: str):
        doc = index.docs.get(id_)
        found = {"_index": index.name, "_id": id_, "found": doc is not None}
        return (200, {**found, "_version": doc.version, "_source": doc.source}) if doc else (404, found)

    def get_search2(self, index: Index, body: dict, params: dict):
        given = {k: v for k, v in params.items() if k in ("from", "size", "_source") and k not in body}
        return 200, index.search(body | {k: False if v == "false" else v for k, v in given.items()})

    def post_update3(self, index: Index, body: dict, params: dict, id_: str):
        return 200, index.update(id_, body)

    def get_count2(self, index: Index, body: dict, params: dict):
        return 200, {"count": index.search({**body, "size": 0})["hits"]["total"]["value"]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store
    verbose = False

    def _serve(self):
        url = urlsplit(self.path)
        params = {k: v[-1] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        started = time.perf_counter()
        try:
            status, body = self.store.handle(self.command, url.path, params, raw)
        except EsError as e:
            status, body = e.status, e.body()
        except Exception as e:  # a bug here must be loud in the test that met it
            traceback.print_exc()
            status, body = 500, EsError(500, "stand_in_bug", repr(e)).body()
        if self.verbose or (status >= 400 and self.command != "HEAD"):
            print(
                f"{self.command} {self.path} {status} {len(raw)}B {1000 * (time.perf_counter() - started):.1f}ms"
                + (f" {body['error']['reason']}" if status >= 400 and body else ""),
                file=sys.stderr,
                flush=True,
            )
        data = b"" if self.command == "HEAD" else json.dumps(body).encode()
        head = (
            f"HTTP/1.1 {status} X\r\nX-Elastic-Product: Elasticsearch\r\n"
            "Content-Type: application/vnd.elasticsearch+json;compatible-with=8\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + data)  # one write: no Nagle / delayed-ACK pause

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 — names of the standard library


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def make_server(host: str = "127.0.0.1", port: int = 0, verbose: bool = False) -> Server:
    handler = type("BoundHandler", (Handler,), {"store": Store(), "verbose": verbose})
    return Server((host, port), handler)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9200)
    parser.add_argument("--ready-file", type=Path)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    server = make_server(options.host, options.port, options.verbose)
    if options.ready_file:
        temporary = options.ready_file.with_suffix(".tmp")
        temporary.write_text(f"http://{options.host}:{server.server_address[1]}\n")
        temporary.replace(options.ready_file)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main()
