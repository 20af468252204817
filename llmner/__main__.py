"""``python -m llmner``."""

from llmner.cli import app

app(prog_name="llmner")
