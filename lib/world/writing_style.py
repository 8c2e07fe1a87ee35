"""Styles of writing: plain sentences put down with a writer's habits, and taken apart again.

A text starts as plain sentences (lower case, no marks). `write` puts them down in a `Style`: for each habit of
tables/writing/habits.csv the probabilities of its options. `read` takes a text apart, so that
`read(write(sentences, style))` gives the sentences back; `estimate` counts the habits of texts, `restyle` rewrites one.
"""

import re
from collections import Counter
from functools import cache

from lib.world import kb
from lib.world.writing_draw import Draw, table

PLAIN = kb.NUMBERS[2:13]  # numbers that are written as words or digits
PUT = ("contract", "spelling", "number", "start", "self", "shout", "place", "intensity", "opener", "end", "link", "gap")
PUT += ("tag", "final")  # habits that have their own rule; the options of all others are words for the first option
Style = dict[str, tuple[float, ...]]  # habit -> probability of each option
_DELIMITERS = re.compile(r"(\.\.\.|!!|\.|!|;| -|, and|, plus)(\s+|$)")


# ---- tables


@cache
def habits() -> dict[str, tuple[str, ...]]:
    """Habits and their options, the plain one first."""
    return {row["habit"]: tuple(row["options"].split("|")) for row in table("habits")}


@cache
def popularity(column: str = "popularity") -> Style:
    """How common the options are among authors, or in the "house" style."""
    weights = {row["habit"]: [float(number) for number in row[column].split("|")] for row in table("habits")}
    return {habit: tuple(weight / sum(row) for weight in row) for habit, row in weights.items()}


@cache
def phrases(name: str) -> tuple[tuple[str, str, str], ...]:
    """The rows (phrase, short, bare) of one list of tables/writing/phrases.csv."""
    return tuple((row["phrase"], row["short"], row["bare"]) for row in table("phrases") if row["list"] == name)


@cache
def good() -> frozenset[str]:
    """Words of judgement: those that may be intensified or printed in capitals."""
    return frozenset(phrase for phrase, _, _ in phrases("good"))


@cache
def _places() -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(phrase.split()) for phrase, _, _ in phrases("place"))


@cache
def _forms() -> dict[tuple[str, ...], tuple[str, dict[str, str]]]:
    """Plain words -> (habit, {option: words})."""
    forms = {}
    for plain, short, bare in phrases("contraction"):
        forms[tuple(plain.split())] = ("contract", {"full": plain, "short": short, "bare": bare or short})
    for plain, short, _ in phrases("spelling"):
        forms[(plain,)] = ("spelling", {"british": plain, "american": short})
    for number, plain in enumerate(PLAIN, start=2):
        forms[(plain,)] = ("number", {"word": plain, "digit": str(number)})
    for habit, options in habits().items():
        if habit not in PUT:
            forms[(options[0],)] = (habit, {option: option for option in options})
    return forms


@cache
def _meanings() -> dict[tuple[str, ...], tuple[str, str, tuple[str, ...]]]:
    """Written words -> (habit, option, plain words): the inverse of `_forms`."""
    found: dict = {}
    for plain, (habit, forms) in _forms().items():
        for option, form in forms.items():
            found.setdefault(tuple(form.split()), (habit, option, plain))
    return found


# ---- writing and reading


def articles(words: list[str]) -> list[str]:
    """The words with "a" and "an" as the next word asks."""
    after = [*words[1:], ""]
    return [kb.article(following.lower()) if word in ("a", "an") else word for word, following in zip(words, after)]


def write(sentences: list[str], style: Style, draw: Draw) -> str:
    """Plain sentences in a style."""

    def choose(habit: str) -> str:
        return draw.choose(habits()[habit], style[habit])

    text, linked = "", False
    for number, sentence in enumerate(sentences):
        words = _unit(sentence.split(), choose)
        if not linked and words[0].lower() not in _selves() and choose("start") == "capital":
            words[0] = words[0][:1].upper() + words[0][1:]
        text += " ".join(words)
        if number == len(sentences) - 1:
            end = choose("end")
            text += end if choose("final") == "kept" else ""
        else:
            link = choose("link")
            linked = bool(link)
            text += link + " " if linked else choose("end") + ("  " if choose("gap") == "double" else " ")
    tag = choose("tag")
    return f"{text} {tag}" if tag else text


@cache
def _selves() -> frozenset[str]:
    return frozenset(("i", "i'm", "im", "i've", "ive", "i'd", "i'll"))


