"""From text to tuples: longest match over the phrases of the tables, then a walk from left to right.

Attributes wait for the next noun; where a determiner, number, relation or the end of the sentence comes first, they
belong to the noun before ("the cat is small and red", "a cat upside down above a cup").
"""

from functools import cache
from typing import NamedTuple

from lib.world import kb
from lib.world.grammar_parse_change import DIRECTIONS, read_change

DETERMINERS = frozenset(("a", "an", "the", "this", "that", "these", "those", "some", "several", "many", "another"))
ANY_WORDS = ["object", "objects", "thing", "things", "something", "anything", "everything"]
DENIALS = ("no", "not", "without", "never")
SIGNS = ("sign saying", "signs saying", "sign says", "signs say", "sign that says", "sign reads", "sign with the word")
QUOTE = "\ue000"  # stands before the place of a quoted text
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
    for factor in ("quality", "lighting"):
        for row in kb.values(factor).values():
            for phrase in (row.phrase, row.synonym, row.reserved):
                add(phrase, "scene", row.value)
    for states in kb.states().values():
        for state in states:
            add(state.phrase, "attribute", state.value)
            if not state.before:
                add(state.phrase.replace("with ", "has ", 1), "attribute", state.value)
    for name, badge in kb.badges().items():
        for noun in (badge.phrase, badge.plural):
            add(noun, "noun", badge.phrase)
        for noun in (name, kb.plural(name), badge.word, *badge.aliases):
            add(noun, "noun", name)
    for noun in (kb.BADGE, kb.plural(kb.BADGE)):
        add(noun, "noun", kb.BADGE)
    for phrase in kb.part_phrases():
        add(phrase, "attribute", phrase)
    for part in ("band", "cap", "mark"):
        add(part, "part", part)
    for phrase, change in kb.changes().items():
        add(phrase, "change", change)
    for phrase in SIGNS:
        add(phrase, "sign", phrase)
    for word in DENIALS:
        add(word, "not", word)
    found: dict[str, list] = {}
    for words, (kind, value) in sorted(known.items(), key=lambda item: -len(item[0])):
        found.setdefault(words[0], []).append((words, kind, value))
    return found


@cache
def neutral() -> frozenset[str]:
    """Words that carry no content of a scene."""
    return kb.stop_words() | kb.neutral_words()


def bare(phrase: str) -> str:
    """A scene phrase without preposition, article and closing "of": "in the sky" gives "sky"."""
    words = phrase.removesuffix(" of").split()
    while len(words) > 1 and words[0] in ("on", "in", "at", "after", "a", "an", "the"):
        words = words[1:]
    return " ".join(words)


def tokens(text: str) -> tuple[list[str], list[str]]:
    """Words in lower case with a full stop at the end; texts in double quotes, which are words QUOTE + their place."""
    quotes: list[str] = []
    text = text.lower()
    if '"' in text:
        parts = text.replace(QUOTE, " ").split('"')
        if len(parts) % 2 == 0:
            parts[-2:] = [" ".join(parts[-2:])]  # a quote that is never closed is no quote
        quotes = [" ".join(part.split()) for part in parts[1::2]]
        parts[1::2] = [f" {QUOTE}{i} " for i in range(len(quotes))]
        text = "".join(parts)
    words = text.translate(_MARKS).split()
    words.append(".")
    return words, quotes


def parse(text: str) -> Parsed:
    """Tuples said by a text of any frame, with second and reserved names mapped to the primary ones. Never raises."""
    known, stop = phrases(), neutral()
    if '"' in text:
        words, quotes = tokens(text)
    else:
        words, quotes = text.lower().translate(_MARKS).split(), ()
        words.append(".")
    found: set = set()
    rest: list[str] = []
    pending: list[str] = []  # attributes that wait for their noun
    last = number = relation = None  # noun before, number that waits for its noun, (subject, relation) likewise
    relation_words: tuple[str, ...] = ()
    named: list[str] = []  # nouns of the sentence
    deny = False  # whether "no", "not" or "without" waits for what it denies
    denied: list | None = None  # a denied noun with its attributes, waiting for those after it
    i = 0
    while i < len(words):
        word, kind, value, length = words[i], None, None, 1
        for candidate, its_kind, its_value in known.get(word, ()):
            if len(candidate) == 1 or tuple(words[i : i + len(candidate)]) == candidate:
                kind, value, length = its_kind, its_value, len(candidate)
                break
        if kind is None:
            if word.isascii() and word.isdigit() and len(word) < 10:
                kind, value = "number", int(word)
            elif quotes and word[0] == QUOTE:
                kind, value = "noun", f'"{quotes[int(word[1:])]}"'
        if kind == "attribute":
            pending.append(value)
        elif kind == "noun":
            if deny:
                denied, pending, deny = [value, pending], [], False
                i += length
                continue
            if pending and word in PRONOUNS:
                found.update(("attribute", last or kb.ANY, attribute) for attribute in pending)
                pending.clear()
            found.add(("object", value))
            if pending:
                found.update([("attribute", value, attribute) for attribute in pending])
                pending.clear()
            if number is not None:
                found.add(("count", value, number[0]))
            if relation is not None:
                found.add(("relation", relation[0], relation[1], value))
            last, number, relation = value, None, None
            named.append(value)
        elif kind == "scene":
            found.add(("not", "scene", value) if deny else ("scene", value))
            deny = False
        elif kind == "part":
            found.add(("part", value))
        elif kind is not None or word == "." or word in DETERMINERS:
            if denied is not None:
                found.add(("not", "object", denied[0], *sorted({*denied[1], *pending})))
                pending, denied = [], None
                if kind == "relation":  # a relation of what is not there says nothing
                    rest.extend(words[i : i + length])
                    i += length
                    continue
            elif deny and pending:
                found.add(("not", "object", last or kb.ANY, *sorted(set(pending))))
                pending, deny = [], False
            elif pending:
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
            elif kind == "not":
                deny = True
            elif kind == "change":
                end = words.index(".", i)
                said, lost = read_change(value, named, _items(words, i + length, end, quotes, stop))
                found |= said
                rest += lost
                i, length = end, 0
                named = []
            elif word == ".":
                if relation is not None:
                    rest.extend(relation_words)
                if deny:
                    rest.append("not")
                last = relation = None
                deny, named = False, []
        elif word not in stop and word != ",":
            rest.append(word)
        i += length
    if quotes:
        found = {_written(item) for item in found}
    return Parsed(frozenset(found), rest)


def _written(item: tuple) -> tuple:
    """A tuple that calls a quoted text an object, put right: ("word", "stop")."""
    if "object" in item[:2] and str(item[-1]).startswith('"') and item[0] != "attribute":
        return (*item[: item.index("object")], "word", item[-1].strip('"'))
    return item


def _items(words: list[str], start: int, end: int, quotes: list[str], stop: frozenset) -> list[tuple]:
    """The phrases of a sentence as (kind, value, words); kind is "word" for function words, "rest" for unknown ones."""
    known, found, i = phrases(), [], start
    while i < end:
        word, length = words[i], 1
        for candidate, kind, value in known.get(word, ()):
            if tuple(words[i : i + len(candidate)]) == candidate:
                length = len(candidate)
                found.append((kind, value, " ".join(candidate)))
                break
        else:
            if word.isascii() and word.isdigit() and len(word) < 10:
                found.append(("number", int(word), word))
            elif quotes and word[0] == QUOTE:
                found.append(("quote", quotes[int(word[1:])], word))
            else:
                plain = word in stop or word in DETERMINERS or word in DIRECTIONS or word == ","
                found.append(("word" if plain else "rest", word, word))
        i += length
    return found
