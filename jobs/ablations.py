"""Train and measure variants: ``ray job submit --working-dir . -- python jobs/ablations.py --config FILE``."""

from llmner.cli import run

if __name__ == "__main__":
    run("train", "ablations")
