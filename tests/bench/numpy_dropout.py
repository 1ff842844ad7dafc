"""Baseline: inverted dropout as a notebook writes it in NumPy.

Usage: numpy_dropout.py ELEMENTS P. For each line on standard input, runs one train forward on
float32 and prints the seconds it took.
"""

import sys
import time

import numpy as np


def forward(x, p):
    mask = (np.random.rand(*x.shape) > p) / (1 - p)
    return x * mask


def main():
    elements, p = int(sys.argv[1]), float(sys.argv[2])
    x = np.ones(elements, dtype=np.float32)
    for _ in sys.stdin:
        start = time.perf_counter()
        forward(x, p)
        print(time.perf_counter() - start, flush=True)


main()
