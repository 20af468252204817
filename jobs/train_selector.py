"""Train a selector: ``ray job submit --working-dir . -- python jobs/train_selector.py --config FILE``."""

from llmner.cli import run

if __name__ == "__main__":
    run("train", "selector")