def _unit(words: list[str], choose) -> list[str]:
    """The words of one sentence in a style, without its capital and mark."""
    place = next((words[-n:] for n in range(5, 1, -1) if tuple(words[-n:]) in _places()), [])
    body = words[: len(words) - len(place)]
    order = choose("place") if place and body else "last"
    if order == "last":
        words, comma = body + place, 0
    else:
        words, comma = place + body, len(place) if order == "first" else 0
    written: list[str] = []
    position = 0
    while position < len(words):
        length = next((n for n in (3, 2, 1) if tuple(words[position : position + n]) in _forms()), 0)
        if length:
            habit, forms = _forms()[tuple(words[position : position + length])]
            written += forms[choose(habit)].split()
        elif words[position] in good():
            written += [
                *choose("intensity").split(),
                words[position].upper() if choose("shout") == "loud" else words[position],
            ]
        else:
            written.append(words[position])
        position += max(length, 1)
        if comma and position == comma:
            written[-1] += ","
    opener = choose("opener")
    if opener:
        written = [*opener.split()[:-1], opener.split()[-1] + ("" if opener == "i think" else ","), *written]
    capital = choose("self") == "I"
    written = [word[:1].upper() + word[1:] if capital and word in _selves() else word for word in written]
    return articles(written)


def _parts(text: str) -> tuple[list[str], str]:
    """Units, marks and spaces in turn, and the tag at the end."""
    text = text.strip()
    tag = next((tag for tag in habits()["tag"] if tag and text.endswith(f" {tag}")), "")
    return _DELIMITERS.split(text[: len(text) - len(tag)].strip()), tag


def num_sentences(text: str) -> int:
    """How many plain sentences `read` finds in a text."""
    return sum(bool(unit.strip()) for unit in _parts(text)[0][::3])


def read(text: str) -> tuple[list[str], Counter]:
    """The plain sentences of a text and how often it shows each (habit, option)."""
    seen: Counter = Counter()
    parts, tag = _parts(text)
    seen["tag", tag] += 1
    seen["final", "kept" if not parts[-1] else "bare"] += 1
    sentences, linked = [], False
    for place in range(0, len(parts), 3):
        unit, mark, space = [*parts[place : place + 3], "", ""][:3]
        if not unit.strip():
            continue
        sentences.append(_read_unit(unit.split(), seen, linked))
        linked = mark in habits()["link"] and bool(mark)
        if mark and not linked:
            seen["end", mark] += 1
        if space:
            seen["link", mark if linked else ""] += 1
        if space and not linked:
            seen["gap", "double" if len(space) > 1 else "single"] += 1
    return [sentence for sentence in sentences if sentence], seen


def _read_unit(raw: list[str], seen: Counter, linked: bool) -> str:
    words = [word.rstrip(",").lower() for word in raw]
    selves = [word for word in raw if word.rstrip(",").lower() in _selves()]
    for word in selves[:1]:
        seen["self", "I" if word[0] == "I" else "i"] += 1
    if not linked and words[0] not in _selves():
        seen["start", "capital" if raw[0][:1].isupper() else "lower"] += 1
    opener = next((o for o in habits()["opener"] if o and words[: len(o.split())] == o.split()), "")
    seen["opener", opener] += 1
    raw, words = raw[len(opener.split()) :], words[len(opener.split()) :]
    plain: list[str] = []
    position = 0
    while position < len(words):
        length = next((n for n in (3, 2, 1) if tuple(words[position : position + n]) in _meanings()), 0)
        word, following = words[position], words[position + 1] if position + 1 < len(words) else ""
        if length:
            habit, option, meant = _meanings()[tuple(words[position : position + length])]
            seen[habit, option] += 1
            plain += meant
        elif word in habits()["intensity"] and following in good():
            seen["intensity", word] += 1
        else:
            if word in good():
                seen["intensity", ""] += not position or words[position - 1] not in habits()["intensity"]
                seen["shout", "loud" if raw[position].isupper() else "calm"] += 1
            plain.append(word)
        position += max(length, 1)
    front = next((n for n in range(5, 1, -1) if tuple(plain[:n]) in _places()), 0)
    if front and len(plain) > front:
        seen["place", "first" if any(word.endswith(",") for word in raw) else "first bare"] += 1
        plain = plain[front:] + plain[:front]
    elif any(tuple(plain[-n:]) in _places() for n in range(2, 6)):
        seen["place", "last"] += 1
    return " ".join(articles(plain))


def estimate(texts: list[str], strength: float = 2.0) -> Style:
    """The style of some texts: counts of each habit, and `strength` counts of what is common among authors."""
    seen = sum((read(text)[1] for text in texts), Counter())
    style = {}
    for habit, options in habits().items():
        counts = [seen[habit, option] + strength * p for option, p in zip(options, popularity()[habit])]
        style[habit] = tuple(count / sum(counts) for count in counts)
    return style


def restyle(text: str, style: Style, draw: Draw) -> str:
    """A text edited towards a style: its own habits are taken away, those of the style put in. The words stay."""
    return write(read(text)[0], style, draw)
