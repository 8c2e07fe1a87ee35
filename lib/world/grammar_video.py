"""Language of procedural videos: goals as queries, and what is spoken while a step runs (after HiREST, 2303.16406).

The captions of steps are `grammar_change_say.step`. A goal is a row of tables/goals.csv: a query with {noun}, {plural}
and {colour}, another wording, and a plan of steps "kind:value".
"""

import csv
from functools import cache

import numpy as np

from lib.world import kb
from lib.world.grammar_noun import nouns, words

OPENERS = ("now", "so", "next", "and then", "fine,", "well,", "let me", "here I")
FILLERS = (
    "okay", "let us go on", "as you know", "give it a moment", "that went well", "just like so", "do not worry",
    "take your time", "it is quite easy", "thanks for watching", "hello and welcome back",
    "do subscribe to the channel", "as I said", "let us wait", "hm", "that looks nice already",
)  # fmt: skip


@cache
def goals() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Goal -> (query, another wording, plan)."""
    with open(kb.TABLES / "goals.csv", newline="", encoding="ascii") as file:
        return {
            row["goal"]: (row["query"], row["second"], tuple(row["plan"].split(";"))) for row in csv.DictReader(file)
        }


def query(goal: str, name: str, colour: str = "", new: str = "", second: bool = False) -> str:
    """What one searches for: query("tower", "cup", "red") -> "build a tower of red cups".

    `name` and `colour` of the thing, `new`: the colour it gets, `second`: in the other wording. Raises ValueError for
    an unknown goal, or where the goal needs a new colour.
    """
    if goal not in goals():
        raise ValueError(f"goal '{goal}' is unknown; choose one of {', '.join(goals())}")
    wording = goals()[goal][second]
    if "{colour}" in wording and not new:
        raise ValueError(f"goal '{goal}' needs the new colour; pass new=")
    look = words("colour", colour)[0] + " " if colour else ""
    singular, plural = nouns(name)[0]
    singular = f"{look}{singular}"
    return wording.format(noun=f"{kb.article(singular)} {singular}", plural=f"{look}{plural}", colour=new)


def spoken(step: str | None, rng: np.random.Generator, rate: float = 0.5) -> str:
    """The transcript of one frame: with probability `rate` the running step behind an opener, else a filler.

    `step` is None in frames of no step.
    """
    u_rate, u_word = rng.random(2)
    if step is None or u_rate >= rate:
        return FILLERS[int(u_word * len(FILLERS))]
    return f"{OPENERS[int(u_word * len(OPENERS))]} {step}"
