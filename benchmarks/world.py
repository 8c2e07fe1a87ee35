"""How fast scenes are drawn: `python benchmarks/world.py [preset ...]`, in scenes per second of CPU time on one core.

sample: a Spec from its random numbers; render: its picture, masks and boxes; caption: a short one. The target is 2,000
rendered scenes a second on the common presets (scenes/base, scenes/full, objects/plain, objects/styles). Times go to
the terminal and into no result.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.world import corpora, corpora_texts, grammar
from lib.world.render import render

NUM = 600  # scenes of a preset, gone through twice: the first time, which fills the tables of glyphs, is not counted


def per_second(work, items) -> tuple[float, list]:
    """Items per second of CPU time, and what came of them."""
    for item in items:
        work(item)
    start = time.process_time()
    found = [work(item) for item in items]
    return len(items) / (time.process_time() - start), found


def main(names: list[str]) -> None:
    """Print a line for each preset."""
    print(f"{'preset':20} {'sample/s':>9} {'render/s':>9} {'caption/s':>9}")
    for name in names or [name for name in corpora.SIZES if name.startswith(("scenes/", "objects/"))]:
        drawing, drawn = per_second(lambda index, name=name: corpora.example(name, "val", index), list(range(NUM)))
        drawn = [(corpora_texts.named(spec), rng) for spec, rng in drawn]
        rendering, _ = per_second(lambda one: render(one[0]), drawn)
        saying, _ = per_second(lambda one: grammar.caption(one[0], "short", one[1]), drawn)
        print(f"{name:20} {drawing:9.0f} {rendering:9.0f} {saying:9.0f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
