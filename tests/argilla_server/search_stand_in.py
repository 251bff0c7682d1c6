"""mini_es - the part of the Elasticsearch 8 HTTP protocol that argilla-server 2.8.0 speaks, for tests.

One file, standard library only (numpy is used for k-NN when it is there). In memory, brute force, exact.
It is NOT Elasticsearch: it exists so that an *unmodified* argilla-server can run where no engine can be had.
Whatever it does not implement it refuses with HTTP 400 ("mini_es: not implemented: ..."), it never guesses.

    python mini_es.py --port 9200 [--host 127.0.0.1] [--ready-file F]

Endpoints: HEAD|GET /   PUT|HEAD|DELETE /{index}   PUT /{index}/_mapping   POST /_bulk
           POST /{index}/_update/{id}   POST|GET /{index}/_search   GET /{index}/_count
           to look inside: GET /{index}   GET /{index}/_mapping   GET /{index}/_doc/{id}   POST /{index}/_refresh   GET /_cat/indices
Queries:   match_all bool term terms range exists ids nested simple_query_string function_score(random_score) knn
Aggs:      terms value_count stats
Known differences from the real thing: scores are not BM25 (sum of tf/(tf+1.2) over matched terms); the analyser is
lower-case + a word regular expression rather than UAX#29; k-NN is exact instead of HNSW; nothing is written to disk.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import math
import os
import re
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

try:
    import numpy as np
except ImportError:  # pragma: no cover
    np = None

VERSION = "8.7.0"
MAX_KEYWORD_BYTES = 32766
NUMERIC = {"integer", "long", "float"}


class EsError(Exception):
    def __init__(self, status: int, kind: str, reason: str):
        super().__init__(reason)
        self.status, self.kind, self.reason = status, kind, reason

    def body(self) -> dict:
        err = {"type": self.kind, "reason": self.reason}
        return {"error": {"root_cause": [err], **err}, "status": self.status}


def unsupported(what) -> EsError:
    return EsError(400, "parsing_exception", f"mini_es: not implemented: {what}")


# --------------------------------------------------------------------------------------------------- mappings


class Node:
    """One node of an index mapping."""

    __slots__ = ("type", "props", "dynamic", "enabled", "dims", "include_in_root")

    def __init__(self, spec: dict, dynamic):
        props = spec.get("properties")
        self.type = spec.get("type", "object")
        self.dynamic = spec.get("dynamic", dynamic)
        self.enabled = spec.get("enabled", True)
        self.dims = spec.get("dims")
        self.include_in_root = bool(spec.get("include_in_root"))
        self.props: dict[str, Node] = {}
        known = {
            "properties",
            "type",
            "dynamic",
            "enabled",
            "dims",
            "include_in_root",
            "index",
            "similarity",
            "_source",
        }
        if set(spec) - known:
            raise unsupported(f"mapping parameters {sorted(set(spec) - known)}")
        if self.type not in {"object", "nested", "text", "keyword", "date_nanos", "dense_vector"} | NUMERIC:
            raise unsupported(f"mapping type {self.type!r}")
        if spec.get("similarity", "cosine") != "cosine":
            raise unsupported("similarity other than cosine")
        self.merge(props or {})

    def merge(self, props: dict) -> None:
        for dotted, spec in props.items():
            node, parts = self, dotted.split(".")
            for part in parts[:-1]:
                node = node.props.setdefault(part, Node({}, node.dynamic))
            name = parts[-1]
            old = node.props.get(name)
            if old is None:
                node.props[name] = Node(spec, node.dynamic)
            elif old.type != spec.get("type", "object"):
                raise EsError(
                    400,
                    "illegal_argument_exception",
                    f"mapper [{dotted}] cannot be changed from type [{old.type}] to [{spec.get('type')}]",
                )
            else:
                if "dynamic" in spec:
                    old.dynamic = spec["dynamic"]
                old.merge(spec.get("properties") or {})

    def dump(self) -> dict:
        out = {} if self.type == "object" and self.props else {"type": self.type}
        if not self.enabled:
            out["enabled"] = False
        if self.props:
            out["properties"] = {k: v.dump() for k, v in sorted(self.props.items())}
        if self.dims:
            out.update(dims=self.dims, index=True, similarity="cosine")
        return out

    def find(self, dotted: str) -> "Node | None":
        node = self
        for part in dotted.split("."):
            node = node.props.get(part)
            if node is None:
                return None
        return node


_DATE = re.compile(r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?$")


def parse_date(value) -> int:
    """ISO date -> nanoseconds since the epoch."""
    if isinstance(value, (int, float)):
        return int(value) * 1_000_000  # epoch_millis
    m = _DATE.match(str(value))
    if not m:
        raise ValueError(f"failed to parse date field [{value}]")
    day, clock, frac, zone = m.groups()
    clock = clock or "00:00:00"
    if clock.count(":") == 1:
        clock += ":00"
    zone = "+00:00" if zone in (None, "Z") else zone
    whole = dt.datetime.fromisoformat(f"{day}T{clock}{zone}")
    return int(whole.timestamp()) * 1_000_000_000 + int((frac or "0").ljust(9, "0"))


def coerce(kind: str, value):
    """A query-side or document-side value -> the comparable value the index holds."""
    if kind in ("integer", "long"):
        if isinstance(value, bool):
            raise ValueError(f"failed to parse [{value}] as {kind}")
        out = int(float(value)) if not isinstance(value, int) else value
        bits = 31 if kind == "integer" else 63
        if not -(2**bits) <= out < 2**bits:
            raise ValueError(f"value [{value}] is out of range for {kind}")
        return out
    if kind == "float":  # Elasticsearch keeps 32 bits
        if isinstance(value, bool):
            raise ValueError(f"failed to parse [{value}] as float")
        out = struct.unpack("f", struct.pack("f", float(value)))[0]
        if not math.isfinite(out):
            raise ValueError(f"[float] supports only finite values, but got [{value}]")
        return out
    if kind == "keyword":
        if isinstance(value, dict):
            raise ValueError("can't get text on a START_OBJECT")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if len(text.encode()) > MAX_KEYWORD_BYTES:
            raise ValueError("Document contains at least one immense term")
        return text
    if kind == "date_nanos":
        return parse_date(value)
    return value


WORD = re.compile(r"\w+(?:['’.]\w+)*", re.UNICODE)


def analyse(text) -> list[str]:
    return [t.lower() for t in WORD.findall(str(text))]


class Doc:
    """flat: field -> list of indexed values; tokens: text field -> token list; nested: path -> list of flat."""

    __slots__ = ("id", "source", "flat", "tokens", "nested", "vectors", "seq", "version")

    def __init__(self, id_: str, source: dict, root: Node, seq: int, version: int):
        self.id, self.source, self.seq, self.version = id_, source, seq, version
        self.flat: dict[str, list] = {}
        self.tokens: dict[str, list[str]] = {}
        self.nested: dict[str, list[dict]] = {}
        self.vectors: dict[str, object] = {}
        self._walk(source, root, "", self.flat)

    def _walk(self, obj, node: Node, prefix: str, flat: dict) -> None:
        for key, value in obj.items():
            child, name = node.props.get(key), f"{prefix}{key}"
            if child is None:
                if node.dynamic in (False, "false"):
                    continue
                if node.dynamic == "strict":
                    raise EsError(
                        400,
                        "strict_dynamic_mapping_exception",
                        f"mapping set to strict, dynamic introduction of [{key}] within [{prefix[:-1] or '_doc'}] is not allowed",
                    )
                raise unsupported(f"dynamic mapping of [{name}]")
            if not child.enabled or value is None:
                continue
            self._field(value, child, name, flat)

    def _field(self, value, child: Node, name: str, flat: dict) -> None:
        if child.type == "dense_vector":
            if len(value) != child.dims:
                raise EsError(
                    400,
                    "mapper_parsing_exception",
                    f"the [dense_vector] field [{name}] has {len(value)} dimensions, mapping says {child.dims}",
                )
            norm = math.sqrt(sum(v * v for v in value))
            if norm == 0:
                raise EsError(
                    400,
                    "mapper_parsing_exception",
                    "The [cosine] similarity does not support vectors with zero magnitude",
                )
            unit = [v / norm for v in value]
            self.vectors[name] = np.asarray(unit, dtype="float32") if np is not None else unit
        elif child.type == "nested":
            items = value if isinstance(value, list) else [value]
            rows = self.nested.setdefault(name, [])
            for item in items:
                row: dict[str, list] = {}
                self._walk(item, child, f"{name}.", row)
                rows.append(row)
                if child.include_in_root:
                    for field, values in row.items():
                        flat.setdefault(field, []).extend(values)
        elif child.type == "object":
            for item in value if isinstance(value, list) else [value]:
                if not isinstance(item, dict):
                    raise EsError(
                        400,
                        "mapper_parsing_exception",
                        f"object mapping for [{name}] tried to parse as object, but found a concrete value",
                    )
                self._walk(item, child, f"{name}.", flat)
        else:
            for item in value if isinstance(value, list) else [value]:
                if item is None:
                    continue
                if child.type == "text":
                    if isinstance(item, dict):
                        raise EsError(400, "mapper_parsing_exception", f"failed to parse field [{name}] of type [text]")
                    self.tokens.setdefault(name, []).extend(analyse(item))
                    continue
                try:
                    flat.setdefault(name, []).append(coerce(child.type, item))
                except (ValueError, TypeError, OverflowError, struct.error) as e:
                    raise EsError(
                        400, "mapper_parsing_exception", f"failed to parse field [{name}] of type [{child.type}]: {e}"
                    ) from e


# ---------------------------------------------------------------------------------------------------- queries


def as_list(x) -> list:
    return x if isinstance(x, list) else [x]


def only(d: dict, allowed: set, where: str) -> None:
    extra = set(d) - allowed
    if extra:
        raise unsupported(f"{where} parameters {sorted(extra)}")


class Compiler:
    """Query DSL -> function(doc, flat) -> score or None (no match). `flat` is the doc's or a nested row's."""

    def __init__(self, root: Node):
        self.root = root

    def kind(self, field: str) -> str:
        node = self.root.find(field)
        return node.type if node else "missing"

    def compile(self, q: dict):
        if not isinstance(q, dict) or len(q) != 1:
            raise EsError(400, "parsing_exception", f"query malformed: {str(q)[:200]}")
        ((name, body),) = q.items()
        method = getattr(self, f"q_{name}", None)
        if method is None:
            raise unsupported(f"query [{name}]")
        return method(body)

    def q_match_all(self, body):
        return lambda doc, flat: 1.0

    def q_bool(self, body):
        only(body, {"must", "filter", "should", "must_not", "minimum_should_match"}, "bool")
        must = [self.compile(x) for x in as_list(body.get("must", []))]
        filt = [self.compile(x) for x in as_list(body.get("filter", []))]
        should = [self.compile(x) for x in as_list(body.get("should", []))]
        must_not = [self.compile(x) for x in as_list(body.get("must_not", []))]
        msm = body.get("minimum_should_match")
        need = int(msm) if msm is not None else (1 if should and not must and not filt else 0)

        def run(doc, flat):
            score = 0.0
            for f in filt:
                if f(doc, flat) is None:
                    return None
            for f in must_not:
                if f(doc, flat) is not None:
                    return None
            for f in must:
                s = f(doc, flat)
                if s is None:
                    return None
                score += s
            hit = 0
            for f in should:
                s = f(doc, flat)
                if s is not None:
                    hit += 1
                    score += s
            return score if hit >= need else None

        return run

    def _values(self, field, values):
        kind = self.kind(field)
        if kind == "missing":
            return set()
        if kind not in NUMERIC | {"keyword", "date_nanos"}:
            raise unsupported(f"term on [{field}] of type {kind}")
        try:
            return {coerce(kind, v) for v in values}
        except (ValueError, TypeError) as e:
            raise EsError(400, "query_shard_exception", f"failed to create query: {e}") from e

    def q_terms(self, body):
        ((field, values),) = body.items()
        wanted = self._values(field, values)

        def run(doc, flat):
            for v in flat.get(field, ()):
                if v in wanted:
                    return 1.0
            return None

        return run

    def q_term(self, body):
        ((field, value),) = body.items()
        return self.q_terms({field: [value["value"] if isinstance(value, dict) else value]})

    def q_range(self, body):
        ((field, spec),) = body.items()
        only(spec, {"gte", "lte", "gt", "lt"}, "range")
        kind = self.kind(field)
        if kind == "missing":
            return lambda doc, flat: None
        if kind not in NUMERIC | {"date_nanos", "keyword"}:
            raise unsupported(f"range on [{field}] of type {kind}")
        try:
            # whole-number fields are compared with the bound as given (4.5 <= 5), the others with the stored precision
            conv = (lambda v: float(v)) if kind in ("integer", "long") else (lambda v: coerce(kind, v))
            b = {k: conv(v) for k, v in spec.items() if v is not None}
        except (ValueError, TypeError) as e:
            raise EsError(400, "query_shard_exception", f"failed to create query: {e}") from e

        def run(doc, flat):
            for v in flat.get(field, ()):
                if (
                    ("gte" not in b or v >= b["gte"])
                    and ("lte" not in b or v <= b["lte"])
                    and ("gt" not in b or v > b["gt"])
                    and ("lt" not in b or v < b["lt"])
                ):
                    return 1.0
            return None

        return run

    def q_exists(self, body):
        only(body, {"field"}, "exists")
        field = body["field"]
        prefix = field + "."

        def run(doc, flat):
            if flat.get(field) or doc.tokens.get(field):
                return 1.0
            for k in flat:
                if k.startswith(prefix) and flat[k]:
                    return 1.0
            return None

        return run

    def q_ids(self, body):
        wanted = set(body["values"])
        return lambda doc, flat: 1.0 if doc.id in wanted else None

    def q_nested(self, body):
        only(body, {"path", "query", "score_mode"}, "nested")
        path = body["path"]
        node = self.root.find(path)
        if node is None or node.type != "nested":
            raise EsError(400, "query_shard_exception", f"[nested] failed to find nested object under path [{path}]")
        inner = self.compile(body["query"])

        def run(doc, flat):
            scores = [s for s in (inner(doc, row) for row in doc.nested.get(path, ())) if s is not None]
            return sum(scores) / len(scores) if scores else None

        return run

    def q_function_score(self, body):
        only(body, {"query", "functions"}, "function_score")
        inner = self.compile(body["query"])
        (function,) = body["functions"]
        only(function, {"random_score"}, "function_score.functions")
        seed = str(function["random_score"]["seed"])

        def run(doc, flat):
            s = inner(doc, flat)
            if s is None:
                return None
            h = hashlib.blake2b(f"{seed}:{doc.seq}".encode(), digest_size=4).digest()
            return s * (int.from_bytes(h, "big") / 2**32)

        return run

    # simple_query_string: + (and), | (or), - (not), "phrase", prefix*, ( ). Fuzziness and slop (~) are refused.
    def q_simple_query_string(self, body):
        only(
            body,
            {
                "query",
                "fields",
                "default_operator",
                "analyze_wildcard",
                "auto_generate_synonyms_phrase_query",
                "fuzzy_max_expansions",
                "fuzzy_transpositions",
            },
            "simple_query_string",
        )
        patterns = [re.compile("^" + re.escape(f).replace(r"\*", ".*") + "$") for f in body["fields"]]
        default_and = str(body.get("default_operator", "or")).lower() == "and"
        tree = _SqsParser(body["query"], default_and).parse()
        if tree is None:  # only punctuation: matches nothing, as in Elasticsearch
            return lambda doc, flat: None

        def lists(doc):
            return [toks for name, toks in doc.tokens.items() if any(p.match(name) for p in patterns)]

        def leaf(kind, arg, toks_lists):
            best = 0.0
            for toks in toks_lists:
                if kind == "term":
                    tf = toks.count(arg)
                elif kind == "prefix":
                    tf = sum(1 for t in toks if t.startswith(arg))
                else:
                    n = len(arg)
                    tf = sum(1 for i in range(len(toks) - n + 1) if toks[i : i + n] == arg)
                best = max(best, tf / (tf + 1.2))
            return best or None

        def ev(node, toks_lists):
            op = node[0]
            if op in ("term", "prefix", "phrase"):
                return leaf(op, node[1], toks_lists)
            if op == "not":
                return 0.0 if ev(node[1], toks_lists) is None else None
            scores = [ev(n, toks_lists) for n in node[1]]
            if op == "and":
                return None if any(s is None for s in scores) else sum(scores)
            hits = [s for s in scores if s is not None]
            return sum(hits) if hits else None

        return lambda doc, flat: ev(tree, lists(doc))


class _SqsParser:
    TOKEN = re.compile(r'\s+|"([^"]*)"(~\d+)?|([()+|])|(-)(?=\S)|((?:\\.|[^\s()+|"])+)')

    def __init__(self, text: str, default_and: bool):
        self.default = "and" if default_and else "or"
        self.items = []
        pos = 0
        while pos < len(text):
            m = self.TOKEN.match(text, pos)
            if not m:  # a stray quote: Elasticsearch drops it
                pos += 1
                continue
            pos = m.end()
            phrase, slop, op, neg, word = m.groups()
            if slop or (word and re.search(r"(?<!\\)~\d*$", word)):
                raise unsupported("fuzziness or slop (~) in simple_query_string")
            if phrase is not None:
                toks = analyse(phrase)
                if toks:
                    self.items.append(("leaf", ("phrase", toks)))
            elif op:
                self.items.append((op, None))
            elif neg:
                self.items.append(("-", None))
            elif word:
                prefix = word.endswith("*") and not word.endswith("\\*")
                word = re.sub(r"\\(.)", r"\1", word.rstrip("*") if prefix else word)
                if prefix:
                    self.items.append(("leaf", ("prefix", word.lower())))
                else:
                    toks = analyse(word)
                    if len(toks) == 1:
                        self.items.append(("leaf", ("term", toks[0])))
                    elif toks:
                        self.items.append(("leaf", (self.default, [("term", t) for t in toks])))
        self.i = 0

    def peek(self):
        return self.items[self.i][0] if self.i < len(self.items) else None

    def parse(self):
        return self.expr()

    def expr(self):
        node, op = None, None
        while self.peek() not in (None, ")"):
            kind = self.peek()
            if kind in "+|":
                op = "and" if kind == "+" else "or"
                self.i += 1
                continue
            right = self.unary()
            if right is None:
                continue
            if node is None:
                node = right
            else:
                use = op or self.default
                node = (use, node[1] + [right]) if node[0] == use else (use, [node, right])
            op = None
        return node

    def unary(self):
        kind, value = self.items[self.i]
        self.i += 1
        if kind == "-":
            if self.peek() in (None, ")"):
                return None
            inner = self.unary()
            return ("not", inner) if inner else None
        if kind == "(":
            inner = self.expr()
            if self.peek() == ")":
                self.i += 1
            return inner
        if kind == "leaf":
            return value
        return None


# ------------------------------------------------------------------------------------------------------ index

_WS = re.compile(r"\s+")


def _squash(s: str) -> str:
    return _WS.sub("", s)


# SHA-256 of the two Painless scripts that argilla-server 2.8.0 sends to set and to delete a response, white space removed
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
            {"query", "from", "size", "_source", "aggregations", "aggs", "sort", "track_total_hits", "knn"},
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
                f"Result window is too large, from + size must be less than or equal to: [{self.window}] but was [{offset + size}]",
            )
        compiler = Compiler(self.root)
        if "knn" in body:
            if any(body.get(k) for k in ("query", "aggregations", "aggs", "sort")):
                raise unsupported("knn combined with query, aggregations or sort")
            hits = self._knn(body["knn"], compiler)
        else:
            key = json.dumps([body.get("query"), body.get("sort")], sort_keys=True)
            hits = self.cache.get(key)
            if hits is None:
                match = compiler.compile(body.get("query") or {"match_all": {}})
                hits = [(s, d) for d in self.docs.values() if (s := match(d, d.flat)) is not None]
                hits = self._sort(hits, body.get("sort"), compiler)
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

    def _sort(self, hits, spec, compiler):
        if not spec:
            return sorted(hits, key=lambda h: -h[0])  # stable: ties stay in index order, as in Lucene
        keys = []
        for item in as_list(spec):
            if isinstance(item, str):
                item = {item: "asc"}
            ((field, opts),) = item.items()
            if field == "_score":
                raise unsupported("sort on _score")
            opts = {"order": opts} if isinstance(opts, str) else opts
            only(opts, {"order", "mode", "nested"}, "sort")
            kind = compiler.kind(field)
            if kind == "missing":
                raise EsError(400, "query_shard_exception", f"No mapping found for [{field}] in order to sort on")
            if kind not in NUMERIC | {"keyword", "date_nanos"}:
                raise EsError(400, "illegal_argument_exception", f"Fielddata is disabled on [{field}] of type {kind}")
            keys.append(
                (field, str(opts.get("order", "asc")).lower() == "desc", opts.get("mode"), opts.get("nested"), kind)
            )
        out = [(None, d) for _, d in hits]
        for field, desc, mode, nested, kind in reversed(keys):
            keep = compiler.compile(nested["filter"]) if nested and nested.get("filter") else None

            def value(doc):
                if nested:
                    vals = [
                        v
                        for row in doc.nested.get(nested["path"], ())
                        if keep is None or keep(doc, row) is not None
                        for v in row.get(field, ())
                    ]
                else:
                    vals = doc.flat.get(field)
                if not vals:
                    return None
                if mode == "avg" and kind in NUMERIC:
                    return sum(vals) / len(vals)
                return max(vals) if desc else min(vals)

            have, missing = [], []
            for h in out:
                v = value(h[1])
                (missing if v is None else have).append((v, h))
            have.sort(key=lambda p: p[0], reverse=desc)
            out = [h for _, h in have] + [h for _, h in missing]  # missing: _last, whatever the order
        return out

    def _knn(self, spec, compiler):
        only(spec, {"field", "query_vector", "k", "num_candidates", "filter"}, "knn")
        field, query, k = spec["field"], spec["query_vector"], int(spec["k"])
        node = self.root.find(field)
        if node is None or node.type != "dense_vector":
            raise EsError(
                400, "query_shard_exception", f"failed to create query: field [{field}] does not exist in the mapping"
            )
        if len(query) != node.dims:
            raise EsError(
                400,
                "query_shard_exception",
                f"the query vector has a different dimension [{len(query)}] than the index vectors [{node.dims}]",
            )
        norm = math.sqrt(sum(v * v for v in query)) or 1.0
        unit = [v / norm for v in query]
        keep = compiler.compile(spec["filter"]) if spec.get("filter") else None
        docs = [d for d in self.docs.values() if field in d.vectors and (keep is None or keep(d, d.flat) is not None)]
        if np is not None and docs:
            cosine = (np.stack([d.vectors[field] for d in docs]) @ np.asarray(unit, dtype="float32")).tolist()
        else:
            cosine = [sum(map(lambda a, b: a * b, d.vectors[field], unit)) for d in docs]
        hits = sorted(((1 + c) / 2, i) for i, c in enumerate(cosine))
        return [(s, docs[i]) for s, i in sorted(hits, key=lambda h: (-h[0], h[1]))[:k]]

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


# ------------------------------------------------------------------------------------------------------- http


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
        parts = [unquote(p) for p in path.split("/") if p]
        body = lambda: json.loads(raw) if raw.strip() else {}  # noqa: E731
        if not parts and method in ("GET", "HEAD"):
            return 200, {
                "name": "mini_es",
                "cluster_name": "mini_es",
                "cluster_uuid": "mini_es",
                "version": {
                    "number": VERSION,
                    "build_flavor": "default",
                    "build_type": "mini_es",
                    "build_hash": "0",
                    "build_date": "2023-01-01T00:00:00Z",
                    "build_snapshot": False,
                    "lucene_version": "9.5.0",
                    "minimum_wire_compatibility_version": "7.17.0",
                    "minimum_index_compatibility_version": "7.0.0",
                },
                "tagline": "not Elasticsearch: a subset for tests",
            }
        if parts == ["_bulk"] and method in ("POST", "PUT"):
            return 200, self.bulk(raw.decode())
        if parts[:2] == ["_cat", "indices"] and method == "GET":
            return 200, [{"index": i.name, "docs.count": str(len(i.docs))} for i in list(self.indices.values())]
        if len(parts) == 1 and not parts[0].startswith("_"):
            name = parts[0]
            if method == "GET":
                index = self.index(name)
                return 200, {
                    name: {"mappings": index.root.dump(), "settings": {"index.max_result_window": str(index.window)}}
                }
            if method == "PUT":
                with self.lock:
                    if name in self.indices:
                        raise EsError(400, "resource_already_exists_exception", f"index [{name}] already exists")
                    spec = body()
                    self.indices[name] = Index(name, spec.get("settings") or {}, spec.get("mappings") or {})
                return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}
            if method == "HEAD":
                return (200 if name in self.indices else 404), {}
            if method == "DELETE":
                with self.lock:
                    if self.indices.pop(name, None) is None and params.get("ignore_unavailable") != "true":
                        raise EsError(404, "index_not_found_exception", f"no such index [{name}]")
                return 200, {"acknowledged": True}
        if len(parts) >= 2:
            name, verb = parts[0], parts[1]
            if verb == "_refresh" and len(parts) == 2:
                self.index(name)
                return 200, {"_shards": {"total": 1, "successful": 1, "failed": 0}}
            if verb == "_mapping" and method == "GET" and len(parts) == 2:
                return 200, {name: {"mappings": self.index(name).root.dump()}}
            if verb == "_doc" and method == "GET" and len(parts) == 3:
                doc = self.index(name).docs.get(parts[2])
                found = {"_index": name, "_id": parts[2], "found": doc is not None}
                return (200, {**found, "_version": doc.version, "_source": doc.source}) if doc else (404, found)
            if verb == "_mapping" and method in ("PUT", "POST") and len(parts) == 2:
                index, spec = self.index(name), body()
                only(spec, {"properties"}, "_mapping")
                with index.lock:
                    index.root.merge(spec["properties"])
                    index.touch()
                return 200, {"acknowledged": True}
            if verb == "_search" and method in ("POST", "GET") and len(parts) == 2:
                index, spec = self.index(name), body()
                for k in ("from", "size", "_source"):
                    if k in params and k not in spec:
                        spec[k] = False if params[k] == "false" else params[k]
                with index.lock:
                    return 200, index.search(spec)
            if verb == "_update" and method == "POST" and len(parts) == 3:
                index = self.index(name)
                with index.lock:
                    return 200, index.update(parts[2], body())
            if verb == "_count" and method in ("GET", "POST") and len(parts) == 2:
                index = self.index(name)
                with index.lock:
                    return 200, {"count": index.search({**body(), "size": 0})["hits"]["total"]["value"]}
        raise unsupported(f"{method} {path}")


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
            import traceback

            traceback.print_exc()
            status, body = 500, EsError(500, "mini_es_bug", repr(e)).body()
        if self.verbose or status >= 400 and self.command != "HEAD":
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

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def make_server(host: str = "127.0.0.1", port: int = 0, verbose: bool = False) -> Server:
    handler = type("BoundHandler", (Handler,), {"store": Store(), "verbose": verbose})
    return Server((host, port), handler)


def main() -> None:
    ap = argparse.ArgumentParser()
    ap.add_argument("--host", default="127.0.0.1")
    ap.add_argument("--port", type=int, default=9200)
    ap.add_argument("--ready-file")
    ap.add_argument("--verbose", action="store_true")
    args = ap.parse_args()
    server = make_server(args.host, args.port, args.verbose)
    if args.ready_file:
        with open(args.ready_file + ".tmp", "w") as f:
            f.write(f"http://{args.host}:{server.server_address[1]}\n")
        os.replace(args.ready_file + ".tmp", args.ready_file)
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
