"""Stand-ins that read strings and write strings: rewriter, fuser, noun miner, proposer.

They understand a text through the world's grammar and its synonym tables, never through a Spec or a picture. Line i of
an answer depends on its texts, on i and on `seed` alone, so that a stored list stays aligned with its captions.
"""

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from lib.world import kb
from lib.world.grammar_parse import bare, parse
from lib.world.languages_say import GRAMMARS, KINDS, say, words
from lib.world.standins_slots import Noun, Said, degrade, domain, factor_of, read, spans

_ENGLISH = GRAMMARS["en"]
STYLES = MappingProxyType(  # no frame is one of the captions or of the describer
    {
        "terse": replace(
            _ENGLISH, articles=(), several=("",), adjectives="after", after=("{noun} ({looks})",) * 2,
            looks_joint=", ", parts_joint=", ", joint="; ", frames=("{}", "tags: {}", "label: {}"),
        ),
        "sentence": replace(
            _ENGLISH, frames=("someone has drawn {}", "we can make out {}", "it depicts {}", "what it holds is {}")
        ),
        "ornate": replace(
            _ENGLISH,
            frames=("behold {}, made with great care", "a fine work of art: {}", "how lovely: {}, a joy for us all"),
        ),
        "paraphrase": replace(
            _ENGLISH, adjectives="after", after=("{noun} that is {looks}", "{noun} that are {looks}"),
            looks_joint=" and ", scene="first", frames=("before us: {}", "this time, {}", "now {}", "and so, {}"),
        ),
    }
)  # fmt: skip
SCENE_FRAME = "it is all {}"  # for sentences without a noun
FUSED_FRAME = "in short, {}"
MAX_NOUNS = 20
_MATERIALS = ("grass", "sand", "water", "snow", "sky", "night", "brick", "wood")


def _rng(tag: str, seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(tag.encode()), seed, index])


def _chooser(rng: np.random.Generator):
    return lambda options: options[int(rng.random() * len(options))]


def rewrite(texts: Sequence[str], seed: int, style: str, p_drop: float = 0.1, p_halluc: float = 0.05) -> list[str]:
    """Each text anew in a style of `STYLES`: another frame, order and choice of synonyms, sentence by sentence.

    `p_drop` is the probability that a look, number, relation or scene word is lost; `p_halluc` that a text gains a
    colour, fill or size that it does not state. At rates 0 `parse` finds the same tuples. Words that the grammar does
    not know are lost, and so are sentences that say nothing; a text of which it knows nothing, or a sentence that it
    cannot say back, stays as it is. Raises ValueError for an unknown style or rate.
    """
    if style not in STYLES:
        raise ValueError(f"style '{style}' is unknown; choose one of {', '.join(STYLES)}")
    if not 0 <= p_halluc <= 1:
        raise ValueError(f"p_halluc {p_halluc} is outside 0..1")
    return [_rewrite(text, style, _rng(f"rewrite/{style}", seed, i), p_drop, p_halluc) for i, text in enumerate(texts)]


def rewrites(texts: Sequence[str], seed: int, p_drop: float = 0.1, p_halluc: float = 0.05) -> dict[str, list[str]]:
    """The K = 4 versions of each text by style, aligned with `texts`."""
    return {style: rewrite(texts, seed, style, p_drop, p_halluc) for style in STYLES}


def _rewrite(text: str, style: str, rng: np.random.Generator, p_drop: float, p_halluc: float) -> str:
    parts = [part.strip(" .") for part in text.split(". ")]
    parts = [part for part in parts if part]
    adds = rng.random() < p_halluc
    found = []
    for part in parts:
        said, tuples = read(part), parse(part).tuples
        if said.tuples != tuples:
            found.append(part)
        if not tuples or said.tuples != tuples:
            continue
        kept = degrade(said, rng, drop=p_drop, keep_names=True)
        if adds and kept.nouns:
            kept, adds = _hallucinate(kept, said, rng), False
        if kept.count:
            frame = None if kept.nouns or style == "terse" else SCENE_FRAME
            new = say(kept, "en", _chooser(rng), STYLES[style], frame)
            found.append(new if parse(new).tuples == kept.tuples else part)
    return (". ".join(found) + ("." if len(found) > 1 else "")) or text


def _hallucinate(kept: Said, said: Said, rng: np.random.Generator) -> Said:
    """One more look on one noun, of a factor that the text leaves open. Unchanged where none is open."""
    at = int(rng.integers(len(kept.nouns)))
    stated = {factor for factor, _ in said.nouns[at].looks}
    open_factors = [factor for factor in ("colour", "fill", "size") if factor not in stated]
    if not open_factors:
        return kept
    factor = open_factors[int(rng.integers(len(open_factors)))]
    values = domain(factor)
    noun = kept.nouns[at]
    noun = replace(noun, looks=((factor, values[int(rng.integers(len(values)))]), *noun.looks))
    return replace(kept, nouns=(*kept.nouns[:at], noun, *kept.nouns[at + 1 :]))


def fuse(alts: Sequence[str], captions: Sequence[str], seed: int, p_lose: float = 0.4) -> list[str]:
    """One sentence from each pair of an alt text and a captioner's string, in one fixed style.

    Looks, relations and scene come from the caption; a class named by the alt text replaces the family word of the
    caption that it belongs to, unless it is lost, which happens with probability `p_lose` a pair. Fillers and classes
    that contradict the caption are dropped. Where the alt text names no class or the caption says nothing, the
    caption stays.
    """
    if len(alts) != len(captions):
        raise ValueError(f"{len(alts)} alt texts and {len(captions)} captions do not pair up")
    if not 0 <= p_lose <= 1:
        raise ValueError(f"p_lose {p_lose} is outside 0..1")
    return [_fuse(*pair, _rng("fuse", seed, i), p_lose) for i, pair in enumerate(zip(alts, captions, strict=True))]


