"""The templates of the pages; what they are given is untrusted and escaped by the engine.

Invariant: a page extends ``page.html`` and stands alone: style and plots are inline, it has no script, and its content
security policy forbids to load anything.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, auto_reload=False
)

# Hues (degrees) that are told apart well, the most different first.
HUES = (255, 30, 150, 320, 85, 200, 0, 120, 285, 60, 175, 230)
