"""Fields of rendered corpora that are drawn again from their scenes, which takes the renderer and the grammar.

`lib.datasets_world` imports this module only when such a field is read, so that a notebook that takes what is stored
depends on neither (see ON_DEMAND there). Of a corpus with n objects and w words a scene:

image u8 [N,64,64,3], inst and inst2 u8 [N,64,64] where they are not stored; sem u8, depth f32, parts u8, damage bool
and word_mask bool [N,64,64]; lists of N entries: boxes f32 [n,4], region bool [n,64,64], phrases list[str], word_boxes
f32 [w,4], the same of the second scene of pairs as boxes2, region2 and phrases2; part_boxes f32 [n,5,4] and
part_phrases (a dict per object) of badges. Of scenes: by_lang, a dict of lists of captions by language; qa and hyp,
lists of grammar_ask.Question and Hypothesis.
"""

import numpy as np

from lib.world import badges, corpora_scenes, corpora_texts, grammar, grammar_ask, grammar_truth, languages
from lib.world.grammar_region import object_phrase
from lib.world.render import boxes, part_boxes, render, semantic

LANGUAGES = ("en", "pt", "de", "es")  # of the mini profile
BEYOND = (1 << 20) + 1  # to the index of a scene that no profile stores


def draw(field: str, corpus):
    """A field of a corpus, drawn from its scenes."""
    return FIELDS[field](corpus)


def _layer(field: str, layer: str = "", of: str = "spec"):
    def build(corpus) -> np.ndarray:
        specs = getattr(corpus, of)
        if field == "sem" and "inst" in corpus.fields:
            return np.stack([semantic(inst, spec) for inst, spec in zip(corpus.inst, specs)])
        return np.stack([getattr(render(spec, (layer,) if layer else ()), field) for spec in specs])

    return build


def _list(field: str, layer: str, of: str = "spec"):
    return lambda corpus: [getattr(render(spec, (layer,)), field) for spec in getattr(corpus, of)]


def _boxes(corpus, of: str = "spec") -> list:
    insts = corpus.inst if of == "spec" else corpus.inst2
    return [boxes(inst, len(spec.objects)) for inst, spec in zip(insts, getattr(corpus, of))]


def _phrases(corpus, of: str = "spec") -> list:
    specs = [grammar_truth.seen(corpora_texts.named(spec)) for spec in getattr(corpus, of)]
    return [[object_phrase(spec, index) for index in range(len(spec.objects))] for spec in specs]


def _by_lang(corpus) -> dict:
    found: dict[str, list] = {code: [] for code in LANGUAGES}
    for spec in corpus.spec:
        spec = corpora_texts.named(spec)
        said = grammar.caption(spec, "short", np.random.default_rng([spec.noise_seed, 1])).tuples
        for k, (code, lines) in enumerate(found.items()):
            lines.append([languages.caption(said, code, np.random.default_rng([spec.noise_seed, 2, k]))])
    return found


def _asked(function):
    """Questions or hypotheses; what is false in them is true of a scene of the same split that is stored nowhere."""

    def build(corpus) -> list:
        found, classes = [], corpus.__dict__.get("classnames")
        for index, spec in zip(corpus.index.tolist(), corpus.spec):
            far = index + BEYOND
            rng = corpora_scenes.generators(corpus.name, corpus.split, far)[0]
            other = corpora_scenes.draw(corpus.name, corpus.split, far, rng).spec
            found.append(function(spec, np.random.default_rng([spec.noise_seed, 3]), other, classes))
        return found

    return build


def _part_boxes(corpus) -> list:
    drawn = [(render(spec, ("parts",)), len(spec.objects)) for spec in corpus.spec]
    return [part_boxes(one.inst, one.parts, count) for one, count in drawn]


def _part_phrases(corpus) -> list:
    return [[badges.phrases(thing) for thing in spec.objects] for spec in corpus.spec]


FIELDS = {  # field -> function of a corpus
    "image": _layer("image"),
    "inst": _layer("inst"),
    "inst2": _layer("inst", of="spec2"),
    **{name: _layer(name, name) for name in ("sem", "depth", "parts", "damage")},
    "word_mask": _layer("word_mask", "words"),
    "region": _list("region", "region"),
    "region2": _list("region", "region", of="spec2"),
    "word_boxes": _list("word_boxes", "words"),
    "boxes": _boxes,
    "boxes2": lambda corpus: _boxes(corpus, "spec2"),
    "phrases": _phrases,
    "phrases2": lambda corpus: _phrases(corpus, "spec2"),
    "by_lang": _by_lang,
    "qa": _asked(grammar_ask.qa),
    "hyp": _asked(grammar_ask.hypotheses),
    "part_boxes": _part_boxes,
    "part_phrases": _part_phrases,
}
