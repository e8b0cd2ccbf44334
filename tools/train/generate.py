"""Greedy text from an exported model, by a plain float32 forward pass: the reference for an engine's own output.

  generate.py MODEL.gguf [--count 100] [PROMPT ...]

Prints one JSON line a prompt: prompt, prompt_ids (with BOS), ids (the new tokens), text (of the new tokens). Weights,
scales, norms and embedding are exactly those of the file; activations are quantized to int8 per token.
"""
import argparse
import json

import torch

import bpe
import gguf

PROMPTS = ["Once upon a time", "One day, a little girl named Lily", "Tom and his dog Max went to the park.",
           "Sam had a red toy car.", "\"Can I help you?\" asked the bird."]


def rms_norm(x, gain, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * gain


def bit_linear(x, weight):
    """x (T, K), weight (M, K) with values {-step, 0, step} -> (T, M); integer sums, then the scales"""
    scale = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)  # (T, 1)
    codes = (x * scale).round().clamp(-128, 127)
    step = weight.abs().max()
    return codes @ (weight / step).round().t() * (step / scale)


def rope(x, base):
    """x (H, T, d): pairs (i, i + d/2) turned by position * base^(-2i/d)"""
    _, time, dim = x.shape
    rates = base ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angles = torch.outer(torch.arange(time, dtype=torch.float64), rates)
    cosine, sine = angles.cos().float(), angles.sin().float()  # (T, d / 2)
    u, v = x.chunk(2, -1)
    return torch.cat([u * cosine - v * sine, u * sine + v * cosine], -1)


class Reference:
    def __init__(self, path):
        reader = gguf.Reader(path)
        self.metadata = reader.metadata
        self.weights = {n[:-len(".weight")]: torch.from_numpy(reader.tensor(n)) for n in reader.infos}
        merges = [tuple(m.split(" ")) for m in self.metadata["tokenizer.ggml.merges"]]
        self.tokenizer = bpe.Tokenizer(merges)
        assert self.tokenizer.tokens == self.metadata["tokenizer.ggml.tokens"]
        self.heads = self.metadata["bitnet.attention.head_count"]
        self.eps = self.metadata["bitnet.attention.layer_norm_rms_epsilon"]
        self.base = self.metadata["bitnet.rope.freq_base"]

    def attention(self, q, k, v):
        """each (T, D) -> (T, D)"""
        time, dim = q.shape
        split = lambda x: x.view(time, self.heads, -1).transpose(0, 1)  # (H, T, d)
        q, k, v = rope(split(q), self.base), rope(split(k), self.base), split(v)
        future = torch.full((time, time), -torch.inf).triu(1)
        scores = q @ k.transpose(1, 2) * q.shape[-1] ** -0.5 + future  # (H, T, T)
        return (scores.softmax(-1) @ v).transpose(0, 1).reshape(time, dim)

    @torch.no_grad()
    def hidden(self, ids):
        """ids (T) -> the normed output of the last block (T, D)"""
        w = self.weights
        x = w["token_embd"][torch.tensor(ids)]  # (T, D)
        for i in range(self.metadata["bitnet.block_count"]):
            block = lambda name: w[f"blk.{i}.{name}"]
            normed = rms_norm(x, block("attn_norm"), self.eps)
            mixed = self.attention(*[bit_linear(normed, block("attn_" + p)) for p in "qkv"])
            x = x + bit_linear(rms_norm(mixed, block("attn_sub_norm"), self.eps), block("attn_output"))
            normed = rms_norm(x, block("ffn_norm"), self.eps)
            gate, up = bit_linear(normed, block("ffn_gate")), bit_linear(normed, block("ffn_up"))  # (T, F)
            hidden = torch.nn.functional.silu(gate) * up
            x = x + bit_linear(rms_norm(hidden, block("ffn_sub_norm"), self.eps), block("ffn_down"))
        return rms_norm(x, w["output_norm"], self.eps)

    def logits(self, hidden):
        """hidden (..., D) -> (..., V)"""
        return hidden @ self.weights["token_embd"].t()

    def greedy(self, prompt, count):
        prompt_ids = [self.tokenizer.end, *self.tokenizer.encode(prompt)]
        ids = []
        for _ in range(count):
            ids.append(int(self.logits(self.hidden(prompt_ids + ids)[-1]).argmax()))
        return {"prompt": prompt, "prompt_ids": prompt_ids, "ids": ids, "text": self.tokenizer.decode(ids)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model")
    arguments.add_argument("prompts", nargs="*", default=PROMPTS)
    arguments.add_argument("--count", type=int, default=100)
    options = arguments.parse_args()
    reference = Reference(options.model)
    for prompt in options.prompts:
        print(json.dumps(reference.greedy(prompt, options.count)), flush=True)


if __name__ == "__main__":
    main()
