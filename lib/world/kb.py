"""Knowledge base: names, families and properties of the classes, words of attributes, and how English inflects them.

Everything is a row of `tables/*.csv`; a new class, value or synonym is a new row. Words are lower case ASCII.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLES = Path(__file__).parent / "tables"
ANY = "object"  # stands for the class in tuples about something whose class is not said
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
def values(factor: str) -> dict[str, Value]:
    """Values of a factor by name.

    Factors: colour, fill, size, position, turn, mirrored, background, light, style, relation. Raises ValueError.
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
    kind = classes().get(name)
    noun = kind.phrase if kind else name
    return f"{article(noun)} {noun}"


@cache
def plural(noun: str) -> str:
    """Plural of any name in the tables; other nouns follow the rules of English."""
    kind = classes().get(noun)
    if kind:
        return kind.plural
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
