"""Does memory grow with the corpus? Peak resident memory of `scorer run` on more and more of the same rows.

    python benchmarks/memory.py MODEL_DIR DATA... [--rows 15000 30000 60000 120000] [--output FILE.json]

Files may be named more than once to make a corpus long enough; texts that come again are read, written and ranked
again, but computed once. Says at the end how the peak grew from the smallest to the largest corpus.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from command import scorer_run
from machine import machine, stamp


def main() -> None:
    """Print a line for each size, then the growth; the last line is the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--rows", nargs="+", type=int, default=[15_000, 30_000, 60_000, 120_000])
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    host = machine()
    sizes = []
    for rows in sorted(options.rows):
        size = measure(options.model, options.data, rows, options.provider)
        sizes.append(size)
        print(
            f"{size['rows']:>9,} rows   peak {size['peak_mib']:6,.0f} MiB   {size['seconds']:8.1f} s   "
            f"{size['rows'] / size['seconds']:8.1f} rows/s",
            flush=True,
        )
    first, last = sizes[0], sizes[-1]
    print(
        f"{last['rows'] / first['rows']:.1f} times the rows took {last['peak_mib'] / first['peak_mib']:.2f} times the "
        f"memory: {last['peak_mib'] - first['peak_mib']:+,.0f} MiB"
    )
    document = {"benchmark": "memory", **stamp(), "model": options.model.name, "machine": host, "sizes": sizes}
    if options.output is None:
        print(json.dumps(document))
    else:
        options.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {options.output}")


def measure(model: Path, data: list[str], rows: int, provider: str) -> dict[str, Any]:
    """One size: rows that there really were, peak memory, seconds of the whole command."""
    ran, report = scorer_run(model, data, "--provider", provider, "--limit", str(rows))
    return {"rows": report["counts"]["read"], "peak_mib": ran.peak_bytes / 2**20, "seconds": ran.seconds}


if __name__ == "__main__":
    main()