def _fuse(alt: str, caption: str, rng: np.random.Generator, p_lose: float) -> str:
    said, kinds, lost = read(caption), kb.classes(), rng.random() < p_lose
    fine = [noun.name for noun in read(alt).nouns if noun.name in kinds]
    if not fine or not said.nouns:
        return caption
    nouns = []
    for noun in said.nouns:
        fits = [name for name in fine if kinds[name].family == noun.name]
        if fits and not lost:
            fine.remove(fits[0])
            noun = replace(noun, name=fits[0])
        nouns.append(noun)
    return say(replace(said, nouns=tuple(nouns)), "en", lambda options: options[0], frame=FUSED_FRAME)


def mine_nouns(
    texts: Sequence[str],
    seed: int = 0,
    phrases: bool = False,
    stuff: bool = True,
    p_miss: float = 0.0,
    p_false: float = 0.0,
) -> list[list[str]]:
    """Nouns of each text as they are said, without repeats, at most 20.

    `phrases` keeps the adjectives before a noun ("small red cat"); `stuff` adds materials of the ground ("grass").
    Words such as "picture" or "something" are no nouns. `p_miss` is the probability that a noun is overlooked,
    `p_false` that a text gets a class it does not mention.
    """
    return [_nouns(text, _rng("nouns", seed, i), phrases, stuff, p_miss, p_false) for i, text in enumerate(texts)]


def _nouns(text: str, rng: np.random.Generator, phrases: bool, stuff: bool, p_miss: float, p_false: float) -> list[str]:
    found, before = [], []
    for span in spans(text):
        if span.kind == "attribute":
            before.append(span.text)
            continue
        if span.kind == "noun" and span.value != kb.ANY:
            found.append(" ".join([*before, span.text]) if phrases else span.text)
        elif stuff and span.kind == "scene" and span.value in _MATERIALS:
            found.append(bare(span.text))
        if span.text != "and":
            before = []
    found = [noun for noun in dict.fromkeys(found) if not p_miss or rng.random() >= p_miss]
    if p_false and rng.random() < p_false:
        said = {noun.name for noun in read(text).nouns}
        names = [name for name in kb.classes() if name not in said]
        found.append(names[int(rng.integers(len(names)))])
    return found[:MAX_NOUNS]


# ------------------------------------------------------------------------------------------------------- proposer


def propose(
    a: Sequence[str],
    b: Sequence[str],
    seed: int,
    rounds: int = 3,
    sample: int = 20,
    count: int = 10,
    p_slip: float = 0.0,
) -> list[str]:
    """Phrases that captions of set A say more often than captions of set B, best first within each round.

    Each round draws `sample` captions of either list without replacement and adds its `count` best phrases by
    log-odds with add-one smoothing: runs of at most four words that the grammar understands, and each tuple in its
    plainest words. `p_slip` is the share of picks replaced by any phrase of the captions. No phrase comes twice.
    """
    if sample > min(len(a), len(b)):
        raise ValueError(f"sample {sample} is more than the {len(a)} and {len(b)} captions there are")
    rng, found = _rng("propose", seed, 0), []
    said = [[_phrases(text) for text in texts] for texts in (a, b)]
    for _ in range(rounds):
        drawn = [[group[i] for i in rng.choice(len(group), sample, replace=False)] for group in said]
        counts = [Counter(phrase for phrases in group for phrase in phrases) for group in drawn]
        scores = {phrase: _log_odds(counts[0][phrase], counts[1][phrase], sample) for phrase in counts[0] | counts[1]}
        best = sorted(scores, key=lambda phrase: (-scores[phrase], -counts[0][phrase], phrase))[:count]
        every = sorted(scores)
        found += [every[int(rng.integers(len(every)))] if p_slip and rng.random() < p_slip else one for one in best]
    return list(dict.fromkeys(found))


def _log_odds(a: int, b: int, n: int) -> float:
    return math.log((a + 1) / (n - a + 1)) - math.log((b + 1) / (n - b + 1))


def _phrases(text: str, longest: int = 4) -> set[str]:
    """Every phrase of a caption that may name a difference."""
    found, runs = set(), spans(text)
    for start, first in enumerate(runs):
        run = ""
        for span in runs[start:]:
            if not (span.kind or span.text in kb.stop_words()):
                break
            run = f"{run} {span.text}".strip()
            if run.count(" ") >= longest:
                break
            if first.kind and span.kind and _allowed(run):
                found.add(run)
    return found | {plain for item in parse(text).tuples if (plain := _plain(item))}


def _allowed(words: str) -> bool:
    said = parse(words)
    return bool(said.tuples) and not said.rest


def _plain(item: tuple) -> str:
    """A tuple in its plainest words: ("attribute", "cat", "red") is "red"; "" for kinds without one."""
    kind, value = item[0], item[-1]
    if kind == "word":
        return f'the word "{value}"'
    if kind == "object" and value != kb.ANY:
        return words("en", "noun", value)[0].text
    if kind == "attribute":
        return words("en", KINDS[factor_of(value)], value)[0].text
    if kind == "scene":
        return words("en", "scene", value)[0].text
    if kind == "relation":
        return f"something {words('en', 'relation', item[2])[0].text} something"
    if kind == "count" and value != 1:
        return say(Said((Noun(kb.ANY, (), value),)), "en", lambda options: options[0], frame="{}")
    return ""
