"""A picture of a small graph as inline SVG: names in boxes, lines between them, nothing that moves.

Invariant: no box covers another one, and the same graph gives the same picture.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from markupsafe import Markup

from llmner.concepts import Concept, CoOccurrence
from llmner.report.templates import HUES, TEMPLATES

_LONGEST = 28  # characters of a name
_WIDTH = 1000.0  # of the picture where it has several parts
_GAP = 7.0  # between boxes
_ROUNDS = 600


@dataclass
class Box:
    """A name at its place; all in units of the picture.

    Attributes:
        id: Of its concept.
        text: What stands in it.
        size: Of the letters.
        width: Of the box.
        height: Of the box.
        x: Of its middle.
        y: Of its middle.
    """

    id: str
    text: str
    size: float
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0


def graph_picture(nodes: Sequence[Concept], edges: Sequence[CoOccurrence]) -> Markup | None:
    """Draw a graph; None for one without nodes.

    Args:
        nodes: Its concepts; a larger name has more documents.
        edges: Its pairs; a wider line has more documents.
    """
    if not nodes:
        return None
    boxes = _placed(nodes, edges)
    types = list(dict.fromkeys(node.type for node in nodes))
    hues = {type: HUES[i % len(HUES)] for i, type in enumerate(types)}
    most = max((edge.documents for edge in edges), default=1)
    lines = [
        (boxes[e.subject], boxes[e.object], 0.8 + 4.2 * e.documents / most, e)
        for e in sorted(edges, key=lambda e: e.documents)
    ]
    left, top, right, bottom = _edges(boxes.values())
    drawn = TEMPLATES.get_template("graph.html").render(
        nodes=[(node, boxes[node.id], hues[node.type]) for node in nodes],
        lines=lines,
        hues=hues,
        names={node.id: node.name for node in nodes},
        view=(left - 4, top - 4, right - left + 8, bottom - top + 8),
    )
    return Markup(drawn)


def _placed(nodes: Sequence[Concept], edges: Sequence[CoOccurrence]) -> dict[str, Box]:
    """Place each part of the graph that hangs together by itself, and the parts in rows, the largest first."""
    import networkx as nx

    pairs = [(e.subject, e.object) for e in edges]
    graph = nx.Graph(pairs)
    graph.add_nodes_from(node.id for node in nodes)
    boxes = _boxes(nodes)
    left = top = height = 0.0
    for part in sorted(nx.connected_components(graph), key=lambda ids: (-len(ids), min(ids))):
        own = [boxes[node.id] for node in nodes if node.id in part]
        connected = nx.Graph()  # not a subgraph, whose order would be another one in each process
        connected.add_nodes_from(b.id for b in own)
        connected.add_edges_from(pair for pair in pairs if pair[0] in part)
        _arrange(own, nx.spring_layout(connected, k=1.6 / len(own) ** 0.5, seed=7))
        push_apart(own)
        x, y, right, bottom = _edges(own)
        if left and left + right - x > _WIDTH:
            left, top, height = 0.0, top + height + 3 * _GAP, 0.0
        for box in own:
            box.x, box.y = box.x - x + left, box.y - y + top
        left, height = left + right - x + 3 * _GAP, max(height, bottom - y)
    return boxes


def _arrange(boxes: Sequence[Box], places: Mapping[str, Sequence[float]]) -> None:
    """Move boxes to places in [-1, 1], spread as far as so many need."""
    spread = 0.75 * len(boxes) ** 0.5
    for box in boxes:
        x, y = places[box.id]
        box.x, box.y = float(x) * spread * 90, float(y) * spread * 55


def _boxes(nodes: Sequence[Concept]) -> dict[str, Box]:
    """Return the names as boxes that have no place yet."""
    most = max(node.documents for node in nodes)
    boxes = {}
    for node in nodes:
        text = node.name if len(node.name) <= _LONGEST else f"{node.name[: _LONGEST - 1]}…"
        size = 12 + 7 * (node.documents / most) ** 0.5
        ems = sum(1.0 if east_asian_width(c) in "WF" else 0.6 for c in text)
        boxes[node.id] = Box(node.id, text, size, ems * size + 1.1 * size, 1.7 * size)
    return boxes


def _edges(boxes: Collection[Box]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of what boxes cover together."""
    return (
        min(b.x - b.width / 2 for b in boxes),
        min(b.y - b.height / 2 for b in boxes),
        max(b.x + b.width / 2 for b in boxes),
        max(b.y + b.height / 2 for b in boxes),
    )


def push_apart(boxes: Sequence[Box]) -> None:
    """Move boxes until none covers another one: each pair along the way that is shorter, and all of them outwards."""
    for number in range(_ROUNDS):
        moved = [_separate(a, b) for a, b in _pairs(boxes)]
        if not any(moved):
            return
        if number % 20 == 19:
            for box in boxes:
                box.x, box.y = box.x * 1.05, box.y * 1.05
    for i, box in enumerate(boxes):  # crowded beyond help: one below the other
        box.x, box.y = 0.0, i * (max(b.height for b in boxes) + _GAP)


def _pairs(boxes: Sequence[Box]) -> Iterable[tuple[Box, Box]]:
    return ((a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def _separate(a: Box, b: Box) -> bool:
    """Move two boxes that are too near apart; return whether they were."""
    x = (a.width + b.width) / 2 + _GAP - abs(a.x - b.x)
    y = (a.height + b.height) / 2 + _GAP - abs(a.y - b.y)
    if x <= 0.01 or y <= 0.01:
        return False
    if y <= x:
        step = y / 2 if a.y <= b.y else -y / 2
        a.y, b.y = a.y - step, b.y + step
    else:
        step = x / 2 if a.x <= b.x else -x / 2
        a.x, b.x = a.x - step, b.x + step
    return True
