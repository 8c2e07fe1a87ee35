"""Invented words: pseudo-words to read, and firms with the records that directories print of them.

All are pronounceable strings of consonants and vowels. Pseudo-words of a split are those whose CRC-32 falls to it, so
that splits never share a word however many are drawn. Firms come from one roster in which every two stems differ by at
least two letters, but for look-alikes: of four firms in a row the last three are one letter away from the first.
"""

import zlib
from dataclasses import dataclass
from functools import cache

from lib import records
from lib.world import kb, lettering
from lib.world.writing_draw import Draw, known_split, table

CONSONANTS, VOWELS = "bdghklmnprstvwz", "aeiou"  # 20 letters
WORD_SPLITS = {"reader": 7, "reader_val": 1, "text": 7, "labelled": 4, "val": 1, "test": 4}  # shares of 24
SHAPES = {
    "vc": 1,
    "cv": 1,
    "cvc": 5,
    "vcv": 4,
    "cvcv": 8,
    "vcvc": 6,
    "cvcvc": 12,
    "vcvcv": 8,
    "cvcvcv": 14,
    "vcvcvc": 10,
}
FIRM_SPLITS, CAPACITY = ("train", "val", "test"), 1200  # firms per split
RECORDS, OCR = 6, (0.05, 0.2)  # records per firm; character noise of the two readings
FIRM_SHAPES = {"cvcvc": 6, "vcvcv": 2, "cvcvcv": 5, "vcvcvc": 3}
FAMILY = 4  # firms of one family: the first, and others that are one letter away from it
# fmt: off
_NEVER = frozenset((  # CRC-32 of strings that are offensive words
    4228108, 134440077, 195469547, 208799393, 472111804, 732209142, 741973175, 764867554, 833910794, 1293407471,
    1341029461, 1377220283, 1550114237, 1631879960, 1650511872, 1772566535, 1775724636, 1911520823, 2077426789,
    2242741030, 2250760701, 2420489296, 2432951758, 2496581347, 2838971942, 2926664825, 3145792061, 3222177319,
    3225732250, 3237346393, 3260462037, 3444024083, 3631603397, 3640370209, 3688560629, 3828419414, 3906419056,
    4194673304, 4231746307,
))
# fmt: on


def _spell(draw: Draw, shapes: dict[str, int]) -> str:
    shape = draw.choose(list(shapes), list(shapes.values()))
    return "".join(draw.choose(CONSONANTS if part == "c" else VOWELS) for part in shape)


@cache
def _real() -> frozenset[str]:
    """Words of the world: names, attribute words, stop words and the lexicon of signs."""
    texts = [name for kind in kb.classes().values() for name in kind.names]
    texts += [word for row in kb.values("colour").values() for word in (row.phrase, row.synonym, row.reserved)]
    words = {word for text in texts for word in text.split()} | {row["word"] for row in lettering.lexicon()}
    return frozenset(words | kb.stop_words())


def word_split(word: str) -> str:
    """The split that a pseudo-word belongs to, by its CRC-32."""
    place = zlib.crc32(word.encode()) % sum(WORD_SPLITS.values())
    for split, share in WORD_SPLITS.items():
        place -= share
        if place < 0:
            return split
    raise AssertionError


@cache
def words(split: str, count: int) -> tuple[str, ...]:
    """The first `count` pseudo-words of a split, all different, 2 to 6 letters.

    Splits: "reader" and "reader_val" (seen by and kept from the reader), "text" (never rendered), "labelled", "val",
    "test". More words of a split begin with the same ones. Raises ValueError for an unknown split.
    """
    draw = Draw("words", known_split(split, WORD_SPLITS))
    found: dict[str, None] = {}
    while len(found) < count:
        word = _spell(draw, SHAPES)
        if word_split(word) == split and word not in _real() and zlib.crc32(word.encode()) not in _NEVER:
            found[word] = None
    return tuple(found)


# ---- firms


@dataclass(frozen=True)
class Firm:
    """A firm. `like` is the entity that it is easily taken for, else -1; `logo` a class name or ""."""

    entity: int
    stem: str
    trade: str  # a row of firms.csv, or ""
    suffix: str
    logo: str
    like: int

    @property
    def name(self) -> str:
        """The name in full: "Tameko Paper Works"."""
        return " ".join(filter(None, (self.stem, self.trade, self.suffix)))


@dataclass(frozen=True)
class Record:
    """One printed record. `text` is what is printed, `ocr` and `ocr_noisy` what is read of it at the rates of `OCR`."""

    text: str
    ocr: str
    ocr_noisy: str
    entity: int
    font: int  # face of lettering.rows(); no face twice within a firm
    logo: str
    noise: int  # seed of the crop


