"""Does every model train and predict at full size: 128³, paper preset, batch 2, on a CPU within 20 GiB?

    python benchmarks/full_size.py [WORK] [--models sanet,swin,...]

On a simulated cohort of ten studies (six to train, two to validate, two to test), one epoch a model: three
training steps of two scans, then predictions for all ten. Each model is a `pefuse compare` of its own in the same
run folder, so the memory is that of its own training alone, its encoders being finished. Prints Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from pefuse.machine import allowed_cores

# Bilinear attention and the fine-tuned bottleneck send the loss through both encoders: the largest of all.
MODELS = (
    "xgboost", "tabnet", "sanet", "swin", "late-average", "late-vote", "late-tabnet", "late-xgboost", "early",
    "intermediate-sanet", "intermediate-swin", "intermediate-sanet-bilinear", "intermediate-swin-bilinear", "mbt",
)  # fmt: skip
LIMIT_GIB = 20
SETTINGS = (
    "folds=1",
    "late.nested_parts=2",
    "fusion.network.fitted.components=2",  # six training cases have no more
    "mbt.schedule=fine-tune",
    *(f"{part}.loop.epochs=1" for part in ("sanet", "swin", "tabnet", "late", "fusion", "mbt")),
    "fusion.joint.epochs=1",
    "mbt.joint.epochs=1",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?", default=Path("bench/full_size"))
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    cohort, run = options.work / "cohort", options.work / "run"
    if not cohort.exists():
        pefuse("simulate", cohort, "--patients", "10", "--prevalence", "0.4")
    pefuse("prepare", cohort)
    print(f"128³, paper preset, batch 2, {allowed_cores()} cores, torch {torch.__version__}, ", end="")
    print(f"{datetime.date.today().isoformat()}\n")
    print(f"| model | cells | their time, s | peak GiB (limit {LIMIT_GIB}) |\n|---|---|---|---|")
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    for model in options.models.split(","):
        started = time.time()
        peak_gib = pefuse("compare", cohort, "--out", run, "--preset", "paper", "--models", model, *settings)
        cells = finished_since(run, started)
        print(f"| {model} | {len(cells)} | {sum(cells):.0f} | {peak_gib:.1f} |", flush=True)


def pefuse(*words: object) -> float:
    """Run the command; returns the largest resident memory of any of its processes, in GiB."""
    child = subprocess.Popen(
        [sys.executable, "-m", "pefuse", *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    said = child.stderr.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(said)
    return usage.ru_maxrss / 2**20


def finished_since(run: Path, moment: float) -> list[float]:
    """Seconds of each cell that was finished after that moment."""
    events = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        event["seconds"]
        for event in events
        if event["event"] == "cell finished"
        and datetime.datetime.fromisoformat(event["time"]).timestamp() >= moment
    ]


if __name__ == "__main__":
    main()
