"""A program that stores corrections until it is stopped, and says of each that it is stored: what a test kills.

``python writer.py STORE CASE OBSERVER [COUNT]``
"""

from __future__ import annotations

import sys

from LandmarkDetectorLib.review import Correction, ReviewStore


def main(folder: str, case: str, observer: str, count: str = "1000000") -> None:
    store = ReviewStore.open(folder)
    print("ready", flush=True)
    for number in range(int(count)):
        place = (float(number), 0.5, -1.0)
        (record,) = store.record(case, observer, Correction(f"mark {number % 7}", "corrected", place, seconds=1.0))
        print(record["number"], record["sha256"], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
