"""Prompt templates and the small tokenizers."""

OPENAI = (  # the seven templates chosen for ImageNet in the CLIP repository (notebooks/Prompt_Engineering_for_ImageNet)
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
BEGIN, END, PAD = "<|startoftext|>", "<|endoftext|>", "<|pad|>"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"  # CLIP's: words, single digits, runs of the rest


def templates(frames: str) -> list[str]:
    """Format strings with one "{}" each.

    frames  "seen" (frames of the base models' captions), "held_out" (frames no base model saw), "openai" (CLIP's seven)
    """
    if frames == "openai":
        return list(OPENAI)
    if frames not in ("seen", "held_out"):
        raise ValueError(f"templates '{frames}' are unknown; choose seen, held_out or openai")
    from lib.world import grammar

    return list(grammar.templates(frames))


def prompts(classnames, templates) -> list[str]:
    """Every template filled with every class name, class by class, length C * T; underscores become spaces."""
    for template in templates:
        if template.count("{}") != 1:
            raise ValueError(f"a template needs exactly one {{}}: '{template}'")
    return [template.format(name.replace("_", " ")) for name in classnames for template in templates]


def build_tokenizer(texts, vocab_size: int = 2560):
    """Train a byte-level BPE on an iterable of str and return it as a PreTrainedTokenizerFast.

    Lower case; a word is one unit whatever stands before it ("cup" is the same token in `a cup` and in `"cup"`), digits
    are single. Ids: 0 pad, 1..256 bytes, then merges, begin, and end as the largest, which argmax pooling needs. There
    is no unknown token: any text is spelt in bytes. Control tokens written in a text are spelt like any other text. At
    most `vocab_size` ids, fewer where the texts give no more merges: take the number from len(tokenizer). The same
    texts give the same file.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    if vocab_size < 259:
        raise ValueError(f"vocab_size {vocab_size} is too small: 256 bytes and 3 control tokens need 259")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    words = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    spelling = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)  # the space marks where a word begins
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, spelling])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = vocab_size - 2
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[PAD], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return _finished(tokenizer)


def character_tokenizer():
    """A tokenizer that spells: every character of ASCII is one token, spaces too, others are their bytes.

    As `build_tokenizer` it writes in lower case, knows any text, and has 0 as pad and the end token as largest of its
    259 ids. For readers, to whom the letters of a word matter.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={PAD: 0} | {byte: 1 + i for i, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([PAD])
    return _finished(tokenizer)


def _finished(tokenizer):
    """A PreTrainedTokenizerFast with begin and end tokens as the last ids, around every text."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    tokenizer.add_special_tokens([BEGIN, END])
    control = [(token, tokenizer.token_to_id(token)) for token in (BEGIN, END)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A {END}", special_tokens=control)
    names = {"bos_token": BEGIN, "eos_token": END, "pad_token": PAD}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, split_special_tokens=True, **names)
