"""Loss of an exported model on the held-out documents, by the float32 reference of generate.py.

  evaluate.py MODEL.gguf --corpus DIRECTORY [--work DIRECTORY]

The held-out documents of each part are laid end to end and read in windows of the trained context; every token of a
window but its first is predicted from those before it.
"""
import argparse
import math
import os
import tempfile
from pathlib import Path

import torch

import corpus
import generate


def mean_loss(reference, windows):
    """windows (n, T + 1) -> nats a token"""
    losses = []
    for window in torch.from_numpy(windows):
        logits = reference.logits(reference.hidden(window[:-1].tolist()))  # (T, V)
        losses.append(torch.nn.functional.cross_entropy(logits, window[1:]))
    return float(torch.stack(losses).mean())


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model")
    arguments.add_argument("--corpus", type=Path, default=os.environ.get("TERN_CORPUS"), help="holds stories.txt")
    arguments.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "tern-train")
    options = arguments.parse_args()
    if options.corpus is None:
        arguments.error("give --corpus or set TERN_CORPUS")
    reference = generate.Reference(options.model)
    _, documents, sizes = corpus.prepare(Path(options.corpus), options.work)
    for part in ("tiny.valid", "books.valid"):
        windows = corpus.validation_windows(documents[part], reference.metadata["bitnet.context_length"], 1 << 30)
        loss = mean_loss(reference, windows)
        bytes_a_token = sizes[part] / sum(map(len, documents[part]))
        print(f"{part}: {windows.shape[0] * (windows.shape[1] - 1)} tokens, {loss:.4f} nats a token, "
              f"perplexity {math.exp(loss):.2f}, {loss / bytes_a_token / math.log(2):.4f} bits a byte")


if __name__ == "__main__":
    main()
