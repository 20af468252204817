"""What ``llmner plan`` says against what a run of the same inputs then takes, both as commands.

The models are measured on a sample first (``plan --measure``), as a user would; the run is timed from its start to its
end, with Ray's start and the models' loading.

    python tests/benchmarks/plan.py [--documents 200] [--config FILE]
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

SENTENCES = (
    "Patients with chronic kidney disease received dapagliflozin at {n} mg once a day for 24 weeks.",
    "Serum creatinine fell by {n} percent, and no case of ketoacidosis was seen in the treated group.",
    "Expression of IL-6 and of the NF-kappa B p65 subunit was lower in peripheral blood monocytes (n = {n}).",
    "Nausea, dizziness and urinary tract infection were the most frequent adverse events.",
    "The cohort was followed for {n} months, and those who were lost are described in the supplement.",
    "We conclude that early treatment delays heart failure in type 2 diabetes mellitus.",
)
SAMPLE = Path(__file__).resolve().parents[2] / "configs" / "jobs" / "sample.yaml"


def write_inputs(file: Path, number: int) -> None:
    """Write documents of three to twelve sentences."""
    rng = random.Random(1)
    with file.open("w", encoding="utf-8") as stream:
        for i in range(number):
            sentences = (rng.choice(SENTENCES).format(n=rng.randint(2, 400)) for _ in range(rng.randint(3, 12)))
            stream.write(json.dumps({"id": f"d{i}", "text": " ".join(sentences)}) + "\n")


def main(
    documents: Annotated[int, typer.Option(help="Documents.")] = 200,
    config: Annotated[Path, typer.Option(help="Job, for all but inputs and output.")] = SAMPLE,
) -> None:
    """Plan, run, compare."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "in.jsonl"
        write_inputs(inputs, documents)
        command = [sys.executable, "-m", "llmner"]
        asked = [str(inputs), "--config", str(config)]
        plan = subprocess.run([*command, "plan", *asked, "--measure"], capture_output=True, text=True, check=True)
        print(plan.stdout)
        said = re.search(r"^\W*time\W+([\d.,]+) (min|h)", plan.stdout, re.MULTILINE)
        assert said, plan.stdout + plan.stderr
        planned = float(said[1].replace(",", "")) * {"min": 60, "h": 3600}[said[2]]
        started = time.monotonic()
        output = ["--output", f"{folder}/out"]
        subprocess.run([*command, "extract", *asked, *output], capture_output=True, check=True)
        took = time.monotonic() - started
    print(f"planned {planned:.0f} s, took {took:.0f} s: {planned / took:.2f} of it")


if __name__ == "__main__":
    typer.run(main)
