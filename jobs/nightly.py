"""Extract what is new: ``ray job submit --working-dir . -- python jobs/nightly.py --config FILE``."""

from llmner.cli import run

if __name__ == "__main__":
    run("nightly")
