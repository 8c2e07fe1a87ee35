"""The two-way grammar of scenes: `caption` says a `Spec`, `parse` understands what was said, `holds` judges it.

Texts that are no captions have modules of their own: `grammar_alt` (web texts, the ladder of quality), `grammar_ask`
(questions, hypotheses), `grammar_change` and `grammar_change_say` (what differs between two scenes, steps),
`grammar_pairs` (minimal pairs, compositions), `grammar_region` (phrases of regions), `grammar_prompts`, `grammar_video`
(goals, speech) and `grammar_form` (well-formedness).

Each factor of a scene is mentioned by an independent draw at its rate in `MENTION`. Phrases come from the tables of
`kb`; `grammar_say` puts them together, `grammar_parse` takes them apart, `grammar_truth` says what is true.
"""

from collections.abc import Mapping

import numpy as np

from lib.world import grammar_truth as truth
from lib.world import kb
from lib.world.grammar_alt import LADDER_KINDS
from lib.world.grammar_long import LONG_KINDS
from lib.world.grammar_parse import Parsed, parse
from lib.world.grammar_rates import MENTION, rates_of
from lib.world.grammar_say import FRAMES, SHORT_KINDS, Caption
from lib.world.grammar_truth import tuples
from lib.world.spec import Spec

__all__ = ["MENTION", "Caption", "Parsed", "caption", "fill", "holds", "parse", "templates", "tuples"]

KINDS = SHORT_KINDS | LONG_KINDS | LADDER_KINDS


def caption(
    spec: Spec, kind: str, rng: np.random.Generator, frames: str = "seen", mention: Mapping[str, float] | None = None
) -> Caption:
    """Say a scene. The text depends on the arguments alone.

    `kind`: "short" (at most 16 words on one or two objects, of many the largest), "class_only" (their classes and
    nothing else), "long" (the short caption, then local sentences, 40 to 90 words where there is an object). Of the
    largest object alone: "main" (as short), "main_only" (its class), "exact" (every look), "colour_of" ("the color of
    the cup is red"), "generic" ("a striped thing"), "attribute" ("something striped"), "main_long" (long after
    main_only). "family" (by family words), "alt" (`grammar_alt.alt_text`), and the ladder "q1", "q2", "q3".
    `frames`: "seen", "held_out" or "second". `mention` replaces rates of `MENTION`; kinds that say nothing else
    ignore it. Raises ValueError naming an unknown value.
    """
    if kind not in KINDS:
        raise ValueError(f"caption kind '{kind}' is unknown; choose one of {', '.join(KINDS)}")
    rates = rates_of(tuple(sorted(mention.items())) if mention else ())
    return KINDS[kind](truth.seen(spec), rng, _known(frames), rates)


def templates(frames: str = "seen") -> list[str]:
    """The frames as prompts for class names, such as "a picture of a {}". `fill` sets the article right."""
    return [one.replace("{}", "a {}") for one, _ in FRAMES[_known(frames)]]


def fill(template: str, name: str) -> str:
    """A prompt with a class name and its article: "a picture of an anchor", "a picture of a pair of scissors"."""
    return f" {template}".replace(" a {}", f" {kb.noun_phrase(name)}").replace("{}", name)[1:]


def holds(spec: Spec, phrase: str) -> bool:
    """Whether everything a phrase says is true of the scene. Raises ValueError naming words it does not understand."""
    said = parse(phrase)
    if said.rest:
        raise ValueError(f"'{phrase}' cannot be parsed: {', '.join(map(repr, said.rest))} not understood")
    if not said.tuples:
        raise ValueError(f"'{phrase}' says nothing that could be true or false")
    positive = frozenset(item for item in said.tuples if item[0] != "not")
    if any(item[0] == "change" for item in positive):
        raise ValueError(f"'{phrase}' speaks of a change; ask grammar_change.changed about two scenes")
    return positive <= tuples(spec) and all(truth.denied(spec, item) for item in said.tuples - positive)


def _known(frames: str) -> str:
    if frames not in FRAMES:
        raise ValueError(f"frames '{frames}' are unknown; choose one of {', '.join(FRAMES)}")
    return frames
