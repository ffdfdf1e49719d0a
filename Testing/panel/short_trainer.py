"""The training worker with small networks and few steps, so that a bundle is trained in seconds.

``python -m Testing.panel.short_trainer``: the library's own worker in everything else.
"""

from __future__ import annotations

from LandmarkDetectorLib.review import new_set, worker
from LandmarkDetectorLib.training import derive, finetune

STEPS = 40

if __name__ == "__main__":
    derive.ACROSS = {2: 28, 3: 26}
    finetune.steps_within = new_set.steps_within = lambda recipe, seconds, left: dict.fromkeys(seconds, STEPS)
    worker.main()
