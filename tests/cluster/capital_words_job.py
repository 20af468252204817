"""The job that the cluster runs: capitalised words as mentions, short ones kept. Given are the job and the seconds."""

import json
import sys

from capital_words import run, selection

from llmner.config import JobConfig

if __name__ == "__main__":
    seconds = float(sys.argv[2])
    run(JobConfig.model_validate(json.loads(sys.argv[1])), seconds, selection=selection(seconds=seconds / 4))
