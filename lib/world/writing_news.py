"""News: events of the world, wire articles about them, and the copies that papers print under headlines of their own.

An `Event` holds the facts. Every fifth article is the near-miss twin of the one before: the same wording with exactly
one fact changed. Wordings are in tables/writing: events.csv (one kind of event belongs to one split), sentences.csv
(what any article may add, some of it in its decade), drift.csv (words whose use shifts with the decade), names.csv.
"""

import re
from dataclasses import dataclass, replace
from functools import cache

from lib import records
from lib.world import kb
from lib.world.spec import Background, Camera, Corruption, Light, Object, Spec
from lib.world.writing_draw import Draw, known_split, names, table

SPLITS = ("train", "val", "test")
DECADES = tuple(range(1920, 1990, 10))
PAPERS, MAX_COPIES = 60, 30
NOISE = (0.03, 0.08, 0.15)  # character noise of copies
GROUNDS = {
    "grass": "on the meadow", "sand": "on the beach", "water": "on the lake", "snow": "in the snow",
    "brick": "by a brick wall", "wood": "on a wooden floor",
}  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FACTS = {"thing": 0.35, "colour": 0.25, "number": 0.15, "ground": 0.1, "town": 0.15}  # what a twin changes, weights
SUMS = ("$25", "$40", "$75", "$90", "$120", "$150", "$200", "$350", "$480", "$600", "$750", "$900", "$1,200", "$2,500")


@dataclass(frozen=True)
class Event:
    """The facts of an article. `kind` is a row of events.csv; `wording` seeds all that is said around the facts."""

    kind: str
    thing: str
    colour: str
    number: int
    ground: str
    town: str
    day: str
    place: str
    person: str
    sum: str
    decade: int
    wording: tuple


@dataclass(frozen=True)
class Copy:
    """An article as one paper prints it. `clean` is `text` before character noise (abridged, lines misread)."""

    text: str
    clean: str
    headline: str
    caption: str  # of the photo, with the same character noise
    article: int
    paper: int
    decade: int
    topic: int  # row of events.csv
    noise: float
    photo: Spec


@cache
def kinds() -> dict[str, dict]:
    """Rows of events.csv by kind, wordings split."""
    split = ("headlines", "leads", "seconds")
    return {row["kind"]: {**row, **{key: tuple(row[key].split("|")) for key in split}} for row in table("events")}


@cache
def things() -> tuple[str, ...]:
    """Classes that news are about: solid, of no natural colour; no dice, whose names hold numbers."""
    rows = kb.classes().items()
    return tuple(
        n for n, kind in rows if "S" in kind.roles and not set("NZ") & set(kind.roles) and kind.family != "die"
    )


def twin_of(article: int) -> int:
    """The article whose near-miss twin this one is; itself where it is none."""
    return article - 1 if article % 5 == 4 else article


def event(split: str, article: int) -> Event:
    """The facts of article `article` of a split."""
    known_split(split, SPLITS)
    first = twin_of(article)
    facts = _event(Draw("wires", split, first), split, ("wires", split, first, 1))
    if first == article:
        return facts
    draw = Draw("wires", split, article)
    fact = draw.choose(list(FACTS), list(FACTS.values()))
    others = {"thing": things(), "colour": tuple(kb.values("colour")), "number": (1, 2, 3, 4), "ground": tuple(GROUNDS),
              "town": names("town")}[fact]  # fmt: skip
    old = getattr(facts, fact)
    return replace(facts, **{fact: draw.choose([value for value in others if value != old])})


def _event(draw: Draw, split: str, wording: tuple) -> Event:
    return Event(
        kind=draw.choose([name for name, row in kinds().items() if row["split"] == split]),
        thing=draw.choose(things()),
        colour=draw.choose(tuple(kb.values("colour"))),
        number=draw.choose((1, 2, 3, 4), (0.55, 0.2, 0.15, 0.1)),
        ground=draw.choose(tuple(GROUNDS)),
        town=draw.choose(names("town")),
        day=draw.choose(DAYS),
        place=draw.choose(names("place")),
        person=f"{draw.choose(names('title'))} {draw.choose(names('surname'))}",
        sum=draw.choose(SUMS),
        decade=draw.choose(DECADES),
        wording=wording,
    )


# ---- words


@cache
def _drift() -> dict[str, tuple[tuple[str, int], ...]]:
    rows = {row["concept"]: [word.split(":") for word in row["words"].split(";")] for row in table("drift")}
    return {concept: tuple((word, int(peak)) for word, peak in words) for concept, words in rows.items()}


def drift_word(concept: str, decade: int, draw: Draw) -> str:
    """A word for a concept of drift.csv as of a decade."""
    words = _drift()[concept]
    return draw.choose([word for word, _ in words], [_weight(decade, peak) for _, peak in words])


