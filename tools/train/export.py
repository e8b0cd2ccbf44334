"""Writes a checkpoint as GGUF: TQ2_0 linears, float16 embedding, float32 norms, the tokenizer.

  export.py [--work DIRECTORY] MODEL.gguf
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

import bpe
import gguf
import model

NORMAL, CONTROL = 1, 3  # token types
FILE_TYPE_TQ2_0 = 37
LICENSE = "MIT"


def ternary(weight):
    """float32 master (rows, columns) -> codes {-1, 0, 1} int8, step: as the training step quantized it."""
    step = weight.double().abs().mean().float().clamp(min=1e-5).bfloat16().float()
    codes = (weight * (1 / step)).round().clamp(-1, 1).to(torch.int8)
    return codes.numpy(), float(step)


def tensor_entries(config, parameters):
    """-> [(GGUF name, type, shape, bytes)]"""
    entries = []
    for name, parameter in parameters.items():
        shape = tuple(parameter.shape)
        if model.is_ternary(name):
            codes, step = ternary(parameter)
            assert float(np.float16(step)) == step, (name, step)  # so that every block holds the same exact scale
            entries.append((name + ".weight", "TQ2_0", shape, gguf.pack_tq2_0(codes, step)))
        elif name == "token_embd":
            entries.append((name + ".weight", "F16", shape, parameter.numpy().astype("<f2").tobytes()))
        else:
            entries.append((name + ".weight", "F32", shape, parameter.numpy().astype("<f4").tobytes()))
    return entries


def metadata(config, tokenizer):
    """-> [(key, kind, value)]"""
    u32, f32, text = gguf.U32, gguf.F32, gguf.STRING
    arch = lambda key, kind, value: ("bitnet." + key, kind, value)
    return [
        ("general.architecture", text, "bitnet"),
        ("general.name", text, "tern stories"),
        ("general.license", text, LICENSE),
        ("general.file_type", u32, FILE_TYPE_TQ2_0),
        ("general.quantization_version", u32, 2),
        arch("vocab_size", u32, config.vocab),
        arch("context_length", u32, config.context),
        arch("embedding_length", u32, config.dim),
        arch("block_count", u32, config.layers),
        arch("feed_forward_length", u32, config.ffn),
        arch("attention.head_count", u32, config.heads),
        arch("attention.head_count_kv", u32, config.heads),
        arch("attention.layer_norm_rms_epsilon", f32, config.eps),
        arch("rope.dimension_count", u32, config.head_dim),
        arch("rope.freq_base", f32, config.rope_base),
        ("tokenizer.ggml.model", text, "gpt2"),
        ("tokenizer.ggml.pre", text, "gpt-2"),
        ("tokenizer.ggml.tokens", (gguf.ARRAY, text), tokenizer.tokens),
        ("tokenizer.ggml.token_type", (gguf.ARRAY, gguf.I32),
         [CONTROL if t == bpe.END_OF_TEXT else NORMAL for t in tokenizer.tokens]),
        ("tokenizer.ggml.merges", (gguf.ARRAY, text), [f"{a} {b}" for a, b in tokenizer.merges]),
        ("tokenizer.ggml.bos_token_id", u32, tokenizer.end),
        ("tokenizer.ggml.eos_token_id", u32, tokenizer.end),
        ("tokenizer.ggml.add_bos_token", gguf.BOOL, True),
    ]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "tern-train")
    arguments.add_argument("gguf", type=Path)
    options = arguments.parse_args()
    state = torch.load(options.work / "checkpoint.pt")
    config = model.Config(**state["config"])
    tokenizer = bpe.Tokenizer.load(options.work / "tokenizer.json")
    options.gguf.parent.mkdir(parents=True, exist_ok=True)
    scratch = options.gguf.with_suffix(".new")
    gguf.write(scratch, metadata(config, tokenizer), tensor_entries(config, state["parameters"]))
    scratch.replace(options.gguf)
    print(f"{options.gguf}: {options.gguf.stat().st_size} bytes, {state['tokens']} tokens seen")


if __name__ == "__main__":
    main()
