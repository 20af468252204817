"""The public surface is a decision: names and signatures are those of ``public_api.txt``.

To change it, change the file: ``python tests/test_public_api.py > tests/public_api.txt``.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path

import llmner

COMMITTED = Path(__file__).with_name("public_api.txt")


def surface() -> Iterator[str]:
    """A line for each public name, and for each public attribute and method of a class."""
    for name in sorted(llmner.__all__):
        value = getattr(llmner, name)
        yield f"{name}{inspect.signature(value)}"
        if not inspect.isclass(value):
            continue
        for attribute, member in sorted(vars(value).items()):
            if attribute.startswith("_") and attribute != "_repr_html_" and attribute != "__rich__":
                continue
            yield f"{name}.{attribute}{inspect.signature(member) if inspect.isfunction(member) else ''}"


def test_names_and_signatures_are_the_committed_ones() -> None:
    assert list(surface()) == COMMITTED.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    print(*surface(), sep="\n")
