"""Makes measurements.png: the head of a report, of the sample of fetal-head-us, as Chromium shows it.

python docs/pictures/measurements.py
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from LandmarkDetectorLib import detect, load_bundle, load_image
from LandmarkDetectorLib.measure.reports import save_measurements
from LandmarkDetectorLib.measure.subject import measure_subject

HERE = Path(__file__).parent


def main() -> None:
    """Detect, measure, write the page, take its picture."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("There is no Chromium here; install it first.")
    bundle = load_bundle("fetal-head-us")
    image = load_image(bundle.samples()[0])
    card = {**bundle.card.model_dump(mode="json"), "fingerprint": bundle.fingerprint}
    measured = measure_subject(detect(image, bundle), ["fetal-head"], subject="the sample", image=image, card=card)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        save_measurements([measured], page)
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1100,1380",
        ]
        subprocess.run([*command, f"--screenshot={HERE / 'measurements.png'}", page.as_uri()], check=True)


if __name__ == "__main__":
    main()
