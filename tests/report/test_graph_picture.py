"""The picture of a graph: boxes that do not cover one another, names as they are, the same each time."""

from itertools import combinations

import lxml.html
from hypothesis import given
from hypothesis import strategies as st

from llmner.concepts import Concept, CoOccurrence
from llmner.report.graph import Box, graph_picture, push_apart


@given(
    st.lists(
        st.builds(
            Box,
            st.just("id"),
            st.just("name"),
            st.just(12.0),
            st.floats(20, 300),
            st.floats(20, 40),
            st.floats(-300, 300),
            st.floats(-200, 200),
        ),
        max_size=25,
    )
)
def test_no_box_covers_another(boxes: list[Box]) -> None:
    push_apart(boxes)
    for a, b in combinations(boxes, 2):
        assert abs(a.x - b.x) >= (a.width + b.width) / 2 or abs(a.y - b.y) >= (a.height + b.height) / 2


def test_a_picture_shows_names_as_they_are() -> None:
    nodes = [
        Concept("A:1", "<b>gout</b>", "disease", 9),
        Concept("A:2", "秋水仙碱", "chemical", 4),
        Concept("A:3", "x", "x", 1),
    ]
    edges = [CoOccurrence("A:1", "A:2", 3, 12.5)]
    picture = graph_picture(nodes, edges)
    assert picture == graph_picture(nodes, edges)
    root = lxml.html.fragment_fromstring(str(picture))
    assert [text.text for text in root.iter("text")] == ["<b>gout</b>", "秋水仙碱", "x"]
    titles = [title.text for title in root.iter("title")]
    assert titles[0] == "<b>gout</b> and 秋水仙碱: 3 documents, log-likelihood 12.5"
    assert titles[1] == "<b>gout</b> (A:1, disease): 9 documents"


def test_nothing_gives_no_picture() -> None:
    assert graph_picture([], []) is None
