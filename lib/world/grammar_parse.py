"""From text to tuples: longest match over the phrases of the tables, then a walk from left to right.

Attributes wait for the next noun; where a determiner, number, relation or the end of the sentence comes first, they
belong to the noun before ("the cat is small and red", "a cat upside down above a cup").
"""

from functools import cache
from typing import NamedTuple

from lib.world import kb

DETERMINERS = frozenset(("a", "an", "the", "this", "that", "these", "those", "some", "several", "many", "another"))
ANY_WORDS = ["object", "objects", "thing", "things", "something", "anything", "everything"]
PRONOUNS = frozenset(("something", "anything", "everything"))  # nouns that no attribute stands before
_MARKS = str.maketrans({mark: " " for mark in ":\"'()[]"} | {",": " , "} | {mark: " . " for mark in ".;!?\n"})


class Parsed(NamedTuple):
    """`tuples` as in `grammar_truth`; `rest` lists the words that were not understood, in order."""

    tuples: frozenset
    rest: list[str]


@cache
def phrases() -> dict[str, list[tuple[tuple[str, ...], str, object]]]:
    """Every phrase of the tables by first word, longest first, as (words, kind, value)."""
    known: dict[tuple[str, ...], tuple[str, object]] = {}

    def add(phrase: str, kind: str, value: object) -> None:
        words = tuple(phrase.split())
        if known.setdefault(words, (kind, value)) != (kind, value):
            raise ValueError(f"'{phrase}' of the tables means both {known[words]} and {(kind, value)}")

    for name, entry in kb.classes().items():
        for noun in (entry.phrase, *entry.names):
            add(noun, "noun", name)
            add(kb.plural(noun), "noun", name)
    for family in kb.families().values():
        add(family.hypernym, "noun", family.name)
        add(family.plural, "noun", family.name)
    for word in ANY_WORDS:
        add(word, "noun", kb.ANY)
    for number, word in enumerate(kb.NUMBERS):
        add(word, "number", number)
    for factor in (
        "colour",
        "fill",
        "size",
        "mirrored",
        "turn",
        "position",
        "relation",
        "background",
        "light",
        "style",
    ):
        kind = {"relation": "relation", "background": "scene", "light": "scene", "style": "scene"}.get(
            factor, "attribute"
        )
        for row in kb.values(factor).values():
            for phrase in (row.phrase, row.synonym, row.reserved):
                add(phrase, kind, row.value)
                add(phrase.replace(" its ", " their "), kind, row.value)
                if kind == "scene":
                    add(bare(phrase), kind, row.value)
            if factor in ("position", "light", "style"):
                add(row.value, kind, row.value)
    add("gradient", "scene", "gradient")
    found: dict[str, list] = {}
    for words, (kind, value) in sorted(known.items(), key=lambda item: -len(item[0])):
        found.setdefault(words[0], []).append((words, kind, value))
    return found


def bare(phrase: str) -> str:
    """A scene phrase without preposition, article and closing "of": "in the sky" gives "sky"."""
    words = phrase.removesuffix(" of").split()
    while len(words) > 1 and words[0] in ("on", "in", "at", "after", "a", "an", "the"):
        words = words[1:]
    return " ".join(words)


def parse(text: str) -> Parsed:
    """Tuples said by a text of any frame, with second and reserved names mapped to the primary ones. Never raises."""
    known, stop = phrases(), kb.stop_words()
    words = text.lower().translate(_MARKS).split()
    words.append(".")
    found: set = set()
    rest: list[str] = []
    pending: list[str] = []  # attributes that wait for their noun
    last = number = relation = None  # noun before, number that waits for its noun, (subject, relation) likewise
    relation_words: tuple[str, ...] = ()
    i = 0
    while i < len(words):
        word, kind, value, length = words[i], None, None, 1
        for candidate, its_kind, its_value in known.get(word, ()):
            if word == candidate[0] and tuple(words[i : i + len(candidate)]) == candidate:
                kind, value, length = its_kind, its_value, len(candidate)
                break
        if kind is None and word.isascii() and word.isdigit() and len(word) < 10:
            kind, value = "number", int(word)
        if kind == "attribute":
            pending.append(value)
        elif kind == "noun":
            if pending and word in PRONOUNS:
                found.update(("attribute", last or kb.ANY, attribute) for attribute in pending)
                pending.clear()
            found.add(("object", value))
            found.update(("attribute", value, attribute) for attribute in pending)
            pending.clear()
            if number is not None:
                found.add(("count", value, number[0]))
            if relation is not None:
                found.add(("relation", relation[0], relation[1], value))
            last, number, relation = value, None, None
        elif kind == "scene":
            found.add(("scene", value))
        elif kind is not None or word == "." or word in DETERMINERS:
            if pending:
                found.update(("attribute", last or kb.ANY, attribute) for attribute in pending)
                pending.clear()
            if number is not None and (kind == "number" or word == "."):
                rest.append(number[1])
                number = None
            if kind == "number":
                number = (value, word)
            elif kind == "relation":
                if relation is not None:
                    rest.extend(relation_words)
                relation, relation_words = (last or kb.ANY, value), tuple(words[i : i + length])
            elif word == ".":
                if relation is not None:
                    rest.extend(relation_words)
                last = relation = None
        elif word not in stop and word != ",":
            rest.append(word)
        i += length
    return Parsed(frozenset(found), rest)
