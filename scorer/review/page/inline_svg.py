"""SVG that may stand in the page: no styles, no scripts, no clashing ids, and the page's colours.

The page's policy allows no style attributes, so they become presentation attributes; those take `var(--ink)` as
well, and so the pictures follow light and dark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

DRAWN = frozenset({"svg", "g", "defs", "clipPath", "path", "rect", "line", "text", "tspan", "use"})
_SHAPE = ("id", "href", "clip-path", "viewBox", "d", "x", "y", "x1", "y1", "x2", "y2", "width", "height", "transform")
_PAINT = ("fill", "fill-opacity", "opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray")
_LETTERS = ("font-size", "font-weight", "text-anchor")
KEPT = frozenset((*_SHAPE, *_PAINT, *_LETTERS))
_NAMESPACE = re.compile(r"^\{[^}]*\}")
_REFERENCE = re.compile(r"#([^)\"'\s]+)")


def inline_svg(document: str, name: str, colours: Mapping[str, str]) -> str:
    """Turn an SVG document that matplotlib wrote into an element for the page.

    Args:
        document: the SVG.
        name: prefix of its ids; unique on the page.
        colours: colour as drawn to colour as shown.
    """
    root = ElementTree.fromstring(document)  # noqa: S314  drawn here, a moment ago; comments fall away
    _clean(root, name, colours)
    for size in ("width", "height"):
        root.attrib.pop(size, None)  # the page decides
    root.set("role", "img")
    root.set("aria-labelledby", f"caption-{name}")
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element, name: str, colours: Mapping[str, str]) -> None:
    element.tag = _NAMESPACE.sub("", element.tag)
    attributes = {_NAMESPACE.sub("", key): value for key, value in element.attrib.items()}
    for declaration in attributes.pop("style", "").split(";"):
        key, _, value = declaration.partition(":")
        attributes[key.strip()] = value.strip()
    element.attrib.clear()
    for key, value in attributes.items():
        if key in KEPT:
            own = f"{name}-{value}" if key == "id" else _REFERENCE.sub(rf"#{name}-\1", value)
            element.set(key, colours.get(value.lower(), own))
    for child in list(element):
        if _NAMESPACE.sub("", str(child.tag)) in DRAWN:
            _clean(child, name, colours)
        else:
            element.remove(child)  # metadata and style sheets
