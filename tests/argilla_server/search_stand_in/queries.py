"""The query language: from a query's JSON to a function that scores a document, or says that it does not match."""

from __future__ import annotations

import hashlib
import re

from documents import NUMERIC, EsError, Node, analyse, coerce, unsupported


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
            conv = float if kind in ("integer", "long") else (lambda v: coerce(kind, v))
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
