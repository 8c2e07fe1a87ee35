"""Whether a text is well formed: made as the grammar makes captions, in words, order, number and articles.

`parse` understands a bag of words gladly; `well_formed` does not. Each sentence becomes a row of word classes ("a As Ac
N1 R a N1 Sb") which one regular expression accepts or not. The true grammaticality rate of CLIP reward (2205.13115).
"""

import itertools
import re
from functools import cache

from lib.world import kb
from lib.world.grammar_parse import ANY_WORDS, PRONOUNS, QUOTE, phrases, tokens
from lib.world.grammar_say import FRAMES, STYLE_FRAMES

# noun phrases: every factor once, in the order of the grammar
_BEFORE = "(?:Ad )?(?:Am )?(?:As )?(?:Af )?(?:Ac )?"
_PARTS = "(?:a|an) W(?: , (?:a|an) W)*(?: and (?:a|an) W)?"
_AFTER = f"(?: Pd)?(?: with {_PARTS})?(?: Pt)?(?: Pp)?"
_ONE, _MANY = f"(?:a|an|the|one) {_BEFORE}N1{_AFTER}", f"(?:several|the|C) {_BEFORE}N2{_AFTER}"
_LOOKS = "(?:Ad|Am|As|Af|Ac)"
_PRONOUN = f"O(?: {_LOOKS}(?: and {_LOOKS})*)?{_AFTER}"
_NOUN = f"(?:{_ONE}|{_MANY}|{_PRONOUN})"
_SIGN = "(?: with a Z Q| with Z Q(?: and Q)+)?"
_NOUNS = f"{_NOUN}(?:(?: ,)? R {_NOUN}|(?: , {_NOUN})* and {_NOUN})?"
_GROUND = "(?:Ad )?(?:a |an |the )?(?:Ad )?G(?: Pd)?(?: Sl)?"
_CORE = f"(?:T )?(?:{_NOUNS}(?: Sb)?(?: Sl)?|{_GROUND}){_SIGN}"
_LONG = (
    f"(?:the|a|an) N1 is {_LOOKS}(?: , {_LOOKS})*(?: and {_LOOKS})?(?: , with {_PARTS})? ,(?: and it is Pt and)? Pp",
    "the N1 is R the N1",
    "this scene is set Sb",
    "all of it lies (?:Sl|in ordinary light)",
    "all of it is made in the style of (?:a |an )?G",
    "the scene has C N[12] in all",
    "the N1 comes Pd",
    "the word Q is written Pp",
    "the color of the N1 is Ac",
)
_SCENES = ("on", "in", "at", "after", "against")


@cache
def _classes() -> dict[str, str]:
    """Word class of every phrase, by its words."""
    found: dict[str, str] = {}
    before = {"mirrored": "Am", "size": "As", "fill": "Af", "colour": "Ac"}
    for factor, letter in (before | {"turn": "Pt", "position": "Pp", "relation": "R"}).items():
        for row in kb.values(factor).values():
            for phrase in (row.phrase, row.synonym, row.reserved):
                found[phrase] = found[phrase.replace(" its ", " their ")] = letter
    for factor in ("background", "light", "lighting", "style", "quality"):
        for row in kb.values(factor).values():
            for phrase in (row.phrase, row.synonym, row.reserved):
                place = phrase.split()[0] in _SCENES
                found[phrase] = (
                    "T" if factor == "style" else ("Sb" if factor == "background" else "Sl") if place else "G"
                )
    for states in kb.states().values():
        found |= {state.phrase: "Ad" if state.before else "Pd" for state in states}
    found |= dict.fromkeys(kb.part_phrases(), "W")
    for kind in (*kb.classes().values(), *kb.badges().values()):
        singular = (kind.phrase, *kind.names) if isinstance(kind, kb.Class) else (kind.phrase, kind.name, kind.word)
        found |= dict.fromkeys((kb.plural(noun) for noun in singular), "N2")
        found |= dict.fromkeys(singular, "N1")
    for family in kb.families().values():
        found |= {family.plural: "N2", family.hypernym: "N1"}
    found |= {kb.BADGE: "N1", kb.plural(kb.BADGE): "N2"}
    found |= {word: "O" if word in PRONOUNS else "N2" if word.endswith("s") else "N1" for word in ANY_WORDS}
    found |= dict.fromkeys(kb.NUMBERS, "C")
    return found


@cache
def _patterns() -> tuple[re.Pattern, re.Pattern, re.Pattern]:
    """Of a first sentence, of a later one, and of a look that is said twice."""
    frames = {text for which in FRAMES for pair in FRAMES[which] for text in pair}
    frames |= {text for which in STYLE_FRAMES for text in STYLE_FRAMES[which]}
    made = "|".join(re.escape(frame).replace(r"\{\}", "{}").format(f"(?:{_CORE})") for frame in sorted(frames))
    later = "|".join(_LONG)
    return re.compile(f"{made}|{later}"), re.compile(later), re.compile(r"\b(A[dmsfc])(?: ,| and)? \1\b")


def word_classes(sentence: str) -> str:
    """A sentence as word classes, function words as they are: "a small red cat above a cup" -> "a As Ac N1 R a N1"."""
    known, classes = phrases(), _classes()
    words, _ = tokens(sentence)
    found, i = [], 0
    words = words[:-1]
    while i < len(words):
        word, length = words[i], 1
        for candidate, kind, _ in known.get(word, ()):
            if len(candidate) == 1 or tuple(words[i : i + len(candidate)]) == candidate:
                said, length = " ".join(candidate), len(candidate)
                found.append(
                    {"sign": "Z", "not": "not"}.get(kind) or classes.get(said, "G" if kind == "scene" else word)
                )
                break
        else:
            found.append("Q" if word[0] == QUOTE else "C" if word.isascii() and word.isdigit() else word)
        i += length
    return " ".join(found)


def well_formed(text: str) -> bool:
    """Whether every sentence is one that the grammar can make, with the right articles and numbers."""
    text = re.sub(r'"[^"]*"', '"word"', text.strip())  # what is quoted need not be
    sentences = [one for one in re.split(r"\. |\.$", text) if one]
    first, later, twice = _patterns()
    for place, sentence in enumerate(sentences):
        for word, after in itertools.pairwise(sentence.lower().split()):
            if word in ("a", "an") and word != kb.article(after):
                return False
        classes = word_classes(sentence)
        if twice.search(classes) or not (later if place else first).fullmatch(classes):
            return False
    return bool(sentences)
