"""The training text: a directory with stories.txt, whose documents end with a line <|endoftext|>.

Its first TINY_STORIES_BYTES bytes are TinyStories, the easiest part to learn; the rest are fairy tales and
children's books. Both parts are tokenized once into a cache, and one document in VALIDATION_EVERY is held out.
"""
import random

import numpy as np

import bpe

TINY_STORIES_BYTES = 6_439_291
VALIDATION_EVERY = 100
VOCABULARY = 4096
BOOKS_IN_TOKENIZER = 0.1  # weight of the books' words when the merges are counted; TinyStories have 1


def read_documents(directory):
    """-> {"tiny": [text], "books": [text]}"""
    raw = (directory / "stories.txt").read_bytes()
    split = lambda part: [d.strip("\n") for d in part.decode("ascii").split(bpe.END_OF_TEXT + "\n") if d.strip()]
    return {"tiny": split(raw[:TINY_STORIES_BYTES]), "books": split(raw[TINY_STORIES_BYTES:])}


def hold_out(documents, seed):
    """-> training documents, validation documents."""
    shuffled = documents[:]
    random.Random(seed).shuffle(shuffled)
    n = max(1, len(shuffled) // VALIDATION_EVERY)
    return shuffled[n:], shuffled[:n]


def make_tokenizer(parts):
    weights = {"tiny": 1.0, "books": BOOKS_IN_TOKENIZER}
    texts = [(d, weights[name]) for name, documents in parts.items() for d in documents]
    counts = bpe.count_words(*zip(*texts))
    return bpe.Tokenizer(bpe.train(counts, VOCABULARY - 256 - 1))


def prepare(directory, work, seed=1):
    """Tokenizes once. -> tokenizer, {part: [document]}, {part: bytes of text}

    The parts are tiny.train, tiny.valid, books.train and books.valid. A document is a uint16 array of tokens that
    begins with <|endoftext|>; its bytes are those of its text and one for that token.
    """
    parts = {}
    for name, documents in read_documents(directory).items():
        parts[name + ".train"], parts[name + ".valid"] = hold_out(documents, seed)
    table = work / "tokenizer.json"
    if not table.exists():
        make_tokenizer({name: parts[name + ".train"] for name in ("tiny", "books")}).save(table)
    tokenizer = bpe.Tokenizer.load(table)
    cache = work / "tokens.npz"
    if not cache.exists():
        flat = {}
        for name, documents in parts.items():
            flat[name] = np.array([i for d in documents for i in [tokenizer.end, *tokenizer.encode(d)]], np.uint16)
            flat[name + ".bytes"] = np.int64(sum(len(d) + 1 for d in documents))
        np.savez(cache, **flat)
    stored = dict(np.load(cache))
    sizes = {name: int(stored.pop(name + ".bytes")) for name in parts}
    return tokenizer, {name: split_documents(ids, tokenizer.end) for name, ids in stored.items()}, sizes


def split_documents(ids, end):
    return np.split(ids, np.flatnonzero(ids == end)[1:])


class Stream:
    """Endless windows of `time` + 1 tokens over the documents, reshuffled every epoch."""

    def __init__(self, documents, seed):
        self.documents, self.random = documents, np.random.default_rng(seed)
        self.tokens, self.at, self.epochs = np.zeros(0, np.uint16), 0, 0

    def window(self, time):
        if self.at + time + 1 > len(self.tokens):
            order = self.random.permutation(len(self.documents))
            self.tokens = np.concatenate([self.tokens[self.at:]] + [self.documents[i] for i in order])
            self.at, self.epochs = 0, self.epochs + 1
        self.at += time
        return self.tokens[self.at - time:self.at + 1]


class Mixture:
    """Batches in which each window comes from TinyStories with probability `tiny_share`."""

    def __init__(self, documents, seed):
        self.tiny = Stream(documents["tiny.train"], seed)
        self.books = Stream(documents["books.train"], seed + 1)
        self.random = np.random.default_rng(seed + 2)

    def batch(self, windows, time, tiny_share):
        """-> int64 (windows, time + 1)"""
        pick = lambda: self.tiny if self.random.random() < tiny_share else self.books
        return np.stack([pick().window(time) for _ in range(windows)]).astype(np.int64)


def validation_windows(documents, time, limit):
    """The first windows of the held-out documents laid end to end: int64 (<= limit, time + 1)."""
    flat = np.concatenate(documents)
    n = min(limit, (len(flat) - 1) // time)
    return np.stack([flat[i * time:(i + 1) * time + 1] for i in range(n)]).astype(np.int64)