@cache
def _forms(kind: str) -> dict[str, tuple[str, ...]]:
    """Names of firms.csv with the ways to print them, the full one first."""
    rows = [row for row in table("firms") if row["kind"] == kind]
    return {row["name"]: tuple(filter(None, (row["name"], row["short"], row["other"]))) for row in rows}


def _near(word: str) -> set[str]:
    """The word and all that one deletion leaves of it: words one edit apart share one of these."""
    return {word} | {word[:i] + word[i + 1 :] for i in range(len(word))}


@cache
def roster() -> dict[str, tuple[Firm, ...]]:
    """All firms that there are, `CAPACITY` per split."""
    draw, taken, firms = Draw("firms", "roster"), set(), {split: [] for split in FIRM_SPLITS}
    logos = [name for name, kind in kb.classes().items() if "S" in kind.roles and "Z" not in kind.roles]
    while len(firms[FIRM_SPLITS[-1]]) < CAPACITY:
        for number, split in enumerate(FIRM_SPLITS):
            index = len(firms[split])
            model = firms[split][index - index % FAMILY] if index % FAMILY else None
            stem = _alike(draw, model, taken) if model else _fresh(draw, taken)
            trade = draw.choose(list(_forms("trade"))) if draw() < 0.5 else ""
            suffix, logo = draw.choose(list(_forms("suffix"))), draw.choose(logos) if draw() < 0.4 else ""
            if model and draw() < 0.8:  # nothing but a letter tells them apart
                trade, suffix = model.trade, model.suffix
            entity = number * CAPACITY + index
            firms[split].append(Firm(entity, stem, trade, suffix, logo, model.entity if model else -1))
    return {split: tuple(rows) for split, rows in firms.items()}


def _fresh(draw: Draw, taken: set) -> str:
    while True:
        stem = _spell(draw, FIRM_SHAPES)
        if not _near(stem) & taken and zlib.crc32(stem.encode()) not in _NEVER:
            taken |= _near(stem)
            return stem.capitalize()


def _alike(draw: Draw, model: Firm, taken: set) -> str:
    """A stem one letter from that of `model`, and two from all others; a confusable letter in half the cases."""
    stem = model.stem.lower()
    others = taken - _near(stem)
    while True:
        place = draw.below(len(stem))
        letters = VOWELS if stem[place] in VOWELS else CONSONANTS
        alike = [target for target, _, _ in records.confusions().get(stem[place], ()) if target and target in letters]
        letter = draw.choose(alike if alike and draw() < 0.5 else [one for one in letters if one != stem[place]])
        near = stem[:place] + letter + stem[place + 1 :]
        if near not in others and not (_near(near) - _near(stem)) & others:
            taken |= _near(near)
            return near.capitalize()


def firm(split: str, index: int) -> Firm:
    """Firm `index` of a split. Raises ValueError beyond the roster."""
    known_split(split, FIRM_SPLITS)
    if not 0 <= index < CAPACITY:
        raise ValueError(f"firm {index} is outside the roster of {CAPACITY} per split; raise writing_firms.CAPACITY")
    return roster()[split][index]


def record(split: str, index: int, number: int) -> Record:
    """Record `number` (0..5) of a firm. Record 0 prints the name in full: the list to link to.

    Others abbreviate trade and suffix, leave the suffix out or print capitals; the faces of one firm all differ.
    """
    if not 0 <= number < RECORDS:
        raise ValueError(f"record {number} is outside 0..{RECORDS - 1}")
    who = firm(split, index)
    faces = Draw("firms", split, index).several(lettering.faces("F1") + lettering.faces("F2"), RECORDS)
    draw = Draw("firms", split, index, number)
    text = who.name if number == 0 else _printed(who, draw)
    ocr, noisy = (records.ocr_noise(text, rate, draw.rng) for rate in OCR)
    picture = Draw("firms", split, index, number, 1)
    logo = who.logo if picture() < 0.5 else ""
    return Record(text, ocr, noisy, who.entity, faces[number], logo, picture.below(1 << 31))


def _printed(who: Firm, draw: Draw) -> str:
    trade = draw.choose(_forms("trade")[who.trade]) if who.trade else ""
    suffix = draw.choose(
        (*_forms("suffix")[who.suffix], ""), (3, 3, 2, 1.5, 0)[: len(_forms("suffix")[who.suffix]) + 1]
    )
    if who.trade and not suffix and draw() < 0.3:
        trade = ""
    text = " ".join(filter(None, (who.stem, trade, suffix)))
    if trade and suffix and draw() < 0.15:
        text = f"{who.stem} {trade} & {suffix}" if suffix.startswith("Co") else f"The {text}"
    return text.upper() if draw() < 0.3 else text
