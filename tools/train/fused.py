"""fused.cpp as autograd functions. Compiled on first use into the directory given to `build`.

Everything here works on contiguous bfloat16 CPU tensors; gains are float32 parameters. The quantizers are
straight-through: their gradient is the identity.
"""
import ctypes
import subprocess
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("fused.cpp")
FLAGS = "-O3 -march=native -mprefer-vector-width=512 -ffast-math -fopenmp -shared -fPIC".split()
_library = None


def build(directory):
    """Compiles fused.cpp if it is newer than the library."""
    global _library
    target = Path(directory) / "fused.so"
    if not target.exists() or target.stat().st_mtime < SOURCE.stat().st_mtime:
        subprocess.run(["g++", *FLAGS, str(SOURCE), "-o", str(target)], check=True)
    _library = ctypes.CDLL(str(target))
    _library.quantize_weight.restype = ctypes.c_float


def argument(value):
    """Tensors become pointers, ints longs, floats floats."""
    if isinstance(value, torch.Tensor):
        assert value.is_contiguous()
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_long(value) if isinstance(value, int) else ctypes.c_float(value)


def call(name, *values):
    return getattr(_library, name)(*[argument(v) for v in values])


class NormQuantize(torch.autograd.Function):
    """x (N, K), gain (K,) -> int8-quantized RMSNorm(x) * gain (N, K)"""

    @staticmethod
    def forward(ctx, x, gain, eps):
        ctx.save_for_backward(x, gain)
        ctx.eps = eps
        out = torch.empty_like(x)
        call("norm_quantize", x, gain, out, *x.shape, eps)
        return out

    @staticmethod
    def backward(ctx, grad):
        x, gain = ctx.saved_tensors
        grad_x, grad_gain = torch.empty_like(x), torch.zeros_like(gain)
        call("norm_quantize_backward", x, gain, grad.contiguous(), grad_x, grad_gain, *x.shape, ctx.eps)
        return grad_x, grad_gain, None


class SwigluNormQuantize(torch.autograd.Function):
    """gate_up (N, 2F), gain (F,) -> int8-quantized RMSNorm(silu(gate) * up) * gain (N, F)"""

    @staticmethod
    def forward(ctx, gate_up, gain, eps):
        ctx.save_for_backward(gate_up, gain)
        ctx.eps = eps
        out = gate_up.new_empty(gate_up.shape[0], gain.shape[0])
        call("swiglu_norm_quantize", gate_up, gain, out, *out.shape, eps)
        return out

    @staticmethod
    def backward(ctx, grad):
        gate_up, gain = ctx.saved_tensors
        grad_gate_up, grad_gain = torch.empty_like(gate_up), torch.zeros_like(gain)
        call("swiglu_norm_quantize_backward", gate_up, gain, grad.contiguous(), grad_gate_up, grad_gain, *grad.shape,
             ctx.eps)
        return grad_gate_up, grad_gain, None


class RopeHeads(torch.autograd.Function):
    """qkv (B * T, 3 * H * d), angles (2, T, d / 2) -> rotated heads (3, B, H, T, d)"""

    @staticmethod
    def forward(ctx, qkv, angles, n_heads):
        time, dim = angles.shape[1], angles.shape[2] * 2
        batch = qkv.shape[0] // time
        ctx.save_for_backward(angles)
        heads = qkv.new_empty(3, batch, n_heads, time, dim)
        call("rope_heads", qkv, heads, angles, batch, time, n_heads, dim, 0)
        return heads

    @staticmethod
    def backward(ctx, grad):
        angles, = ctx.saved_tensors
        _, batch, n_heads, time, dim = grad.shape
        grad_qkv = grad.new_empty(batch * time, 3 * n_heads * dim)
        call("rope_heads", grad_qkv, grad.contiguous(), angles, batch, time, n_heads, dim, 1)
        return grad_qkv, None, None


class CausalSoftmax(torch.autograd.Function):
    """scores (B * H, T, T), overwritten -> probabilities (B * H, T, T)"""

    @staticmethod
    def forward(ctx, scores, scale):
        ctx.mark_dirty(scores)
        ctx.scale = scale
        call("causal_softmax", scores, scores.shape[0] * scores.shape[1], scores.shape[2], scale)
        ctx.save_for_backward(scores)
        return scores

    @staticmethod
    def backward(ctx, grad):
        probabilities, = ctx.saved_tensors
        grad = grad.contiguous()
        call("causal_softmax_backward", probabilities, grad, grad.shape[0] * grad.shape[1], grad.shape[2], ctx.scale)
        return grad, None


class CrossEntropy(torch.autograd.Function):
    """logits (N, V), overwritten, targets (N,) -> mean loss in nats"""

    @staticmethod
    def forward(ctx, logits, targets):
        losses = torch.empty(logits.shape[0])
        call("cross_entropy", logits, targets, losses, *logits.shape)
        ctx.save_for_backward(logits)
        return losses.mean()

    @staticmethod
    def backward(ctx, grad):
        return ctx.saved_tensors[0], None  # the loss is the root of the graph: grad is 1


norm_quantize = NormQuantize.apply
swiglu_norm_quantize = SwigluNormQuantize.apply
rope_heads = RopeHeads.apply
causal_softmax = CausalSoftmax.apply
cross_entropy = CrossEntropy.apply


def quantize_weight(weight, quantized):
    """float32 master weight -> bfloat16 {-step, 0, step} in `quantized`; returns the step, mean|weight|."""
    return call("quantize_weight", weight, quantized, weight.numel())


def adamw(weight, grad, first, second, rate, decay, betas, step, clip):
    corrections = [1 - beta ** step for beta in betas]
    call("adamw", weight, grad, first, second, weight.numel(), rate, decay, *betas, *corrections, clip)
