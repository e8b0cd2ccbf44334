"""Trains the bundled model: one process, CPU, bfloat16, for a given number of minutes.

  train.py --corpus DIRECTORY [--work DIRECTORY] [--minutes 98]

The schedule follows the clock, not a step count: the learning rate rises for the first 3 % of the minutes, then falls
to zero in a straight line, so the run ends fully decayed however fast the machine happened to be. A checkpoint is
written every few minutes; the same command resumes from it. Memory allocation must be tuned through the
environment (see train.sh), or most of the time goes into page faults.
"""
import argparse
import dataclasses
import os
import tempfile
import time
from pathlib import Path

import torch

import corpus
import fused
import model

SEED = 1
TINY_SHARES = (0.65, 0.9)  # windows that come from TinyStories, before and after the progress TINY_FROM
TINY_FROM = 0.37
PEAK_RATE = 3e-3
WARM_UP = 0.03         # of the minutes
DECAY = 0.1            # weight decay of the ternary masters, in the first half only (the BitNet recipe)
BETAS = (0.9, 0.95)
CLIP = 1.0             # global gradient norm
BATCH_TOKENS = 4096
SHORT_UNTIL = 0.8      # windows are half the context long before this progress, whole after it
SAVE_EVERY = 240       # seconds


class Optimizer:
    """AdamW on all master parameters with one global gradient clip."""

    def __init__(self, parameters):
        self.parameters, self.step = parameters, 0
        self.first = {n: torch.zeros_like(p) for n, p in parameters.items()}
        self.second = {n: torch.zeros_like(p) for n, p in parameters.items()}

    def update(self, gradients, rate, decay):
        """-> the gradient norm before clipping"""
        self.step += 1
        norm = float(torch.stack([g.norm() for g in gradients.values()]).norm())
        clip = min(1.0, CLIP / (norm + 1e-6))
        for name, parameter in self.parameters.items():
            fused.adamw(parameter, gradients[name].contiguous(), self.first[name], self.second[name], rate,
                        decay if model.is_ternary(name) else 0.0, BETAS, self.step, clip)
        return norm


def learning_rate(progress):
    return PEAK_RATE * min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))


def save(path, network, optimizer, seconds, tokens):
    state = {"config": dataclasses.asdict(network.config), "parameters": network.parameters, "first": optimizer.first,
             "second": optimizer.second, "step": optimizer.step, "seconds": seconds, "tokens": tokens}
    torch.save(state, str(path) + ".new")
    os.replace(str(path) + ".new", path)


def resume_or_start(path):
    """-> model, optimizer, seconds already trained, tokens already seen"""
    if not path.exists():
        config = model.Config()
        network = model.Model(config, model.initial_parameters(config, SEED))
        return network, Optimizer(network.parameters), 0.0, 0
    state = torch.load(path)
    network = model.Model(model.Config(**state["config"]), state["parameters"])
    optimizer = Optimizer(network.parameters)
    optimizer.first, optimizer.second, optimizer.step = state["first"], state["second"], state["step"]
    return network, optimizer, state["seconds"], state["tokens"]


class Log:
    def __init__(self, path):
        self.path = path

    def __call__(self, text):
        line = time.strftime("%H:%M:%S ") + text
        print(line, flush=True)
        with open(self.path, "a") as f:
            f.write(line + "\n")


def validation_losses(network, documents):
    """-> nats a token on the held-out TinyStories and on the held-out books"""
    sets = [corpus.validation_windows(documents[p + ".valid"], network.config.context, 34) for p in ("tiny", "books")]
    return [network.evaluate(torch.from_numpy(windows)) for windows in sets]


def train(options, log):
    _, documents, sizes = corpus.prepare(options.corpus, options.work, SEED)
    log("tokens " + " ".join(f"{n}={sum(map(len, d))} ({sizes[n]} bytes)" for n, d in documents.items()))
    checkpoint = options.work / "checkpoint.pt"
    network, optimizer, before, tokens = resume_or_start(checkpoint)
    mixture = corpus.Mixture(documents, SEED + optimizer.step)
    start, budget = time.monotonic(), options.minutes * 60
    recent, recent_since, saved = [], time.monotonic(), time.monotonic()
    while True:
        seconds = before + time.monotonic() - start
        progress = seconds / budget
        over = progress >= 1
        if over or time.monotonic() - saved > SAVE_EVERY:
            save(checkpoint, network, optimizer, seconds, tokens)
            tiny, books = validation_losses(network, documents)
            log(f"step {optimizer.step} tokens {tokens} valid tiny {tiny:.4f} books {books:.4f} (saved)")
            saved = time.monotonic()
        if over:
            return
        context = network.config.context // (2 if progress < SHORT_UNTIL else 1)
        tiny_share = TINY_SHARES[progress >= TINY_FROM]
        batch = torch.from_numpy(mixture.batch(BATCH_TOKENS // context, context, tiny_share))  # (B, T + 1)
        loss, gradients = network.gradients(batch)
        rate = learning_rate(progress)
        norm = optimizer.update(gradients, rate, DECAY if progress < 0.5 else 0.0)
        tokens += BATCH_TOKENS
        recent.append(loss)
        if len(recent) == 50:
            speed = 50 * BATCH_TOKENS / (time.monotonic() - recent_since)
            epochs = f"{mixture.tiny.epochs}/{mixture.books.epochs}"
            log(f"step {optimizer.step} progress {progress:.3f} tokens {tokens} loss {sum(recent) / 50:.4f} "
                f"rate {rate:.2e} norm {norm:.2f} tok/s {speed:.0f} epochs {epochs}")
            recent, recent_since = [], time.monotonic()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpus", type=Path, default=os.environ.get("TERN_CORPUS"), help="holds stories.txt")
    arguments.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "tern-train")
    arguments.add_argument("--minutes", type=float, default=98)
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    options = arguments.parse_args()
    if options.corpus is None:
        arguments.error("give --corpus or set TERN_CORPUS")
    options.corpus = Path(options.corpus)
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    fused.build(options.work)
    train(options, Log(options.work / "train.log"))


if __name__ == "__main__":
    main()
