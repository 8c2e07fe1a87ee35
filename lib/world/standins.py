"""Stand-ins for the models that papers lean on: small seeded functions whose error rates are parameters.

What each may see is all it is given:

describer   `describe`, `contrast`   rows of a class table, never a scene or a picture
rewriter    `rewrite`, `rewrites`    caption strings
fuser       `fuse`                   an alt text and a captioner's string
noun miner  `mine_nouns`             caption strings
proposer    `propose`                two lists of caption strings
translator  `translate`              caption strings (and the tables of `languages`)
text noise  `eda`, `corrupt`         one string
captioner   `recaption`              scenes, with slots lost and confused
detector    `detect`, `wear`, `segment`   true boxes, phrases and masks, degraded
judge       `judge`                  the truth of scenes

Functions of lists take a seed, and line i depends on the inputs of line i, on i and on the seed alone; functions that a
training loop calls for one example take a generator. `LIMITS` has the sentence that a notebook prints beside each.
"""

from types import MappingProxyType

from lib.world.languages import LANGUAGES, translate
from lib.world.standins_describe import (
    Line,
    clause,
    contrast,
    describe,
    load_descriptors,
    load_pairs,
    rows,
    texts,
    write,
)
from lib.world.standins_noise import (
    CORRUPTIONS,
    corrupt,
    delete_words,
    eda,
    remove_stop_words,
    swap_words,
    synonym,
)
from lib.world.standins_scene import SEEN, SEGMENTS, Detections, Segments, detect, judge, recaption, segment, wear
from lib.world.standins_strings import STYLES, fuse, mine_nouns, propose, rewrite, rewrites

__all__ = [
    "CORRUPTIONS", "LANGUAGES", "LIMITS", "SEEN", "SEGMENTS", "STYLES", "Detections", "Line", "Segments", "clause",
    "contrast", "corrupt", "delete_words", "describe", "detect", "eda", "fuse", "judge", "load_descriptors",
    "load_pairs", "mine_nouns", "propose", "recaption", "remove_stop_words", "rewrite", "rewrites", "rows", "segment",
    "swap_words", "synonym", "texts", "translate", "wear", "write",
]  # fmt: skip

LIMITS = MappingProxyType(
    {
        "describer": "It recites a table: neither a language model's knowledge of the world nor its mistakes show.",
        "rewriter": "It permutes frames, order and a few synonyms: a language model's wording, knowledge and "
        "inventions do not show.",
        "fuser": "It merges two parsed strings: neither the judgement nor the refusals of a language model show.",
        "translator": "It replaces words by a dictionary with random slips: neither idiom nor the transfer "
        "from pre-training on real corpora shows.",
        "noun miner": "It knows every noun of a closed world: the errors of a tagger on unknown words do not show.",
        "proposer": "It counts phrases of captions: neither abstraction nor knowledge of the world shows.",
        "captioner": "Its slips do not depend on what a picture looks like: neither the hallucinations of a multimodal "
        "model nor what it finds hard to see show.",
        "detector": "It gives true boxes with independent noise: neither an open vocabulary nor errors that follow "
        "from what objects look like show.",
        "judge": "It knows the truth and errs by coin flips: the bias of a model that judges does not show.",
        "text noise": "Its synonyms are rows of a table: replacements that change the meaning do not show.",
    }
)
