"""Captions in ten small languages: said from tuples, read back, translated by a noisy dictionary.

Stand-in for a translating language model. It sees strings and tuples only. What it cannot show: the transfer that a
text encoder brings from pre-training on real corpora of these languages, and the idiom of real translations.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from lib.world.languages_say import GRAMMARS, Word, lexicon, noun_form, say, words
from lib.world.standins_slots import LANDS, THINGS, Noun, Said, degrade, domain, factor_of, scene_factor
from lib.world.standins_slots import read as read_english

__all__ = ["LANGUAGES", "caption", "caption_from_above", "read", "say", "translate"]

LANGUAGES = tuple(GRAMMARS)  # English first
_MARKS = str.maketrans({mark: " " for mark in ':"()'} | {mark: f" {mark} " for mark in ".,;!?"})
ALIASES = {"plane": "airplane"}  # names of things seen from above that are classes


def caption(said, language: str, rng: np.random.Generator, p_error: float = 0.0) -> str:
    """A native caption of tuples (as `parse` gives them) or of slots, each said wrong with probability `p_error`."""
    said = said if isinstance(said, Said) else Said.of(said)
    return say(degrade(said, rng, confuse=p_error), language, lambda options: options[int(rng.random() * len(options))])


def caption_from_above(
    facts,
    language: str,
    rng: np.random.Generator,
    most: int = 3,
    colour: float = 0.35,
    layout: float = 0.35,
    ground=0.3,
) -> str:
    """A native caption of a picture from above: its land and up to `most` kinds of things.

    `facts` are the tuples of `overhead.truth`. Two to six things are counted, up to ten are "several", more are "many".
    `colour`, `layout` and `ground` are the rates at which these are said.
    """
    return caption(from_above(facts, rng, most, colour, layout, ground), language, rng)


def from_above(facts, rng: np.random.Generator, most: int, colour: float, layout: float, ground: float) -> Said:
    """What a caption of a picture from above says: slots drawn from the facts."""
    facts = sorted({(fact[0], ALIASES.get(fact[1], fact[1]), *fact[2:]) for fact in facts}, key=repr)
    numbers = {fact[1]: fact[2] for fact in facts if fact[0] == "count"}
    kinds = [fact[1] for fact in facts if fact[0] == "object" and fact[1] in THINGS]
    chosen = [kinds[i] for i in rng.permutation(len(kinds))[: int(rng.integers(1, most + 1))]]
    nouns = []
    for name in chosen:
        looks = tuple(("colour", f[2]) for f in facts if f[:2] == ("attribute", name) and rng.random() < colour)
        looks += tuple(("layout", f[2]) for f in facts if f[:2] == ("layout", name) and rng.random() < layout)
        number = numbers.get(name)
        exact = number is not None and number <= 6
        several = "" if exact else "several" if number is None or number <= 10 else "many"
        nouns.append(Noun(name, looks, number if exact and number > 1 else None, several))
    scene = [("land", fact[1]) for fact in facts if fact[0] == "scene"]
    scene += [("ground", fact[1]) for fact in facts if fact[0] == "ground" and rng.random() < ground]
    return Said(tuple(nouns), (), tuple(scene))


def translate(texts: Sequence[str], language: str, seed: int, p_error: float = 0.075, source: str = "en") -> list[str]:
    """Each text from `source` into `language` by a noisy dictionary; line i depends on its text, i and `seed` alone.

    Synonyms and frames are drawn at random, so that a translation is no bijection; each slot (noun, look, number,
    relation, scene) is taken for another one of its kind with probability `p_error`. Words that the dictionary does not
    know are lost; a sentence of which it knows nothing stays as it is.
    """
    lexicon(language), lexicon(source)  # raise for unknown languages
    tag = zlib.crc32(f"translate/{source}/{language}".encode())
    return [
        _translate(text, language, source, np.random.default_rng([tag, seed, i]), p_error)
        for i, text in enumerate(texts)
    ]


def _translate(text: str, language: str, source: str, rng: np.random.Generator, p_error: float) -> str:
    sentences = [sentence for sentence in text.split(". ") if sentence.strip(" .")]
    found = []
    for sentence in sentences:
        said = read(sentence, source)
        found.append(caption(said, language, rng, p_error) if said.count else sentence.strip(" ."))
    return ". ".join(found) + ("." if len(found) > 1 else "")


# --------------------------------------------------------------------------------------------------------- reading


def read(text: str, language: str = "en") -> Said:
    """Slots of a text in a language: the inverse of `say`. Words that are in no table are lost.

    English scenes are read by the grammar of the world, pictures from above by the table of English.
    """
    if language == "en" and not any(f" {land} " in f" {text.lower().translate(_MARKS)} " for land in _english_lands()):
        return read_english(text)
    grammar, known = GRAMMARS[language], _inverse(language)
    for full, short in grammar.contractions:
        text = text.replace(short, full)
    tokens: list[str] = []
    for place, part in enumerate(text.lower().split('"')):
        tokens += [f'"{part}"'] if place % 2 else part.translate(_MARKS).split()
    nouns: dict[str, Noun] = {}
    mentions: list[str] = []
    relations: list[tuple[str, str, str]] = []
    scene: list[tuple[str, str]] = []
    looks: tuple = ()  # that wait for their noun
    number, several, relation = None, "", None
    tail = False  # whether adjectives belong to the written word before them: after a comma
    while tokens:
        entry, length = _match(tokens, known)
        tokens = tokens[length:]
        kind, concept, plural = entry
        quoted = bool(mentions) and mentions[-1].startswith('"')
        tail = quoted and (concept == "," or (tail and kind == "adjective"))
        if kind == "noun":
            several = several or ("several" if plural and number is None else "")
            noun = nouns.get(concept) or Noun(concept, (), number, several)
            nouns[concept] = replace(noun, looks=noun.looks + looks)
            if relation:
                relations.append((relation[0], relation[1], concept)[:: 1 if grammar.relation == "between" else -1])
            mentions.append(concept)
            looks, number, several, relation = (), None, "", None
        elif kind in ("adjective", "part", "place"):
            look = (factor_of(concept), concept)
            before = grammar.adjectives if kind == "adjective" else grammar.places
            if not mentions or (before == "before" and not tail):
                looks += (look,)
            else:
                nouns[mentions[-1]] = replace(nouns[mentions[-1]], looks=nouns[mentions[-1]].looks + (look,))
        elif kind == "relation" and grammar.relation == "last" and len(mentions) > 1:
            relations.append((mentions[-2], concept, mentions[-1]))
        elif kind == "relation" and mentions:
            relation = (mentions[-1], concept)
        elif kind == "number":
            number = int(concept)
        elif kind == "several":
            several = concept
        elif kind in ("scene", "land"):
            ground = kind == "scene" and concept in domain("ground")
            scene.append(("ground" if ground else scene_factor(concept), concept))
    at = {name: place for place, name in enumerate(nouns)}
    return Said(tuple(nouns.values()), tuple((at[a], r, at[b]) for a, r, b in relations), tuple(scene))


def _match(tokens: list[str], known: dict) -> tuple[tuple[str, str, bool], int]:
    """The longest phrase of the table that the tokens begin with, as ((kind, concept, plural), number of tokens)."""
    for candidate, entry in known.get(tokens[0], ()):
        if tuple(tokens[: len(candidate)]) == candidate:
            return entry, len(candidate)
    kind = "number" if tokens[0].isdigit() else "noun" if tokens[0][0] == '"' else ""
    return (kind, tokens[0], False), 1


@cache
def _english_lands() -> tuple[str, ...]:
    return tuple(word.text for land in LANDS for word in words("en", "land", land))


@cache
def _inverse(language: str) -> dict[str, list]:
    """Every inflected form by its first word, longest first. Raises ValueError where a form means two things."""
    grammar = GRAMMARS[language]
    found: dict[tuple[str, ...], tuple[str, str, bool]] = {}

    def add(form: str, kind: str, concept: str, plural: bool = False) -> None:
        key = tuple(form.lower().split())
        if found.setdefault(key, (kind, concept, plural))[:2] != (kind, concept):
            raise ValueError(f"'{form}' of {language} means both {found[key]} and {(kind, concept)}")

    for (kind, concept), options in (lexicon("en") | lexicon(language)).items():
        for word in options:
            for form, plural in _forms(word, kind, language):
                add(form, kind, concept, plural)
    for word, options in (("several", grammar.several), ("many", grammar.many)):
        for form in options:
            add(form, "several", word)
            if language == "de":
                add(form + "n", "several", word)
    by_first: dict[str, list] = {}
    for key, entry in sorted(found.items(), key=lambda item: -len(item[0])):
        by_first.setdefault(key[0], []).append((key, entry))
    return by_first


def _forms(word: Word, kind: str, language: str) -> list[tuple[str, bool]]:
    """Forms of a word with whether they are plural."""
    if kind in ("noun", "sign", "land"):
        plural = word.plural and word.plural != word.text
        forms = [(word.text, False)] + ([(word.plural, True)] if plural else [])
        dative = noun_form(word, "de", True, "dative") if language == "de" and word.plural else ""
        return forms + ([(dative, True)] if dative not in ("", word.text, word.plural) else [])
    if kind == "number":
        return [(form, False) for form in (word.text, word.agree) if form]
    if kind != "adjective" or not word.agree:
        return [(form, False) for form in {word.text, word.plural} if form]
    if language == "de":
        return [(word.agree + ending, False) for ending in ("er", "e", "es", "en")] + [(word.text, False)]
    return [(form, False) for form in {word.text, *word.agree.split(";"), *word.plural.split(";")} if form]
