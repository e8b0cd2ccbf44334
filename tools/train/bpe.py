"""Byte-level BPE with GPT-2's pre-tokenizer: training and encoding.

A token is a string over GPT-2's printable byte alphabet, as GGUF stores it; its id is its position in
`Tokenizer.tokens`: 256 bytes, then one token a merge, then <|endoftext|>.
"""
import collections
import heapq
import json

import regex

END_OF_TEXT = "<|endoftext|>"
PRE_TOKENIZER = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def byte_alphabet():
    """The printable character of each byte value; the 68 unprintable ones map to U+0100 and up."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(0x100 + i) for i, b in enumerate(rest)}}


ALPHABET = byte_alphabet()
BYTE_OF = {c: b for b, c in ALPHABET.items()}


def to_alphabet(text):
    return "".join(ALPHABET[b] for b in text.encode())


def count_words(texts, weights):
    """Weighted counts of the pre-tokenizer's pieces, in the byte alphabet."""
    counts = collections.Counter()
    for text, weight in zip(texts, weights):
        for word, n in collections.Counter(PRE_TOKENIZER.findall(text)).items():
            counts[to_alphabet(word)] += n * weight
    return counts


def merge_word(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def train(word_counts, n_merges):
    """The n_merges most frequent pairs, greedily; ties go to the pair that sorts first."""
    words = [list(w) for w in word_counts]
    counts = list(word_counts.values())
    pair_count, words_with = collections.Counter(), collections.defaultdict(set)
    for w, symbols in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            pair_count[pair] += counts[w]
            words_with[pair].add(w)
    heap = [(-n, pair) for pair, n in pair_count.items()]
    heapq.heapify(heap)
    merges = []
    while len(merges) < n_merges and heap:
        n, pair = heapq.heappop(heap)
        if pair_count[pair] != -n:  # an out-of-date entry; the current count has its own
            continue
        merges.append(pair)
        changed = set()
        for w in words_with.pop(pair):
            for old in zip(words[w], words[w][1:]):
                pair_count[old] -= counts[w]
                changed.add(old)
            words[w] = merge_word(words[w], pair)
            for new in zip(words[w], words[w][1:]):
                pair_count[new] += counts[w]
                words_with[new].add(w)
                changed.add(new)
        for p in changed:
            if pair_count[p] > 0:
                heapq.heappush(heap, (-pair_count[p], p))
    return merges


class Tokenizer:
    """encode: text -> ids; decode: ids -> text. Neither adds nor reads special tokens from text."""

    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.tokens = [ALPHABET[b] for b in range(256)] + [a + b for a, b in self.merges] + [END_OF_TEXT]
        self.ids = {t: i for i, t in enumerate(self.tokens)}
        self.end = self.ids[END_OF_TEXT]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.cache = {}

    def encode_word(self, word):
        if word not in self.cache:
            symbols = list(to_alphabet(word))
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda pair: self.rank.get(pair, 1 << 30))
                if best not in self.rank:
                    break
                symbols = merge_word(symbols, best)
            self.cache[word] = [self.ids[s] for s in symbols]
        return self.cache[word]

    def encode(self, text):
        return [i for word in PRE_TOKENIZER.findall(text) for i in self.encode_word(word)]

    def decode(self, ids):
        letters = "".join(self.tokens[i] for i in ids if i != self.end)
        return bytes(BYTE_OF[c] for c in letters).decode(errors="replace")

    def save(self, path):
        path.write_text(json.dumps({"merges": self.merges}))

    @classmethod
    def load(cls, path):
        return cls(json.loads(path.read_text())["merges"])
