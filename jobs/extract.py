"""Extract: ``ray job submit --working-dir . -- python jobs/extract.py --config FILE``."""

from llmner.cli import run

if __name__ == "__main__":
    run("extract")
