"""Train a generator: ``ray job submit --working-dir . -- python jobs/train_generator.py --config FILE``."""

from llmner.cli import run

if __name__ == "__main__":
    run("train", "generator")
