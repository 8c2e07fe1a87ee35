"""Prompts that belong to no picture: looks without a class, denials, states, light and quality, ranks, written words.

None of them repeats a frame of the base captions. `parse` understands all of them.
"""

from collections.abc import Iterable

import numpy as np

from lib.world import kb
from lib.world.grammar_noun import nouns, words

# pairs of a prompt and its denial, after CLIPN (2308.12213)
DENIALS = (
    ("some picture with a {}", "some picture with no {}"),
    ("some picture with a {}", "some picture without a {}"),
    ("the whole image with a {}", "the whole image without any {}"),
    ("any picture that has a {}", "any picture that has no {}"),
    ("it has a {} in it", "it has no {} in it"),
    ("they have a {}", "they do not have a {}"),
)
TEMPLATES = (  # for names with a state, after AnoVL (2308.15939), in words that base captions have
    "a {}", "the {}", "one {}", "a photo of a {}", "a photo of the {}", "a sticker of a {}", "a sticker of the {}",
    "a large {}", "a small {}", "the {} in bright light", "the {} in dim light", "a plain {}",
)  # fmt: skip
RANKED = {  # what `rank` can ask for -> the instruction, after Ranking-aware adapter (2412.06760)
    "count": "rank the numbers of {plural}",
    "size": "rank the size of the {noun}",
    "brightness": "rank the brightness",
    "quality": "rank the quality",
}
SIGNS = ('"{}"', 'a sign saying "{}"', 'a sign that says "{}"', 'the word "{}"', 'the written word "{}"')
LIGHTS = {  # prompts of CLIP-LIT (2303.17569) and RAVE (2404.01889) by side
    "good": ("a well lit picture", "a well-lit scene", "an evenly lit picture", "a picture in bright light"),
    "bad": ("a dark backlit picture", "a backlit scene", "a picture in dim light", "a picture taken in darkness"),
}


def article_set(text: str) -> str:
    """The text with each "a" and "an" as the next word asks."""
    said = text.split(" ")
    return " ".join(
        kb.article(said[i + 1].strip('"')) if one in ("a", "an") and i + 1 < len(said) else one
        for i, one in enumerate(said)
    )


def looks(factors: Iterable[str] = ("colour", "fill", "size", "position", "turn", "mirrored")) -> dict[tuple, str]:
    """ "something striped" for every value of the factors, by its tuple ("attribute", "object", value)."""
    return {
        ("attribute", kb.ANY, value): f"something {words(factor, value)[0]}"
        for factor in factors
        for value in kb.values(factor)
    }


def places(factors: Iterable[str] = ("background", "light", "style")) -> dict[tuple, str]:
    """Scene prompts that name no object, by their tuple: "a scene on grass", "a scene in dim light"."""
    found = {}
    for factor in factors:
        for value, row in kb.values(factor).items():
            if factor == "style":
                found["scene", value] = f"{row.phrase} something"
            else:
                found["scene", value] = f"a scene {row.phrase}"
    return found


def parts() -> dict[tuple, str]:
    """ "something with a striped band" for every part of a badge and every mark, by its tuple."""
    return {
        ("attribute", kb.ANY, phrase): f"something with {kb.article(phrase)} {phrase}"
        for phrase in sorted(kb.part_phrases())
    }


def denials(name: str) -> list[tuple[str, str]]:
    """Pairs of a prompt for a class and its denial: ("some picture with a cup", "some picture without a cup")."""
    noun = nouns(name)[0][0]
    return [tuple(article_set(one.format(noun)) for one in pair) for pair in DENIALS]


def states(name: str, sides: tuple[str, str] = ("flawless", "damaged")) -> tuple[list[str], list[str]]:
    """Seven noun phrases of a class without defect and seven with one, no article: "flawless cup", "cup with damage".

    `name` is a class or any noun (a texture: "wood"). The templates of `TEMPLATES` go around them.
    """
    noun = nouns(name)[0][0] if name in kb.classes() or name in kb.badges() else name
    return tuple(
        [f"{one.phrase} {noun}" if one.before else f"{noun} {one.phrase}" for one in kb.states()[side]]
        for side in sides
    )


def state_prompts(name: str, templates: Iterable[str] = TEMPLATES) -> tuple[list[str], list[str]]:
    """Every template around every state phrase of a class: (normal, abnormal), article set right."""
    templates = tuple(templates)
    return tuple([article_set(one.format(said)) for said in side for one in templates] for side in states(name))


def lights() -> dict[str, tuple[str, ...]]:
    """Prompts of good and of bad light, by "good" and "bad"."""
    return dict(LIGHTS)


def qualities() -> dict[tuple, str]:
    """A prompt for each quality word, by its tuple: ("scene", "blurry") -> "a blurry picture"."""
    return {
        ("scene", value): f"{kb.article(row.phrase)} {row.phrase} picture"
        for value, row in kb.values("quality").items()
    }


def rank(axis: str, name: str = "", look: str = "") -> str:
    """The instruction to rank pictures: "rank the numbers of red circles", "rank the brightness".

    Raises ValueError for an unknown axis, or where it needs a class.
    """
    if axis not in RANKED:
        raise ValueError(f"rank axis '{axis}' is unknown; choose one of {', '.join(RANKED)}")
    if "{" in RANKED[axis] and not name:
        raise ValueError(f"to rank the {axis} a class is needed; pass its name")
    noun, plural = nouns(name)[0] if name else ("", "")
    return RANKED[axis].format(noun=f"{look} {noun}".strip(), plural=f"{look} {plural}".strip())


def written(word: str) -> list[str]:
    """Queries for a written word: '"stop"', 'a sign saying "stop"', 'the word "stop"'."""
    return [one.format(word) for one in SIGNS]


def colour_question(name: str, colour: str) -> str:
    """ "in this picture, the color of the cup is red": the probe of concept association bias (2212.12043)."""
    return f"in this picture, the color of the {nouns(name)[0][0]} is {words('colour', colour)[0]}"


def pool(rng: np.random.Generator, count: int) -> dict[tuple, str]:
    """A pool of `count` descriptions at most: looks, places and parts drawn without replacement, by their tuples."""
    every = looks() | places() | parts()
    keys = list(every)
    return {keys[i]: every[keys[i]] for i in rng.permutation(len(keys))[:count]}
