"""An extraction job for a cluster: ``ray job submit --working-dir . -- python jobs/extract.py --config FILE``."""

import sys

from llmner.cli import app

if __name__ == "__main__":
    app(["extract", *sys.argv[1:]])
