"""Authors: people with habits of writing, a machine that imitates text, and machine text edited towards a person.

People write remarks on one of eight topics (tables/writing/remarks.csv) in a style of their own. The machine is a word
n-gram model of order 4 per topic, trained on texts in the house style of habits.csv mixed with human ones. An attack
rewrites machine text in the style of one person as estimated from exemplars. Used by style_detection (2505.14608).
"""

from bisect import bisect_right
from collections import Counter
from functools import cache, lru_cache
from itertools import accumulate

from lib.world import kb
from lib.world.writing_draw import Draw, known_split, table
from lib.world.writing_style import (
    PLAIN,
    Style,
    articles,
    estimate,
    good,
    num_sentences,
    phrases,
    popularity,
    restyle,
    write,
)

SPLITS = ("train", "val", "test")
TEXTS, EXEMPLARS = 60, 16  # texts per author; the first ones are what an attack may learn from
ORDER, BACK_OFF = 4, 0.02  # of the n-gram machine: words, weight of shorter contexts
MACHINE_TEXTS, MIX = 2400, 0.2  # the machine's training texts, share of human ones


# ---- people


@cache
def topics() -> tuple[str, ...]:
    """Names of the topics; `topic` fields are indices into them."""
    return tuple(dict.fromkeys(row["topic"] for row in table("remarks") if row["topic"] != "any"))


@cache
def _remarks(topic: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(wordings special to a topic, classes that it is about)."""
    rows = [row for row in table("remarks") if row["topic"] == topic]
    families = set(rows[0]["families"].split(";"))
    return tuple(row["wording"] for row in rows), tuple(
        name for name, kind in kb.classes().items() if kind.family in families and "Z" not in kind.roles
    )


def remarks(topic: str, draw: Draw) -> list[str]:
    """Three to six plain sentences on a topic."""
    special, things = _remarks(topic)
    common = tuple(row["wording"] for row in table("remarks") if row["topic"] == "any")
    colours = tuple(kb.values("colour"))
    sentences = []
    for _ in range(3 + draw.below(4)):
        thing = kb.classes()[draw.choose(things)]
        slots = {
            "thing": thing.phrase, "things": thing.plural, "n": draw.choose(PLAIN), "colour": draw.choose(colours),
            "colour2": draw.choose(colours), "good": draw.choose(sorted(good())),
            "place": draw.choose(phrases("place"))[0],
        }  # fmt: skip
        wording = draw.choose(special) if draw() < 0.3 else draw.choose(common)
        sentences.append(" ".join(articles(wording.format(**slots).split())))
    return sentences


@cache
def style(split: str, author: int) -> Style:
    """The style of an author: per habit a favourite with `least` to `most` of the weight, the rest as is common."""
    draw = Draw("authors", known_split(split, SPLITS), author)
    found = {}
    for row in table("habits"):
        habit, shares, least, most = row["habit"], popularity()[row["habit"]], float(row["least"]), float(row["most"])
        favourite, weight = draw.choose(range(len(shares)), shares), least + (most - least) * draw()
        found[habit] = tuple(weight * (k == favourite) + (1 - weight) * share for k, share in enumerate(shares))
    return found


def human(split: str, author: int, number: int) -> tuple[str, int]:
    """Text `number` of an author of a split, and its topic."""
    draw = Draw("authors", known_split(split, SPLITS), author, number)
    topic = draw.below(len(topics()))
    return write(remarks(topics()[topic], draw), style(split, author), draw), topic


# ---- the machine

Model = dict[tuple[str, ...], tuple[list[str], list[int]]]  # context -> next words, cumulative counts; "" ends a text


@lru_cache(4)
def _machine(mix: float) -> tuple[Model, ...]:
    """Per topic, the words seen after contexts of 0 to ORDER - 1 words."""
    counts: tuple[dict, ...] = tuple({} for _ in topics())
    for number in range(MACHINE_TEXTS):
        draw = Draw("authors", "machine", number)
        topic = draw.below(len(topics()))
        person = draw.below(1 << 20)
        writer = style("train", person) if draw() < mix else popularity("house")
        words = [*[""] * (ORDER - 1), *write(remarks(topics()[topic], draw), writer, draw).split(" "), ""]
        for place in range(ORDER - 1, len(words)):
            for length in range(ORDER):
                counts[topic].setdefault(tuple(words[place - length : place]), Counter())[words[place]] += 1
    return tuple({c: (list(seen), list(accumulate(seen.values()))) for c, seen in model.items()} for model in counts)


@lru_cache(8192)
def machine(split: str, index: int, mix: float = MIX, candidate: int = 0) -> tuple[str, int]:
    """Machine text `index` of a split, and its topic. Candidates of one index answer one prompt: topic and length.

    `mix` is the share of human text in the machine's training. Lengths are drawn as those of people are, so that they
    tell nothing; what the model repeats or runs together does. Raises ValueError for a mix outside [0, 1].
    """
    if not 0 <= mix <= 1:
        raise ValueError(f"mix {mix} is no share; it lies in [0, 1]")
    prompt = Draw("authors", known_split(split, SPLITS), "prompt", index)
    topic, length = prompt.below(len(topics())), 3 + prompt.below(4)
    draw = Draw("authors", split, "sample", index, candidate, round(1000 * mix))
    best, nearest = "", 1 << 30
    for _ in range(60):
        text = _sample(_machine(round(mix, 3))[topic], draw)
        gap = abs(num_sentences(text) - length)
        if gap < nearest:
            best, nearest = text, gap
        if not gap:
            break
    return best, topic


def _sample(model: Model, draw: Draw) -> str:
    """A text of the model: each word after the longest context that is known and not left for a shorter one."""
    words = [""] * (ORDER - 1)
    while len(words) < 200 and (words[-1] or len(words) == ORDER - 1):
        context = tuple(words[-(ORDER - 1) :])
        while context:
            seen = model.get(context)
            if seen and draw() * (seen[1][-1] + BACK_OFF) < seen[1][-1]:
                break
            context = context[1:]
        options, bounds = model[context]
        words.append(options[bisect_right(bounds, draw() * bounds[-1])])
    return " ".join(words[ORDER - 1 :]).strip()


@cache
def exemplar_style(split: str, author: int) -> Style:
    """The style of an author as estimated from the first `EXEMPLARS` texts, error included."""
    return estimate([human(split, author, number)[0] for number in range(EXEMPLARS)])


def attack(
    split: str, index: int, author: int, mix: float = MIX, candidate: int = 0, oracle: bool = False
) -> tuple[str, int]:
    """Machine text `index` edited towards an author of the split, and its topic.

    The author's style is estimated from exemplars; `oracle` takes the true one. Texts 0..EXEMPLARS - 1 of the author
    must not stand in an evaluation of attacks. Candidates differ in the edit, not in the machine text.
    """
    text, topic = machine(split, index, mix)
    target = style(split, author) if oracle else exemplar_style(split, author)
    return restyle(text, target, Draw("authors", split, "attack", index, author, candidate, int(oracle))), topic
