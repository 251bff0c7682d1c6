"""Mappings and documents: what a field may hold, and the values that queries, sorts and counts see."""

from __future__ import annotations

import datetime as dt
import math
import re
import struct

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
    return EsError(400, "parsing_exception", f"not implemented by the stand-in: {what}")


class Node:
    """One node of an index mapping."""

    __slots__ = ("dynamic", "enabled", "include_in_root", "props", "type")

    def __init__(self, spec: dict, dynamic):
        props = spec.get("properties")
        self.type = spec.get("type", "object")
        self.dynamic = spec.get("dynamic", dynamic)
        self.enabled = spec.get("enabled", True)
        self.include_in_root = bool(spec.get("include_in_root"))
        self.props: dict[str, Node] = {}
        known = {"properties", "type", "dynamic", "enabled", "include_in_root", "index", "_source"}
        if set(spec) - known:
            raise unsupported(f"mapping parameters {sorted(set(spec) - known)}")
        if self.type not in {"object", "nested", "text", "keyword", "date_nanos"} | NUMERIC:
            raise unsupported(f"mapping type {self.type!r}")
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
        return out

    def find(self, dotted: str) -> Node | None:
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


WORD = re.compile(r"\w+(?:['\u2019.]\w+)*", re.UNICODE)


def analyse(text) -> list[str]:
    return [t.lower() for t in WORD.findall(str(text))]


class Doc:
    """flat: field -> list of indexed values; tokens: text field -> token list; nested: path -> list of flat."""

    __slots__ = ("flat", "id", "nested", "seq", "source", "tokens", "version")

    def __init__(self, id_: str, source: dict, root: Node, seq: int, version: int):
        self.id, self.source, self.seq, self.version = id_, source, seq, version
        self.flat: dict[str, list] = {}
        self.tokens: dict[str, list[str]] = {}
        self.nested: dict[str, list[dict]] = {}
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
                        f"mapping set to strict, [{key}] within [{prefix[:-1] or '_doc'}] is not allowed",
                    )
                raise unsupported(f"dynamic mapping of [{name}]")
            if not child.enabled or value is None:
                continue
            self._field(value, child, name, flat)

    def _field(self, value, child: Node, name: str, flat: dict) -> None:
        if child.type == "nested":
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
            self._leaf(value if isinstance(value, list) else [value], child, name, flat)

    def _leaf(self, items: list, child: Node, name: str, flat: dict) -> None:
        for item in items:
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
                reason = f"failed to parse field [{name}] of type [{child.type}]: {e}"
                raise EsError(400, "mapper_parsing_exception", reason) from e
