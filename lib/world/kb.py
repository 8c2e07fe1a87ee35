"""Knowledge base: names, families and properties of the classes, words of attributes, and how English inflects them.

Badges are compound classes: their noun is the word of their body ("disc"), their name an invented one ("dax disc").

Everything is a row of `tables/*.csv`; a new class, value or synonym is a new row. Words are lower case ASCII.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLES = Path(__file__).parent / "tables"
ANY = "object"  # stands for the class in tuples about something whose class is not said
BADGE = "badge"  # the family of all badges
PARTS = ("emblem", "band", "cap", "mark")  # of a badge, beside its body
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
IRREGULAR = {"die": "dice", "man": "men", "mouse": "mice", "ox": "oxen", "leaf": "leaves"}
IRREGULAR |= {"monarch": "monarchs", "fish": "fish"}


@dataclass(frozen=True)
class Class:
    """One class. `phrase` is its noun with a counter where English needs one ("pair of scissors")."""

    name: str
    code: str  # DejaVu Sans code point, hexadecimal
    family: str
    roles: str  # letters of S, N, A, B, Z
    natural_colour: str  # typical colour of role N, else ""
    phrase: str
    plural: str  # of the phrase
    second: str  # second name, used in base captions
    reserved: str  # name that only the corpus `text` uses
    habitat: str  # background where one expects it
    parts: tuple[str, ...]
    shape: str
    use: str

    @property
    def names(self) -> tuple[str, str, str]:
        """Primary, second and reserved name: the synonym row."""
        return self.name, self.second, self.reserved


@dataclass(frozen=True)
class Family:
    """A family of classes with its hypernym."""

    name: str
    hypernym: str
    plural: str


@dataclass(frozen=True)
class Badge:
    """One badge class. Fields that classes have too are named alike; `word` is the invented part of its name."""

    name: str
    phrase: str  # word of the body
    plural: str
    word: str
    aliases: tuple[str, ...]  # further invented words, which no caption uses
    captioned: float  # share of captions that may say the invented word
    group: int
    parts: tuple[tuple[str, str], ...]  # (part, value) pairs of PARTS
    family: str = BADGE
    natural_colour: str = ""


@dataclass(frozen=True)
class State:
    """One state word. `value` is "flawless", "damaged" or a kind of damage; `before`: it stands before the noun."""

    phrase: str
    value: str
    before: bool


@dataclass(frozen=True)
class Value:
    """One value of a factor. `phrase`, `synonym` (base captions) and `reserved` (corpus `text` only) say the same.

    `antonym` is a value of the same factor, for relations the inverse. `hides` names values or factors that
    a style makes invisible.
    """

    factor: str
    value: str
    phrase: str
    synonym: str
    reserved: str
    antonym: str
    hides: tuple[str, ...]


def _rows(name: str) -> list[dict[str, str]]:
    with open(TABLES / name, newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


@cache
def classes() -> dict[str, Class]:
    """All classes by primary name, in the order of the table."""
    rows = ({**row, "parts": tuple(row["parts"].split(";"))} for row in _rows("classes.csv"))
    return {row["name"]: Class(**row) for row in rows}


@cache
def families() -> dict[str, Family]:
    """All families by name."""
    return {row["family"]: Family(row["family"], row["hypernym"], row["plural"]) for row in _rows("families.csv")}


@cache
def members(family: str) -> tuple[str, ...]:
    """Class names of a family."""
    return tuple(name for name, kind in classes().items() if kind.family == family)


@cache
def badges() -> dict[str, Badge]:
    """All badges by name, in the order of tables/badges.csv."""
    found = {}
    for row in _rows("badges.csv"):
        parts = tuple((part, row[part]) for part in PARTS if row[part] != "none")
        found[row["name"]] = Badge(
            row["name"], row["noun"], plural(row["noun"]), row["word"], tuple(row["aliases"].split(";")),
            float(row["captioned"]), int(row["group"]), parts,
        )  # fmt: skip
    return found


@cache
def kind(name: str) -> Class | Badge:
    """The class or badge of a name. Raises ValueError."""
    found = classes().get(name) or badges().get(name)
    if found is None:
        raise ValueError(f"class '{name}' has no row in tables/classes.csv or badges.csv; add one there")
    return found


@cache
def called(name: str) -> tuple[str, ...]:
    """What a thing of a class may be called in tuples: its class, for a badge its body, its family, and `ANY`."""
    found = kind(name)
    if isinstance(found, Badge):
        return name, found.phrase, BADGE, ANY
    return name, found.family, ANY


@cache
def primary(name: str) -> str:
    """What captions call a thing by default: its class; a badge the word of its body."""
    return called(name)[-3]


@cache
def part_phrases() -> frozenset[str]:
    """Every phrase that `part` can give, marks of all sizes among them."""
    rows = [(row["part"], row["value"]) for row in _rows("badge_parts.csv") if row["part"] in PARTS]
    rows += [(name, f"{size} {value}") for name, value in rows if name == "mark" for size in ("small", "large")]
    return frozenset(part(name, value) for name, value in rows)


@cache
def part(name: str, value: str) -> str:
    """Noun phrase of a part of a badge or of an identity mark: "striped band", "two-dot mark", "large ring mark"."""
    value = {"horns": "horned"}.get(value, value.replace("two dots", "two-dot"))
    return f"{value} {name}"


@cache
def states() -> dict[str, tuple[State, ...]]:
    """State words by value: seven each of "flawless" and "damaged" (after AnoVL, 2308.15939), two of each kind."""
    found: dict[str, tuple[State, ...]] = {}
    for row in _rows("states.csv"):
        one = State(row["phrase"], row["value"], row["place"] == "before")
        found[one.value] = (*found.get(one.value, ()), one)
    return found


@cache
def confusable() -> tuple[tuple[str, str, str], ...]:
    """Pairs of classes that look alike, with a word for what tells them apart."""
    return tuple((row["first"], row["second"], row["difference"]) for row in _rows("confusable.csv"))


@cache
def lexicon() -> dict[str, str]:
    """Words that are written into scenes, with their kind: "content" (a class has this name) or "function"."""
    return {row["word"]: row["kind"] for row in _rows("lexicon.csv")}


@cache
def values(factor: str) -> dict[str, Value]:
    """Values of a factor by name.

    Factors: colour, fill, size, position, turn, mirrored, background, light, style, relation, quality. Raises
    ValueError.
    """
    rows = _rows("attributes.csv")
    found = {
        r["value"]: Value(**{**r, "hides": tuple(filter(None, r["hides"].split(";")))})
        for r in rows
        if r["factor"] == factor
    }
    if not found:
        raise ValueError(
            f"factor '{factor}' is unknown; choose one of {', '.join(dict.fromkeys(r['factor'] for r in rows))}"
        )
    return found


@cache
def stop_words() -> frozenset[str]:
    """Function words and the neutral words of frames and sentences: they carry no content of a scene."""
    return frozenset((TABLES / "stop_words.txt").read_text(encoding="ascii").split())


@cache
def neutral_words() -> frozenset[str]:
    """Words of questions, instructions and signs that say nothing of a scene either, but are no stop words."""
    return frozenset((TABLES / "neutral_words.txt").read_text(encoding="ascii").split())


@cache
def changes() -> dict[str, str]:
    """Words that say that something changes, with the kind of change; "" where only the values tell the kind."""
    return {row["phrase"]: row["change"] for row in _rows("changes.csv")}


@cache
def inverse(relation: str) -> str:
    """The relation of b to a where a has `relation` to b; "" where the table has none."""
    return relation if relation == "touching" else values("relation")[relation].antonym


@cache
def article(noun: str) -> str:
    """ "a" or "an", as the sound of the first word asks."""
    vowel = noun[:1] in "aeiou" and not noun.startswith(("uni", "use", "eu", "one"))
    return "an" if vowel else "a"


@cache
def noun_phrase(name: str) -> str:
    """A noun with its article. Class names get their counter: "scissors" gives "a pair of scissors"."""
    known = classes().get(name)
    noun = known.phrase if known else name
    return f"{article(noun)} {noun}"


@cache
def plural(noun: str) -> str:
    """Plural of any name in the tables; other nouns follow the rules of English."""
    known = classes().get(noun)
    if known:
        return known.plural
    for joint in (" of ", " with ", " showing "):
        if joint in noun:
            head, tail = noun.split(joint, 1)
            return plural(head) + joint + tail
    head, _, last = noun.rpartition(" ")
    if last in IRREGULAR:
        word = IRREGULAR[last]
    elif last.endswith(("s", "x", "ch", "sh")):
        word = last + "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        word = last[:-1] + "ies"
    else:
        word = last + "s"
    return f"{head} {word}".strip()
