"""scikit-learn's digits, a multilayer perceptron, and its training: what the examples share."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

BATCH = 64
P = 0.5
HIDDEN = 256


def load(train_size=None, seed=0):
    """(train x, train y, test x, test y): 8 x 8 pictures as 64 numbers in [0, 1], and digits."""
    pixels, digits = load_digits(return_X_y=True)
    parts = train_test_split(pixels / 16, digits, test_size=0.4, train_size=train_size,
                             stratify=digits, random_state=seed)
    train_x, test_x = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    train_y, test_y = (torch.tensor(part) for part in parts[2:])
    return train_x, train_y, test_x, test_y


def make_model(make_dropout):
    """make_dropout: makes the module after a hidden layer."""
    return nn.Sequential(
        nn.Linear(64, HIDDEN), nn.ReLU(), make_dropout(),
        nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), make_dropout(),
        nn.Linear(HIDDEN, 10))


def batches(count, generator):
    """The indices of one epoch's batches; the last one may be smaller."""
    return torch.randperm(count, generator=generator).split(BATCH)


def train_step(model, optimizer, x, y):
    """One step on one batch; returns the loss."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def accuracy(model, x, y):
    """The share of right answers in evaluation."""
    model.eval()
    with torch.no_grad():
        right = (model(x).argmax(dim=1) == y).double().mean().item()
    model.train()
    return right