def _weight(decade: int, peak: float) -> float:
    """How much a word or matter of a decade is in use: halves one decade off, falls to a sixteenth at two."""
    return 0.5 ** (((decade - DECADES[0]) // 10 - peak) ** 2)


def _others(facts: Event, draw: Draw, count: int) -> list[dict]:
    """Rows of sentences.csv, each once: those with a peak in the decades around it, the others always."""
    left = list(table("sentences"))
    chosen = []
    for _ in range(count):
        weights = [3 * _weight(facts.decade, float(row["peak"])) if row["peak"] else 0.35 for row in left]
        chosen.append(left.pop(draw.choose(range(len(left)), weights)))
    return chosen


def _noun(thing: str, number: int, name: str = "") -> str:
    kind = kb.classes()[thing]
    noun = name or kind.phrase
    return noun if number == 1 else kb.plural(noun) if name else kind.plural


def what(facts: Event, capital: bool = False) -> str:
    """The things of an event: "three red anchors"."""
    noun = f"{facts.colour} {_noun(facts.thing, facts.number)}"
    text = f"{kb.article(noun)} {noun}" if facts.number == 1 else f"{kb.NUMBERS[facts.number]} {noun}"
    return text[:1].upper() + text[1:] if capital else text


def _fill(template: str, facts: Event, draw: Draw, slots: dict[str, str]) -> str:
    """A wording with its slots filled and the words of its decade."""
    text = re.sub(r"\{(\w+)\}", lambda match: slots[match[1]], template)
    return re.sub(r"<(\w+)>", lambda match: drift_word(match[1], facts.decade, draw), text)


def _sentence(text: str) -> str:
    start = 1 if text.startswith('"') else 0
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :] + "."


def article(facts: Event) -> list[str]:
    """The 4 to 7 sentences of the wire article. Every fact that a twin may change stands in the first two."""
    draw, single = Draw(*facts.wording), facts.number == 1
    row = kinds()[facts.kind]
    slots = {
        "what": what(facts), "item": _noun(facts.thing, facts.number), "town": facts.town, "day": facts.day,
        "ground": GROUNDS[facts.ground], "person": facts.person, "place": facts.place, "sum": facts.sum,
        "colour": facts.colour, "count": kb.NUMBERS[facts.number], "was": "was" if single else "were",
        "is": "is" if single else "are", "has": "has" if single else "have", "it": "it" if single else "them",
    }  # fmt: skip
    mayor = draw.choose(names("surname"))
    wordings = [draw.choose(row["leads"]), draw.choose(row["seconds"])]
    if "{town}" not in wordings[0]:
        wordings[1] += " in {town}"
    wordings += [draw.choose(other["wordings"].split("|")) for other in _others(facts, draw, 2 + draw.below(4))]
    sentences = []
    for wording in wordings:
        slots |= {
            "mayor": mayor,
            "other": f"{draw.choose(names('title'))} {draw.choose(names('surname'))}",
            "number": str(draw.choose((12, 15, 18, 20, 24, 30, 35, 40, 45, 50, 60, 70, 80, 90, 120, 200))),
            "age": str(19 + draw.below(60)),
            "hour": kb.NUMBERS[1 + draw.below(12)],
            "later": draw.choose(DAYS),
            "weather": draw.choose(names("weather")),
        }
        text = _fill(_fill(wording, facts, draw, slots), facts, draw, slots)  # a place may hold a drifting word
        sentences.append(_sentence(text))
    return sentences


def headline(facts: Event, paper: int, draw: Draw) -> str:
    """A headline in the paper's own words: its case, synonyms, digits, and what it leaves out."""
    row, kind = kinds()[facts.kind], kb.classes()[facts.thing]
    name = draw.choose(("", kind.second), (0.65, 0.35))
    colour = kb.values("colour")[facts.colour]
    looks = draw.choose((colour.phrase, colour.synonym, ""), (0.45, 0.2, 0.35))
    number = (
        "" if facts.number == 1 else draw.choose((kb.NUMBERS[facts.number], str(facts.number), ""), (0.5, 0.3, 0.2))
    )
    item = _noun(facts.thing, facts.number, name)
    slots = {"what": " ".join(filter(None, (number, looks, item))), "item": item, "town": facts.town, "sum": facts.sum,
             "person": draw.choose((facts.person, facts.person.split()[-1]))}  # fmt: skip
    text = _fill(draw.choose(row["headlines"]), facts, draw, slots)
    ending = draw.choose(
        ("", f" on {facts.day}", f", {facts.decade + draw.below(10)}", " today"), (0.6, 0.2, 0.05, 0.15)
    )
    text = text[:1].upper() + text[1:] + ending
    return (text, text.upper(), re.sub(r"\b[a-z]", lambda m: m[0].upper(), text))[paper % 3]


def caption(facts: Event, draw: Draw) -> str:
    """A line below the photo: clauses in changing order, some of them dropped."""
    clauses = [f"photographed {GROUNDS[facts.ground]}", f"the scene at {facts.town}", f"as seen on {facts.day}",
               f"courtesy of {facts.person}", "photo by wire"]  # fmt: skip
    chosen = [clause for clause in draw.several(clauses, len(clauses)) if draw() < 0.5]
    noun = _noun(facts.thing, facts.number, draw.choose(("", kb.classes()[facts.thing].second), (0.7, 0.3)))
    body = what(facts) if draw() < 0.6 else f"the {noun}" if draw() < 0.5 else f"the {facts.colour} {noun}"
    return _sentence(", ".join([body, *chosen]))


# ---- copies and photos


def copies(split: str, article_index: int) -> list[Copy]:
    """The article as 1 to 30 papers print it: abridged, misread, with character noise and other text below."""
    facts = event(split, article_index)
    sentences = article(facts)
    draw = Draw("wires", split, article_index, 2)
    papers = draw.several(range(PAPERS), min(MAX_COPIES, int(1 / max(draw(), 1e-9))))
    seen: set[str] = set()
    return [_copy(split, article_index, facts, sentences, paper, seen) for paper in papers]


def _copy(split: str, index: int, facts: Event, sentences: list[str], paper: int, seen: set) -> Copy:
    draw = Draw("wires", split, index, 3, paper)
    noise = draw.choose(NOISE)
    kept = records.abridge(sentences, 1.0 if draw() < 0.3 else 0.4 + 0.6 * draw())
    other = article(_event(draw, split, ("wires", split, index, 4, paper)))
    if draw() < 0.1:
        kept = kept + other[: 1 + draw.below(3)]
    column = records.lines(" ".join(kept))
    column = records.misread_lines(column, 0.05, draw.rng, records.lines(" ".join(other)) if draw() < 0.3 else ())
    clean = "\n".join(column)
    title = headline(facts, paper, draw)
    for _ in range(20):
        if title.lower() not in seen:
            break
        title = headline(facts, paper, draw)
    seen.add(title.lower())
    line = records.ocr_noise(caption(facts, draw), noise, draw.rng)
    text = records.ocr_noise(clean, noise, draw.rng)
    topic = list(kinds()).index(facts.kind)
    return Copy(text, clean, title, line, index, paper, facts.decade, topic, noise, photo(split, index, paper))


def photo(split: str, article_index: int, paper: int) -> Spec:
    """The wire photo as one paper prints it: one scene per article, with its own crop, contrast and halftone.

    Twins share the arrangement. Drawn from its own stream, so that texts never steer pictures.
    """
    facts = event(split, article_index)
    scene = Draw("wires", split, twin_of(article_index), 5)
    slots = {1: ((0.5, 0.5),), 2: ((0.29, 0.5), (0.71, 0.5)), 3: ((0.28, 0.32), (0.72, 0.36), (0.5, 0.73))}
    places = slots.get(facts.number, ((0.28, 0.29), (0.72, 0.3), (0.29, 0.72), (0.71, 0.71)))
    largest = 20.0 if facts.number == 1 else 14.0 if facts.number == 2 else 11.0
    jitter = [[scene() for _ in range(5)] for _ in range(4)]
    seeds = [scene.below(1 << 31) for _ in range(6)]
    objects = tuple(
        Object(
            facts.thing, facts.colour, radius=round(largest * (0.85 + 0.15 * shake[0]), 1),
            x=round(x + 0.08 * (shake[1] - 0.5), 3), y=round(y + 0.08 * (shake[2] - 0.5), 3),
            angle=round(40 * shake[3] - 20, 1), z=3 + k, noise=seeds[k],
        )
        for k, ((x, y), shake) in enumerate(zip(places, jitter))
    )  # fmt: skip
    print_ = Draw("wires", split, article_index, 6, paper)
    light = Light(round(0.75 + 0.5 * print_(), 2), round(0.8 + 0.5 * print_(), 2))
    camera = Camera(round(8 * print_() - 4, 1), round(8 * print_() - 4, 1), round(1 + 0.25 * print_(), 2))
    screen = Corruption("halftone", round(0.05 + 0.3 * print_(), 2), print_.below(1 << 31))
    ground = Background(facts.ground, noise=seeds[4])
    return Spec(objects, ground, light, camera, style="photo", corruptions=(screen,), noise_seed=seeds[5])
