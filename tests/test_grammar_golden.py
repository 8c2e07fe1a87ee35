"""Base captions are the training data of the base models: of scenes without newer factors they never change a byte."""

import hashlib
import time

import numpy as np

from lib.world import kb
from lib.world.grammar import caption, parse, tuples
from lib.world.grammar_noun import More
from lib.world.spec import Background, Light, Object, Spec

KINDS = [("short", "seen"), ("short", "held_out"), ("class_only", "seen"), ("long", "seen"), ("long", "held_out")]
MENTIONS = (None, None, {"terse": 0.0}, {"terse": 0.6, "colour": 0.2})
DIGEST = "b83d80a28cd13d8b"


def scene(rng):
    """A scene of the factors that the first base had, from uniform draws alone."""
    draws = iter(rng.random(128).tolist()).__next__

    def one(options):
        return options[int(draws() * len(options))]

    classes = [name for name, kind in kb.classes().items() if "Z" not in kind.roles]
    number, same = 1 + int(draws() * draws() * 7), one(classes) if draws() < 0.2 else ""
    things = [
        Object(same or one(classes), one(list(kb.values("colour"))), one(list(kb.values("fill"))), "white",
               round(6 + 20 * draws(), 1), round(draws(), 3), round(draws(), 3), round(360 * draws(), 1), draws() < 0.1,
               1 + int(draws() * 10))
        for _ in range(number)
    ]  # fmt: skip
    ground, light = one(list(kb.values("background"))), one(["", "", "", "dark", "dim", "bright"])
    return Spec(tuple(things), Background(ground), Light(word=light), style=one(list(kb.values("style"))))


def test_five_hundred_base_captions_keep_their_bytes():
    digest = hashlib.sha256()
    for index in range(500):
        rng = np.random.Generator(np.random.PCG64(index))
        spec = scene(rng)
        kind, frames = KINDS[index % len(KINDS)]
        said = caption(spec, kind, rng, frames=frames, mention=MENTIONS[index % len(MENTIONS)])
        digest.update(repr((said.text, said.sentences, sorted(map(repr, said.tuples)))).encode())
        digest.update(repr(rng.random()).encode())  # as many draws as ever
    assert digest.hexdigest()[:16] == DIGEST


def test_scenes_without_newer_factors_draw_nothing_for_them():
    rng = np.random.default_rng(0)
    assert all(More.of(scene(rng), rng) is None for _ in range(100))


def test_captions_and_parses_are_cheap():
    """Generous: idle, a caption takes 10 us, a parse 10 us, all true tuples 15 us."""
    rng = np.random.default_rng(1)
    specs = [scene(rng) for _ in range(1000)]
    texts = [caption(spec, "short", rng).text for spec in specs]
    for work, limit in (
        (lambda: [caption(spec, "short", rng) for spec in specs], 60),
        (lambda: [parse(text) for text in texts], 60),
        (lambda: [tuples(spec) for spec in specs], 150),
    ):
        microseconds = []
        for _ in range(3):
            start = time.process_time()
            work()
            microseconds.append((time.process_time() - start) / len(specs) * 1e6)
        assert min(microseconds) < limit
