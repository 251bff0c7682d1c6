"""An index in memory: documents put, updated by the server's own scripts, searched, sorted and counted."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time

from documents import NUMERIC, Doc, EsError, Node, unsupported
from queries import Compiler, as_list, only

_WS = re.compile(r"\s+")


def _squash(s: str) -> str:
    return _WS.sub("", s)


# SHA-256, without white space, of the two Painless scripts by which argilla-server 2.8.0 sets and deletes a response
SCRIPT_SET_RESPONSE = "4d8613472198d3f16a9bf3f487b0e1b19624ade9ab19e6e488e2ec004c9a7b53"
SCRIPT_DEL_RESPONSE = "7c7c911c8e9d785d0c8d830b03bbe0f74e6011e8e2187c2c9f6e6b8716043abb"
SCRIPT_DEL_SUGGESTION = re.compile(r'^ctx\._source\["suggestions"\]\.remove\("((?:[^"\\])*)"\)$')


def deep_merge(into: dict, new: dict) -> dict:
    out = dict(into)
    for k, v in new.items():
        out[k] = deep_merge(out[k], v) if isinstance(v, dict) and isinstance(out.get(k), dict) else v
    return out


class Index:
    def __init__(self, name: str, settings: dict, mappings: dict):
        self.name = name
        self.window = int(settings.get("max_result_window", settings.get("index.max_result_window", 10000)))
        self.root = Node({k: v for k, v in mappings.items() if k != "_source"}, mappings.get("dynamic", True))
        self.docs: dict[str, Doc] = {}
        self.seq = 0
        self.generation = 0
        self.cache: dict[str, list] = {}
        self.lock = threading.RLock()

    def touch(self):
        self.generation += 1
        self.cache.clear()

    def put(self, id_: str, source: dict) -> dict:
        old = self.docs.get(id_)
        doc = Doc(id_, source, self.root, self.seq, old.version + 1 if old else 1)
        if old is not None:
            del self.docs[id_]  # Lucene: an update is a delete and an add, so the document moves to the end
        self.docs[id_] = doc
        self.seq += 1
        self.touch()
        return {
            "_index": self.name,
            "_id": id_,
            "_version": doc.version,
            "result": "updated" if old else "created",
            "_shards": {"total": 1, "successful": 1, "failed": 0},
            "_seq_no": doc.seq,
            "_primary_term": 1,
        }

    def remove(self, id_: str) -> dict:
        old = self.docs.pop(id_, None)
        self.touch()
        return {
            "_index": self.name,
            "_id": id_,
            "_version": (old.version + 1) if old else 1,
            "result": "deleted" if old else "not_found",
            "_seq_no": self.seq,
            "_primary_term": 1,
        }

    def update(self, id_: str, body: dict) -> dict:
        only(body, {"doc", "script"}, "_update")
        old = self.docs.get(id_)
        if old is None:
            raise EsError(404, "document_missing_exception", f"[{id_}]: document missing")
        if "doc" in body:
            return self.put(id_, deep_merge(old.source, body["doc"]))
        script = body["script"]
        text, params = (script, {}) if isinstance(script, str) else (script["source"], script.get("params", {}))
        squashed, source = hashlib.sha256(_squash(text).encode()).hexdigest(), dict(old.source)
        gone = SCRIPT_DEL_SUGGESTION.match(text.strip())
        if squashed in (SCRIPT_SET_RESPONSE, SCRIPT_DEL_RESPONSE):
            rid = params["response"]["id"]
            if source.get("responses") is not None or squashed == SCRIPT_SET_RESPONSE:
                source["responses"] = [r for r in source.get("responses") or [] if r.get("id") != rid]
            if squashed == SCRIPT_SET_RESPONSE:
                source["responses"].append(params["response"])
        elif gone:
            source["suggestions"] = {k: v for k, v in (source.get("suggestions") or {}).items() if k != gone.group(1)}
        else:
            raise unsupported(f"script {text[:80]!r}")
        return self.put(id_, source)

    # ---------------------------------------------------------------------------------------------- search

    def search(self, body: dict) -> dict:
        started = time.perf_counter()
        only(
            body,
            {"query", "from", "size", "_source", "aggregations", "aggs", "sort", "track_total_hits"},
            "_search",
        )
        if body.get("_source") not in (None, True, False):
            raise unsupported("_source filtering")
        with_source = {} if body.get("_source") is False else None
        offset, size = int(body.get("from") or 0), int(10 if body.get("size") is None else body["size"])
        if offset + size > self.window:
            raise EsError(
                400,
                "illegal_argument_exception",
                f"Result window is too large: from + size must be at most [{self.window}] but was [{offset + size}]",
            )
        compiler = Compiler(self.root)
        key = json.dumps([body.get("query"), body.get("sort")], sort_keys=True)
        hits = self.cache.get(key)
        if hits is None:
            match = compiler.compile(body.get("query") or {"match_all": {}})
            hits = [(s, d) for d in self.docs.values() if (s := match(d, d.flat)) is not None]
            hits = _sorted(hits, body.get("sort"), compiler)
            if len(self.cache) > 32:
                self.cache.clear()
            self.cache[key] = hits
        page = hits[offset : offset + size]
        out = {
            "took": int((time.perf_counter() - started) * 1000),
            "timed_out": False,
            "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
            "hits": {
                "total": {"value": len(hits), "relation": "eq"},
                "max_score": page[0][0] if page else None,
                "hits": [
                    {
                        "_index": self.name,
                        "_id": d.id,
                        "_score": s,
                        **(with_source if with_source is not None else {"_source": d.source}),
                    }
                    for s, d in page
                ],
            },
        }
        aggs = body.get("aggregations") or body.get("aggs")
        if aggs:
            out["aggregations"] = {name: self._agg(spec, hits, compiler) for name, spec in aggs.items()}
        return out

    def _agg(self, spec, hits, compiler):
        if len(spec) != 1:
            raise unsupported(f"aggregation {sorted(spec)}")
        ((name, body),) = spec.items()
        field = body["field"]
        kind = compiler.kind(field)
        if kind not in NUMERIC | {"keyword", "date_nanos", "missing"}:
            raise EsError(400, "illegal_argument_exception", f"Fielddata is disabled on [{field}] of type {kind}")
        per_doc = [d.flat.get(field, ()) for _, d in hits]
        if kind == "keyword":  # doc values of a keyword are a set per document
            per_doc = [set(v) for v in per_doc]
        if name == "value_count":
            only(body, {"field"}, name)
            return {"value": sum(len(v) for v in per_doc)}
        if name == "stats":
            only(body, {"field"}, name)
            flat = [x for v in per_doc for x in v]
            n = len(flat)
            return {
                "count": n,
                "min": min(flat) if n else None,
                "max": max(flat) if n else None,
                "avg": sum(flat) / n if n else None,
                "sum": float(sum(flat)),
            }
        if name == "terms":
            only(body, {"field", "size"}, name)
            counts: dict = {}
            for v in per_doc:
                for x in set(v):
                    counts[x] = counts.get(x, 0) + 1
            top = sorted(counts.items(), key=lambda p: (-p[1], p[0]))
            size = int(body.get("size", 10))
            return {
                "doc_count_error_upper_bound": 0,
                "sum_other_doc_count": sum(c for _, c in top[size:]),
                "buckets": [{"key": k, "doc_count": c} for k, c in top[:size]],
            }
        raise unsupported(f"aggregation [{name}]")


def _sorted(hits: list, spec, compiler: Compiler) -> list:
    if not spec:
        return sorted(hits, key=lambda h: -h[0])  # stable: ties stay in index order, as in Lucene
    out = [(None, d) for _, d in hits]
    for item in reversed(as_list(spec)):
        ((field, opts),) = ({item: "asc"} if isinstance(item, str) else item).items()
        opts = {"order": opts} if isinstance(opts, str) else opts
        only(opts, {"order", "mode", "nested"}, "sort")
        descending = str(opts.get("order", "asc")).lower() == "desc"
        value = _sort_value(field, opts, compiler, descending)
        valued = [(value(hit[1]), hit) for hit in out]
        have = sorted((pair for pair in valued if pair[0] is not None), key=lambda p: p[0], reverse=descending)
        # what has no value comes last, whatever the order
        out = [hit for _, hit in have] + [hit for found, hit in valued if found is None]
    return out


def _sort_value(field: str, opts: dict, compiler: Compiler, descending: bool):
    """What a document is sorted by, as a function."""
    kind = compiler.kind(field)
    if field == "_score":
        raise unsupported("sort on _score")
    if kind == "missing":
        raise EsError(400, "query_shard_exception", f"No mapping found for [{field}] in order to sort on")
    if kind not in NUMERIC | {"keyword", "date_nanos"}:
        raise EsError(400, "illegal_argument_exception", f"Fielddata is disabled on [{field}] of type {kind}")
    nested = opts.get("nested")
    keep = compiler.compile(nested["filter"]) if nested and nested.get("filter") else None

    def values(doc: Doc) -> list:
        if not nested:
            return doc.flat.get(field, [])
        rows = [row for row in doc.nested.get(nested["path"], ()) if keep is None or keep(doc, row) is not None]
        return [v for row in rows for v in row.get(field, ())]

    def value(doc: Doc):
        found = values(doc)
        if not found:
            return None
        if opts.get("mode") == "avg" and kind in NUMERIC:
            return sum(found) / len(found)
        return max(found) if descending else min(found)

    return value
