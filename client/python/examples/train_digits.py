#!/usr/bin/env python3
"""Trains on scikit-learn's digits without dropout, with PyTorch's and with a server's.

    $ train_digits.py [--address HOST:PORT] [--seeds N] [--epochs N] [--plot FILE.png]

Prints the test accuracy of each, mean and standard deviation over the seeds. All three start with
the same weights and see the same batches. A fifth of the training labels are wrong: the digits as
they are give so small a network too little to overfit for dropout to matter.
"""

import argparse
import statistics
import sys

import torch
from torch import nn

import digits
from dropout_client import Client
from dropout_client.torch import RemoteDropout

WRONG = 0.2  # The share of training labels that are drawn at random.
KINDS = ("no dropout", "nn.Dropout", "RemoteDropout")


def with_wrong_labels(labels, seed):
    generator = torch.Generator().manual_seed(1000 + seed)
    is_wrong = torch.rand(len(labels), generator=generator) < WRONG
    return torch.where(is_wrong, torch.randint(10, labels.shape, generator=generator), labels)


def train(make_dropout, seed, epochs):
    """The test accuracy after each epoch."""
    torch.manual_seed(seed)
    model = digits.make_model(make_dropout)
    train_x, train_y, test_x, test_y = digits.load(seed=seed)
    train_y = with_wrong_labels(train_y, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(seed)
    curve = []
    for _ in range(epochs):
        for rows in digits.batches(len(train_x), order):
            digits.train_step(model, optimizer, train_x[rows], train_y[rows])
        curve.append(digits.accuracy(model, test_x, test_y))
    return curve


def run(client, seeds, epochs):
    """{kind: a curve for each seed}."""
    curves = {kind: [] for kind in KINDS}
    for seed in range(seeds):
        with client.create_session(seed=seed) as session:
            makers = (nn.Identity, lambda: nn.Dropout(digits.P),
                      lambda: RemoteDropout(digits.P, session=session))
            for kind, make in zip(KINDS, makers):
                curves[kind].append(train(make, seed, epochs))
    return curves


def summary(curves):
    """(mean, standard deviation) of the last accuracies."""
    last = [curve[-1] for curve in curves]
    return statistics.mean(last), statistics.stdev(last) if len(last) > 1 else 0.0


def plot(curves, file):
    import matplotlib  # pylint: disable=import-outside-toplevel
    matplotlib.use("Agg")
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for kind, runs in curves.items():
        values = torch.tensor(runs)
        mean, epochs = values.mean(dim=0), range(1, values.shape[1] + 1)
        axes.plot(epochs, mean, label=kind)
        spread = values.std(dim=0, unbiased=False)
        axes.fill_between(epochs, mean - spread, mean + spread, alpha=0.2)
    axes.set(xlabel="epoch", ylabel="test accuracy", ylim=(0.85, 1.0),
             title=f"digits, a fifth of the labels wrong, {len(runs)} seeds")
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=100)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--plot")
    options = parser.parse_args(argv)
    with Client(options.address) as client:
        curves = run(client, options.seeds, options.epochs)
    for kind, runs in curves.items():
        print("{}: {:.4f} +- {:.4f}".format(kind, *summary(runs)))
    if options.plot:
        plot(curves, options.plot)


if __name__ == "__main__":
    main(sys.argv[1:])
