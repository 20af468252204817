"""What `llmner plan` says beside what the run then takes.

A run of some documents leaves its rate; with it 200 others are planned and then extracted, by the commands as a person
gives them. Time is from the start of a command to its end. On a machine that others use, too, rates change from one run
to the next, and so does the ratio.

    python tests/benchmarks/plan.py [--documents 200] [--before 60]
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

SUBJECTS = (
    "Patients with chronic kidney disease",
    "Adults with type 2 diabetes mellitus and hypertension",
    "Mice with experimental colitis",
    "Children with acute lymphoblastic leukemia",
    "Rats that had been given streptozotocin",
)
TREATMENTS = ("dapagliflozin", "low-dose methotrexate", "propranolol", "a single dose of ketamine", "oral vancomycin")
SENTENCES = (
    "{subject} received {treatment} at {n} mg a day for {m} weeks.",
    "Under {treatment}, nausea and dizziness were seen in {n} of {m}00 cases, and no one had a seizure.",
    "Serum creatinine fell by {n} percent ({m} in the placebo group), which speaks against renal toxicity.",
    "In peripheral blood monocytes (n = {m}), expression of IL-6 and of the NF-kappa B p65 subunit was lower.",
    "{subject} had less proteinuria when {treatment} was begun within {n} days.",
    "We conclude that {treatment} delays heart failure, but may cause hypotension at more than {m} mg.",
)


def main(
    documents: Annotated[int, typer.Option(help="Documents that are planned and extracted.")] = 200,
    before: Annotated[int, typer.Option(help="Documents of the run that leaves the rate.")] = 60,
) -> None:
    """Measure and print both times and their ratio."""
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "before.jsonl", before, random.Random(1))
        _write(folder / "planned.jsonl", documents, random.Random(2))
        _llmner("extract", str(folder / "before.jsonl"), "--output", str(folder / "first"))
        planned = _minutes(_llmner("plan", str(folder / "planned.jsonl")))
        started = time.monotonic()
        _llmner("extract", str(folder / "planned.jsonl"), "--output", str(folder / "second"))
        took = (time.monotonic() - started) / 60
    ratio = planned / took
    console.print(f"{documents} documents: planned {planned:.1f} min, took {took:.1f} min, ratio {ratio:.2f}")


def _write(path: Path, documents: int, rng: random.Random) -> None:
    """Write documents of two to six sentences."""
    with path.open("w", encoding="utf-8") as file:
        for i in range(documents):
            text = " ".join(_sentence(rng) for _ in range(rng.randint(2, 6)))
            file.write(json.dumps({"id": str(i), "text": text}) + "\n")


def _sentence(rng: random.Random) -> str:
    subject, treatment = rng.choice(SUBJECTS), rng.choice(TREATMENTS)
    return rng.choice(SENTENCES).format(
        subject=subject, treatment=treatment, n=rng.randint(2, 90), m=rng.randint(5, 99)
    )


def _llmner(*arguments: str) -> str:
    """Run a command and return what it shows."""
    command = [sys.executable, "-m", "llmner", *arguments]
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def _minutes(shown: str) -> float:
    """Return the time that a plan says."""
    found = re.search(r"│ time +│ ([\d.,]+) (h|min)", shown)
    if found is None:
        raise SystemExit(f"the plan says no time:\n{shown}")
    return float(found[1].replace(",", "")) * (60 if found[2] == "h" else 1)


if __name__ == "__main__":
    typer.run(main)
