"""What a file costs: the same rows in one file and in many, scored by the demo's model.

    python benchmarks/many_files.py [--rows 20000] [--files 1 100 1000 10000] [--format csv] [--repeats 1]

The files are made in a temporary folder. Each run is a process of its own, from starting Python to the written ranking;
the first number of files is what the others are compared with, round by round. Every run must give the same ranking.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
from harness import peak_bytes

from scorer import RunConfig, score
from scorer.cli.commands.demo import demo_corpus, demo_model
from scorer.cli.commands.doctor import diagnose

FORMATS = ("csv", "jsonl", "parquet")


def corpus(rows: int) -> pl.DataFrame:
    """Rows of the demo's corpus, with a number at the end of each text, so that none comes twice."""
    demo = pl.read_parquet(demo_corpus(), glob=False)
    repeated = pl.concat([demo] * (rows // demo.height + 1)).head(rows)
    number = pl.int_range(pl.len()).cast(pl.String)
    return repeated.with_columns(id=number, text=pl.format("{} {}", "text", number))


def write(frame: pl.DataFrame, files: int, kind: str, folder: Path) -> None:
    """The rows in so many files of about equal size."""
    folder.mkdir()
    for index in range(files):
        start, stop = (frame.height * number // files for number in (index, index + 1))
        part, file = frame.slice(start, stop - start), folder / f"{index:06d}.{kind}"
        if kind == "csv":
            part.write_csv(file)
        elif kind == "jsonl":
            part.write_ndjson(file)
        else:
            part.write_parquet(file)


def measure(data: Path, output: Path) -> None:
    """Score a folder in this process and print what it took."""
    report = score(RunConfig(model=demo_model(), data=(str(data),), output=output, provider="cpu"))
    print(json.dumps({"rows": report.counts.read, "peak_bytes": peak_bytes(), "stages": dict(report.seconds)}))


def run(data: Path, output: Path) -> dict[str, float]:
    """One run in a process of its own: seconds, rows and peak memory."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--measure", str(data), str(output)], check=True, capture_output=True, text=True
    )
    return {**json.loads(done.stdout), "seconds": time.perf_counter() - start}


def compare(options: argparse.Namespace, folder: Path) -> list[dict[str, float]]:
    """Take turns, and print a line for every number of files."""
    frame = corpus(options.rows)
    for files in options.files:
        write(frame, files, options.format, folder / f"data-{files}")
    runs: dict[int, list[dict[str, float]]] = {files: [] for files in options.files}
    for repeat in range(options.repeats):
        for files in options.files:
            runs[files].append(run(folder / f"data-{files}", folder / f"out-{files}-{repeat}"))
    rankings = [pl.read_parquet(folder / f"out-{files}-0" / "ranked.parquet", glob=False) for files in options.files]
    rows = [set(zip(ranking["row"], ranking["loss"].round(4), strict=True)) for ranking in rankings]
    if any(each != rows[0] for each in rows):
        raise SystemExit("the rankings differ between numbers of files")
    first = runs[options.files[0]]
    found = []
    print("| files | rows | seconds | times the first | peak MiB |\n| --: | --: | --: | --: | --: |")
    for files, times in runs.items():
        seconds = statistics.median(each["seconds"] for each in times)
        ratio = statistics.median(each["seconds"] / one["seconds"] for each, one in zip(times, first, strict=True))
        peak = max(each["peak_bytes"] for each in times) / 2**20
        print(f"| {files:,} | {times[0]['rows']:,} | {seconds:.1f} | {ratio:.2f} | {peak:,.0f} |")
        found.append({"files": files, "rows": times[0]["rows"], "seconds": seconds, "ratio": ratio, "peak_mib": peak})
    return found


def main() -> None:
    """Print the table and, as the last line, the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--files", type=int, nargs="+", default=[1, 100, 1_000, 10_000])
    parser.add_argument("--format", choices=FORMATS, default="csv")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = compare(options, Path(folder))
    machine = diagnose()
    print(
        json.dumps(
            {
                "benchmark": "many_files",
                "format": options.format,
                "results": found,
                "threads": machine.threads,
                "versions": {**machine.packages, **machine.onnxruntime},
            }
        )
    )


if __name__ == "__main__":
    main()
