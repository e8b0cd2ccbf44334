"""Checks of the training tools: python3 -m unittest discover tools/train -p 'test_*.py'. Needs PyTorch and g++."""
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

import bpe
import export
import fused
import gguf
import generate
import model

EPS = 1e-5
# Relative Frobenius error: one rounding to bfloat16 costs up to 2^-9 of a value, a chain of them a few times that.
TOLERANCE = 0.01


def relative_error(got, want):
    return float((got.float() - want.float()).norm() / want.float().norm())


def plain_norm_quantize(x, gain):
    """The same step in float32 autograd, straight-through."""
    normed = generate.rms_norm(x, gain, EPS)
    scale = 127 / normed.abs().amax(-1, keepdim=True).clamp(min=1e-5)
    return normed + ((normed * scale).round() / scale - normed).detach()


class Fused(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        fused.build(cls.directory.name)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def setUp(self):
        torch.manual_seed(1)

    def compare(self, fused_step, plain_step, x, *gain):
        """Output and gradients of both, for the same random gradient of the output."""
        leaves = [x.clone().requires_grad_(), *[g.clone().requires_grad_() for g in gain]]
        plain_leaves = [x.float().requires_grad_(), *[g.clone().requires_grad_() for g in gain]]
        out, plain_out = fused_step(*leaves), plain_step(*plain_leaves)
        grad = torch.randn(out.shape).bfloat16()
        out.backward(grad)
        plain_out.backward(grad.float())
        self.assertLess(relative_error(out, plain_out), TOLERANCE)
        for a, b in zip(leaves, plain_leaves):
            self.assertLess(relative_error(a.grad, b.grad), TOLERANCE)

    def test_norm_quantize(self):
        self.compare(lambda x, g: fused.norm_quantize(x, g, EPS), plain_norm_quantize,
                     torch.randn(70, 256).bfloat16(), torch.rand(256) + 0.5)

    def test_swiglu_norm_quantize(self):
        def plain(x, gain):
            gate, up = x.chunk(2, -1)
            return plain_norm_quantize(torch.nn.functional.silu(gate) * up, gain)
        self.compare(lambda x, g: fused.swiglu_norm_quantize(x, g, EPS), plain,
                     torch.randn(70, 2 * 768).bfloat16(), torch.rand(768) + 0.5)

    def test_attention(self):
        config = model.Config(layers=0)
        network = model.Model(config, model.initial_parameters(config, 1))

        def plain(qkv):
            q, k, v = [p.view(50, config.heads, -1).transpose(0, 1) for p in qkv.chunk(3, -1)]  # (H, T, d)
            q, k = generate.rope(q, config.rope_base), generate.rope(k, config.rope_base)
            scores = q @ k.transpose(1, 2) * config.head_dim ** -0.5 + torch.full((50, 50), -torch.inf).triu(1)
            return (scores.softmax(-1) @ v).transpose(0, 1).reshape(50, -1)
        self.compare(lambda x: network.attention(x, 50), plain, torch.randn(50, 3 * config.dim).bfloat16())

    def test_cross_entropy(self):
        logits, targets = torch.randn(30, 4096).bfloat16(), torch.randint(0, 4096, (30,))
        leaf, plain_leaf = logits.clone().requires_grad_(), logits.float().requires_grad_()
        loss = fused.cross_entropy(leaf.clone(), targets)
        plain_loss = torch.nn.functional.cross_entropy(plain_leaf, targets)
        loss.backward()
        plain_loss.backward()
        self.assertAlmostEqual(float(loss), float(plain_loss), places=4)
        self.assertLess(relative_error(leaf.grad, plain_leaf.grad), TOLERANCE)

    def test_export_writes_the_weights_of_the_training_step(self):
        weight = torch.randn(256, 512)
        trained = torch.empty(weight.shape, dtype=torch.bfloat16)
        fused.quantize_weight(weight, trained)
        codes, step = export.ternary(weight)
        exported = gguf.unpack_tq2_0(gguf.pack_tq2_0(codes, step), weight.shape)
        self.assertTrue(np.array_equal(exported, trained.float().numpy()))


class Bpe(unittest.TestCase):
    def test_merges_the_most_frequent_pair_first(self):
        merges = bpe.train({"abab": 3, "abc": 2, "bc": 1}, 2)
        self.assertEqual(merges[0], ("a", "b"))  # 8 times; then (ab, ab) 3 times beats (ab, c) and (b, c)
        self.assertEqual(merges[1], ("ab", "ab"))

    def test_decode_inverts_encode(self):
        text = "Lily's \"big\" dog ran,  and\n\nran 12 miles; caf\u00e9."
        tokenizer = bpe.Tokenizer(bpe.train(bpe.count_words([text], [1]), 20))
        self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)


class Gguf(unittest.TestCase):
    def test_reads_what_it_writes(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "t.gguf"
            values = np.arange(6, dtype="<f4").reshape(2, 3)
            gguf.write(path, [("general.architecture", gguf.STRING, "bitnet"), ("n", gguf.U32, 7),
                              ("list", (gguf.ARRAY, gguf.STRING), ["a", "bc"])],
                       [("x", "F32", values.shape, values.tobytes()), ("y", "F32", (3,), values[0].tobytes())])
            reader = gguf.Reader(path)
        self.assertEqual(reader.metadata, {"general.architecture": "bitnet", "n": 7, "list": ["a", "bc"]})
        self.assertTrue(np.array_equal(reader.tensor("x"), values))
        self.assertTrue(np.array_equal(reader.tensor("y"), values[0]))


if __name__ == "__main__":
    unittest.main()
