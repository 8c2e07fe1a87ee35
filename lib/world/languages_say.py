"""How ten small languages put slots into words.

The lexicon of a language is `tables/languages/<code>.csv`, one row a concept with two synonyms; English takes its words
from `kb` and its table holds only those of pictures from above. How a language orders and inflects its words is a row
of `GRAMMARS`. Portuguese, German and Spanish are inflected in full, French, Italian and Dutch in gender and number;
Chinese, Korean and Russian stand in their dictionary forms (Russian with gender), words separated by spaces.
Columns of a table: `agree` is the gender of a noun (m, f, n, w: German weak masculine, a: Spanish feminine with "un",
mp, fp, p: plural only) or a form of an adjective (feminine; German stem; Dutch -e; Russian "f;n"), `plural` the plural
of a noun or adjective ("m;f"). Everything here sees strings and tuples only.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from lib.world import kb
from lib.world.standins_slots import LOOKS, SCENE, Noun, Said

KINDS = dict.fromkeys(LOOKS, "adjective") | dict.fromkeys(kb.PARTS, "part")  # of the words of a look
KINDS |= dict.fromkeys(("turn", "position", "layout"), "place")
Pick = Callable[[Sequence], object]  # chooses one of several ways to say a thing


@dataclass(frozen=True)
class Grammar:
    """Word order and function words of a language. Pairs are (masculine, feminine)."""

    articles: tuple[str, ...] = ()  # masculine, feminine, neuter, plural only
    several: tuple[str, ...] = ()
    many: tuple[str, ...] = ()
    adjectives: str = "before"  # the noun, or "after" it
    places: str = "after"
    after: tuple[str, str] = ("{noun} {looks}", "{noun} {looks}")  # how looks follow one thing, several things
    looks_joint: str = " "
    part: str = "with {}"  # how parts of a thing are said
    parts_joint: str = " and "
    relation: str = "between"  # A above B; "last": A B above; "first": B above A
    link: str = ""  # between the nouns where the relation comes last
    scene: str = "last"
    joint: str = " "
    including: str = ""  # between a kind of land and the things on it
    land: str = "first"  # or "last": after the things on it
    frames: tuple[str, ...] = ("{}",)
    from_above: tuple[str, ...] = ("{}",)
    contractions: tuple[tuple[str, str], ...] = ()


GRAMMARS = {
    "en": Grammar(
        ("a", "a", "a", ""), ("several",), ("many",), joint=" and ", including="with",
        frames=("{}", "shown: {}", "it has {}", "in it, {}"),
        from_above=("{} seen from high up", "an aerial view: {}", "looking down: {}"),
    ),
    "pt": Grammar(
        ("um", "uma", "", ""), ("vários", "várias"), ("muitos", "muitas"), adjectives="after", joint=" e ",
        including="com", part="com {}", parts_joint=" e ",
        frames=("{}", "uma imagem: {}", "aqui há {}", "vê-se {}"),
        from_above=("{}, cena aérea", "vista aérea: {}", "do alto, {}"),
    ),
    "es": Grammar(
        ("un", "una", "", "unas"), ("varios", "varias"), ("muchos", "muchas"), adjectives="after", joint=" y ",
        including="con", part="con {}", parts_joint=" y ",
        frames=("{}", "una imagen: {}", "aquí hay {}", "se ve {}"),
        from_above=("{}, toma aérea", "vista aérea: {}", "desde el aire, {}"),
    ),
    "de": Grammar(
        ("ein", "eine", "ein", ""), ("mehrere",), ("viele",), joint=" und ", including="mit",
        part="mit {}", parts_joint=" und ",
        frames=("{}", "ein Bild: {}", "zu sehen: {}", "hier: {}"),
        from_above=("{}, Luftaufnahme", "Luftbild: {}", "aus der Luft: {}"),
    ),
    "fr": Grammar(
        ("un", "une", "", "des"), ("plusieurs",), ("beaucoup de",), adjectives="after", joint=" et ", including="avec",
        part="avec {}", parts_joint=" et ",
        frames=("{}", "une image : {}", "il y a {}", "on voit {}"), from_above=("{} vu d'en haut", "vue aérienne : {}"),
        contractions=((" de un", " d'un"), (" que un", " qu'un")),
    ),
    "it": Grammar(
        ("un", "una", "", "delle"), ("diversi", "diverse"), ("molti", "molte"), adjectives="after", joint=" e ",
        including="con", part="con {}", parts_joint=" e ",
        frames=("{}", "un'immagine: {}", "ecco {}", "si vede {}"),
        from_above=("{} dall'alto", "veduta aerea: {}"),
    ),
    "nl": Grammar(
        ("een", "een", "een", ""), ("verscheidene",), ("vele",), joint=" en ", including="met",
        part="met {}", parts_joint=" en ",
        frames=("{}", "een beeld: {}", "hier: {}", "te zien: {}"), from_above=("{} van boven", "luchtfoto: {}"),
    ),
    "ru": Grammar(
        several=("несколько",), many=("много",), joint=" и ", including="с",
        part="с {}", parts_joint=" и ",
        frames=("{}", "картинка: {}", "здесь {}", "видно: {}"), from_above=("{} сверху", "вид с воздуха: {}"),
    ),
    "zh": Grammar(
        several=("几个",), many=("许多",), places="before", relation="last", link="在", scene="first", joint=" 和 ",
        including="有", part="带 {} 的", parts_joint=" 和 ",
        frames=("{}", "图片 : {}", "这里 : {}", "看到 {}"), from_above=("{} 俯视图", "航拍 : {}"),
    ),
    "ko": Grammar(
        several=("여러",), many=("많은",), places="before", relation="first", scene="first", joint=" 그리고 ",
        including="있는", land="last", part="{} 달린", parts_joint=" 그리고 ",
        frames=("{}", "그림 : {}", "여기 {}", "보이는 것 : {}"),
        from_above=("{} 내려다본 모습", "항공 사진 : {}"),
    ),
}  # fmt: skip


class Word(NamedTuple):
    """One way to say a concept; `agree` and `plural` as in the tables."""

    text: str
    agree: str = ""
    plural: str = ""


@cache
def lexicon(language: str) -> dict[tuple[str, str], tuple[Word, ...]]:
    """Words by (kind, concept). Kinds: noun, sign, land, adjective, part, place, relation, scene, number.

    A sign is what bears a written word. Raises ValueError for an unknown language.
    """
    if language not in GRAMMARS:
        raise ValueError(f"language '{language}' is unknown; choose one of {', '.join(GRAMMARS)}")
    found = _english() if language == "en" else {}
    with open(kb.TABLES / "languages" / f"{language}.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            both = [Word(*(row[column + end] for column in ("word", "agree", "plural"))) for end in ("", "2")]
            found[row["kind"], row["concept"]] = tuple(word for word in both if word.text)
    after = GRAMMARS[language].adjectives == "after"
    for badge in kb.badges().values():  # an invented word stays, the word of the body is translated
        body = found.pop(("body", badge.phrase), None) or found["noun", badge.phrase]
        both = [f"{text} {badge.word}" if after else f"{badge.word} {text}" for text in (body[0].text, body[0].plural)]
        found["noun", badge.phrase] = body
        found["noun", badge.name] = (Word(both[0], body[0].agree, both[1] if body[0].plural else ""),)
    return found


def _english() -> dict[tuple[str, str], tuple[Word, ...]]:
    found = {("noun", kb.ANY): (Word("object", "", "objects"), Word("thing", "", "things"))}
    for family in kb.families().values():
        found["noun", family.name] = (Word(family.hypernym, "", family.plural),)
    for name, kind in kb.classes().items():
        found["noun", name] = (Word(kind.phrase, "", kind.plural), Word(kind.second, "", kb.plural(kind.second)))
    for badge in kb.badges().values():
        found["noun", badge.phrase] = (Word(badge.phrase, "", badge.plural),)
    found["noun", kb.BADGE] = (Word(kb.BADGE, "", kb.plural(kb.BADGE)),)
    found["sign", "sign"] = (Word("sign that says", "", "signs that say"),)
    found |= {("part", phrase): (Word(phrase),) for phrase in kb.part_phrases()}
    for value, states in kb.states().items():
        found["adjective", value] = tuple(Word(state.phrase) for state in states if state.before)[:2]
    for factor in ("size", "mirrored", "fill", "colour", "turn", "position", "relation", *SCENE[2:]):
        kind = "scene" if factor in SCENE else KINDS.get(factor, factor)
        for value in kb.values(factor).values():
            said = [value.phrase, value.synonym]
            if factor == "style":  # "a photo of" stands before what it shows
                said = ["as " + phrase.removesuffix(" of") for phrase in said]
            if factor in ("quality", "lighting"):
                said = [f"all {phrase}" for phrase in said]
            found[kind, value.value] = tuple(Word(phrase, "", phrase.replace(" its ", " their ")) for phrase in said)
    return found | {("number", str(number)): (Word(word),) for number, word in enumerate(kb.NUMBERS)}


def words(language: str, kind: str, concept: str) -> tuple[Word, ...]:
    """Ways to say a concept; a concept that the table lacks keeps its English words, as foreign words do."""
    known = lexicon(language).get((kind, concept)) or lexicon("en").get((kind, concept))
    return known or (Word(concept, "", kb.plural(concept) if kind == "noun" else ""),)


# ---------------------------------------------------------------------------------------------------------- saying


def say(said: Said, language: str, pick: Pick, grammar: Grammar | None = None, frame: str | None = None) -> str:
    """Slots as a sentence. `pick` chooses among synonyms and frames; `grammar` replaces that of the language."""
    grammar = grammar or GRAMMARS[language]
    lands = [value for factor, value in said.scene if factor == "land"]
    rest = [value for factor, value in said.scene if factor != "land"]
    case = "dative" if language == "de" and lands else ""
    body = _things(said, language, pick, grammar, case)
    if lands:
        land = _noun_phrase(Noun(lands[0]), language, pick, grammar, "", kind="land")
        parts = [land, grammar.including, body] if grammar.land == "first" else [body, grammar.including, land]
        body = " ".join(parts) if body else land
    scene = [pick(words(language, "scene", value)).text for value in rest]
    text = " ".join(filter(None, [body, *scene] if grammar.scene == "last" else [*scene, body]))
    text = (pick(grammar.from_above if lands else grammar.frames) if frame is None else frame).format(text)
    for full, short in grammar.contractions:
        text = text.replace(full, short)
    return text


def _things(said: Said, language: str, pick: Pick, grammar: Grammar, case: str) -> str:
    """Noun phrases, those in a relation first; a noun said again is said without its looks."""
    seen: set[int] = set()

    def phrase(index: int, case: str) -> str:
        noun = said.nouns[index]
        noun = Noun(noun.name, (), noun.number, noun.several) if index in seen else noun
        seen.add(index)
        return _noun_phrase(noun, language, pick, grammar, case)

    clauses = []
    for a, relation, b in said.relations:
        word = pick(words(language, "relation", relation)).text
        if grammar.relation == "first":
            clauses.append(" ".join([phrase(b, ""), word, phrase(a, "")]))
            continue
        first, second = phrase(a, case), phrase(b, "dative")
        if grammar.places == "after" and any(KINDS[factor] == "place" for factor, _ in said.nouns[a].looks):
            first += ","  # else "at the top, left of" would be read "at the top left, of"
        parts = [first, word, second] if grammar.relation == "between" else [first, grammar.link, second, word]
        clauses.append(" ".join(parts))
    alone = [phrase(index, case) for index in range(len(said.nouns)) if index not in seen]
    return "; ".join([*clauses[:-1], grammar.joint.join([*clauses[-1:], *alone])])


def _noun_phrase(noun: Noun, language: str, pick: Pick, grammar: Grammar, case: str, kind: str = "noun") -> str:
    word = pick(words(language, *(("sign", "sign") if noun.quoted else (kind, noun.name))))
    plural = noun.plural or word.agree.endswith("p")
    gender = {"w": "m", "a": "f", "p": "m"}.get(word.agree, word.agree[:1] or "m")
    looks: dict[str, list[str]] = {"adjective": [], "part": [], "place": []}
    for factor, value in noun.looks:
        said = pick(words(language, KINDS[factor], value))
        form = said.plural if plural and said.plural else said.text
        if KINDS[factor] == "adjective":
            form = said.text if noun.quoted else _adjective_form(said, language, gender, plural, case)
        elif KINDS[factor] == "part" and language == "en" and grammar.articles:
            form = f"{kb.article(form)} {form}"
        looks[KINDS[factor]].append(form)
    parts = [grammar.part.format(grammar.parts_joint.join(looks["part"]))] if looks["part"] else []
    early = grammar.adjectives == "before" and not noun.quoted
    before = looks["adjective"] if early else []
    if grammar.places == "before":
        before = [*looks["place"], *parts, *before]
    text = noun_form(word, language, noun.plural, case)
    count = _count(noun, language, gender, grammar, case)
    if not noun.plural and not (language == "en" and count):
        count = [*count, _article(word, language, gender, grammar, case, (before or [text])[0])]
    text = " ".join([*filter(None, count), *before, text, *([noun.name] if noun.quoted else [])])
    if looks["adjective"] and not early:
        said = grammar.looks_joint.join(looks["adjective"])
        text = f"{text}, {said}" if noun.quoted else grammar.after[plural].format(noun=text, looks=said)
    return " ".join([text, *parts, *looks["place"]]) if grammar.places == "after" else text


def _count(noun: Noun, language: str, gender: str, grammar: Grammar, case: str) -> list[str]:
    feminine = gender == "f"
    if noun.several:
        forms = grammar.several if noun.several == "several" else grammar.many
        form = forms[feminine and len(forms) > 1]
        return [form + "n" if language == "de" and case == "dative" else form]
    if noun.number is None:
        return []
    if noun.number >= len(kb.NUMBERS):
        return [str(noun.number)]
    word = words(language, "number", str(noun.number))[0]
    return [word.agree if feminine and word.agree else word.text]


def _article(word: Word, language: str, gender: str, grammar: Grammar, case: str, following: str) -> str:
    """The indefinite article; with "one" it stays, as in "nur ein Hund"."""
    if not any(grammar.articles):
        return ""
    if language == "en":
        return kb.article(following)
    if word.agree.endswith("p"):
        return {"fr": "des", "it": "delle" if gender == "f" else "dei", "es": "unas" if gender == "f" else "unos",
                "pt": "umas" if gender == "f" else "uns"}.get(language, "")  # fmt: skip
    if language == "de" and case == "dative":
        return {"m": "einem", "f": "einer", "n": "einem"}[gender]
    if language == "it":
        vowel, hard = word.text[0] in "aeiou", word.text.startswith(("z", "gn", "ps", "x", "y"))
        hard = hard or (word.text[0] == "s" and word.text[1] not in "aeiou")
        return ("uno" if hard else "un") if gender == "m" else "un'" if vowel else "una"
    if language == "es" and word.agree == "a":
        return "un"
    return grammar.articles["mfn".index(gender)]


def noun_form(word: Word, language: str, plural: bool, case: str) -> str:
    if language == "de" and case == "dative":
        if plural:
            return word.plural if word.plural[-1] in "ns" or " " in word.plural else word.plural + "n"
        return word.plural if word.agree == "w" else word.text
    return word.plural if plural and word.plural else word.text


def _adjective_form(word: Word, language: str, gender: str, plural: bool, case: str) -> str:
    if not word.agree:
        return word.text
    if language in ("pt", "es", "fr", "it"):
        masculine, feminine = word.plural.split(";")
        return (feminine if gender == "f" else masculine) if plural else word.agree if gender == "f" else word.text
    if language == "de":
        ending = "en" if case == "dative" else "e" if plural else {"m": "er", "f": "e", "n": "es"}[gender]
        return word.agree + ending
    if language == "nl":
        return word.text if gender == "n" and not plural else word.agree
    feminine, neuter = word.agree.split(";")
    return word.plural if plural else {"m": word.text, "f": feminine, "n": neuter}[gender]
