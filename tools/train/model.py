"""The `bitnet` architecture in training form: float master weights, ternary and int8 as the forward pass sees them.

Block: x += O(quant(norm(attention(QKV(quant(norm(x))))))); x += Down(quant(norm(silu(gate) * up))), all seven
linears ternary, no biases; the output head is the embedding. GGUF names are used for all parameters.
"""
import dataclasses
import math

import torch

import fused


@dataclasses.dataclass
class Config:
    vocab: int = 4096
    dim: int = 256
    ffn: int = 768
    layers: int = 6
    heads: int = 4
    context: int = 512
    eps: float = 1e-5
    rope_base: float = 10000.0

    @property
    def head_dim(self):
        return self.dim // self.heads


def ternary_shapes(config):
    """-> {name: (rows, columns)} of the linears of one block"""
    d, f = config.dim, config.ffn
    return {"attn_q": (d, d), "attn_k": (d, d), "attn_v": (d, d), "attn_output": (d, d),
            "ffn_gate": (f, d), "ffn_up": (f, d), "ffn_down": (d, f)}


def norm_sizes(config):
    return {"attn_norm": config.dim, "attn_sub_norm": config.dim, "ffn_norm": config.dim, "ffn_sub_norm": config.ffn}


def initial_parameters(config, seed):
    """-> {GGUF tensor name without .weight: float32 master tensor}"""
    random = torch.Generator().manual_seed(seed)
    normal = lambda shape, std: torch.randn(shape, generator=random) * std
    parameters = {"token_embd": normal((config.vocab, config.dim), 0.04), "output_norm": torch.ones(config.dim)}
    for i in range(config.layers):
        for name, (rows, columns) in ternary_shapes(config).items():
            into_residual = name in ("attn_output", "ffn_down")
            std = columns ** -0.5 * (0.3 if into_residual else 1.0)
            parameters[f"blk.{i}.{name}"] = normal((rows, columns), std)
        for name, size in norm_sizes(config).items():
            parameters[f"blk.{i}.{name}"] = torch.ones(size)
    return parameters


def is_ternary(name):
    return name.startswith("blk.") and "norm" not in name


def rope_angles(config, time):
    """-> cosines and sines (2, T, head_dim / 2)"""
    rates = config.rope_base ** (-torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim)
    angles = torch.outer(torch.arange(time, dtype=torch.float64), rates)
    return torch.stack([angles.cos(), angles.sin()]).float()


class Model:
    """Master parameters, and `weights`: what one step computes with, made once a step by `quantize`."""

    def __init__(self, config, parameters):
        self.config, self.parameters = config, parameters
        self.angles = {}
        self.weights, self.parts = {}, {}
        for i in range(config.layers):
            self.join(f"blk.{i}.qkv", [f"blk.{i}.attn_{p}" for p in "qkv"])
            self.join(f"blk.{i}.attn_output", [f"blk.{i}.attn_output"])
            self.join(f"blk.{i}.gate_up", [f"blk.{i}.ffn_gate", f"blk.{i}.ffn_up"])
            self.join(f"blk.{i}.ffn_down", [f"blk.{i}.ffn_down"])

    def join(self, name, members):
        """Linears with the same input are one matrix; each keeps its own scale."""
        rows = [self.parameters[m].shape[0] for m in members]
        self.weights[name] = torch.empty(sum(rows), self.parameters[members[0]].shape[1], dtype=torch.bfloat16)
        self.parts[name] = list(zip(members, self.weights[name].split(rows)))

    def quantize(self):
        """Masters -> the bfloat16 weights of this step."""
        for members in self.parts.values():
            for name, view in members:
                fused.quantize_weight(self.parameters[name], view)
        for name, parameter in self.parameters.items():
            if not is_ternary(name):
                self.weights[name] = parameter.bfloat16() if name == "token_embd" else parameter.clone()

    def attention(self, qkv, time):
        """qkv (B * T, 3D) -> (B * T, D)"""
        if time not in self.angles:
            self.angles[time] = rope_angles(self.config, time)
        heads = fused.rope_heads(qkv, self.angles[time], self.config.heads)  # (3, B, H, T, d)
        q, k, v = heads.flatten(1, 2)  # each (B * H, T, d)
        scores = torch.bmm(q, k.transpose(1, 2))  # (B * H, T, T)
        probabilities = fused.causal_softmax(scores, self.config.head_dim ** -0.5)
        mixed = torch.bmm(probabilities, v)  # (B * H, T, d)
        return mixed.view(-1, self.config.heads, time, self.config.head_dim).transpose(1, 2).reshape(len(qkv), -1)

    def loss(self, tokens):
        """tokens (B, T + 1) -> mean next-token loss in nats"""
        w, eps = self.weights, self.config.eps
        inputs, targets = tokens[:, :-1].reshape(-1), tokens[:, 1:].reshape(-1)  # (B * T,)
        time = tokens.shape[1] - 1
        x = torch.nn.functional.embedding(inputs, w["token_embd"])  # (B * T, D)
        for i in range(self.config.layers):
            b = f"blk.{i}."
            normed = fused.norm_quantize(x, w[b + "attn_norm"], eps)
            mixed = self.attention(normed @ w[b + "qkv"].t(), time)
            x = x + fused.norm_quantize(mixed, w[b + "attn_sub_norm"], eps) @ w[b + "attn_output"].t()
            normed = fused.norm_quantize(x, w[b + "ffn_norm"], eps)
            gate_up = normed @ w[b + "gate_up"].t()  # (B * T, 2F)
            x = x + fused.swiglu_norm_quantize(gate_up, w[b + "ffn_sub_norm"], eps) @ w[b + "ffn_down"].t()
        return fused.cross_entropy(self.final_norm(x) @ w["token_embd"].t(), targets)

    def final_norm(self, x):
        r = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + self.config.eps)
        return (x.float() * r * self.weights["output_norm"]).bfloat16()

    def gradients(self, tokens):
        """-> loss, {master name: float32 gradient}"""
        self.quantize()
        leaves = {n: w.detach().requires_grad_() for n, w in self.weights.items()}
        self.weights = leaves
        loss = self.loss(tokens)
        loss.backward()
        gradients = {}
        for name, leaf in leaves.items():
            members = self.parts.get(name, [(name, leaf)])
            for (member, _), g in zip(members, leaf.grad.split([len(v) for _, v in members])):
                gradients[member] = g.float()
        self.weights = {n: w.detach() for n, w in leaves.items()}
        return float(loss), gradients

    @torch.no_grad()
    def evaluate(self, windows, batch=16):
        """windows (n, T + 1) -> mean loss in nats"""
        self.quantize()
        return sum(float(self.loss(part)) * len(part) for part in windows.split(batch)) / len(windows)
