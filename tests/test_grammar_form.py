"""Well-formedness: every caption is, corrupted ones are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_grammar import WORDS
from test_grammar_golden import scene
from test_grammar_kinds import MENTIONS, full_specs

from lib.world.grammar import KINDS, caption
from lib.world.grammar_form import well_formed, word_classes
from lib.world.grammar_say import FRAMES


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("alt", "q1")])
@settings(max_examples=60, deadline=None)
@given(spec=full_specs(), seed=st.integers(0, 2**32), frames=st.sampled_from(list(FRAMES)), mention=MENTIONS)
def test_every_caption_is_well_formed(kind, spec, seed, frames, mention):
    text = caption(spec, kind, np.random.default_rng(seed), frames=frames, mention=mention).text
    assert well_formed(text), (text, word_classes(text))


def corrupted(words, how, rng):
    words, i = list(words), int(rng.integers(len(words)))
    if how == "repeat":
        words.insert(i, words[i])
    elif how == "remove":
        words.pop(i)
    elif how == "insert":
        words.insert(i, str(rng.choice(["the", "of", "on", "and", "cat"])))
    elif how == "swap":
        j = int(rng.integers(len(words)))
        words[i], words[j] = words[j], words[i]
    else:
        rng.shuffle(words)
    return " ".join(words)


@pytest.mark.parametrize(("how", "least"), [("repeat", 0.97), ("remove", 0.75), ("insert", 0.95), ("swap", 0.95),
                                            ("shuffle", 0.98)])  # fmt: skip
def test_corrupted_captions_are_not(how, least):
    """What is left over is well formed by chance: a removed adjective, exchanged nouns."""
    rng = np.random.default_rng(0)
    texts = [caption(scene(rng), "short", rng).text for _ in range(600)]
    pairs = [(text, corrupted(text.split(), how, rng)) for text in texts if len(text.split()) > 4]
    found = [well_formed(spoilt) for text, spoilt in pairs if text != spoilt]
    assert len(found) > 150 and 1 - np.mean(found) > least


def test_sentences_by_hand():
    right = ["a small red cat above an urn on sand", "we see two cats and something striped", "an ankh"]
    right += ['a cup with a sign saying "a cat. no"', "this is a cat. the cat is small and red, on the left."]
    for text in right:
        assert well_formed(text), text
    for text in ("", "cat", "a urn", "an cat", "two cat", "a cats", "a red small cat", "a cat a cup", "cat a red",
                 "a cat and", "we see", "a cat. sand.", "a red red cat", "the cat is red, red, on the left",
                 "a cat with a sign saying stop", "a zebra"):  # fmt: skip
        assert not well_formed(text), text


@settings(max_examples=200, deadline=None)
@given(st.text() | st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
def test_well_formed_never_raises(text):
    assert well_formed(text) in (True, False)
