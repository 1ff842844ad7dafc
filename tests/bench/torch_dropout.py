"""Baseline: PyTorch's own dropout on the processor, on one thread.

Usage: torch_dropout.py ELEMENTS P. For each line on standard input, runs one train forward on
float32 and prints the seconds it took.
"""

import sys
import time

import torch


def main():
    torch.set_num_threads(1)
    x = torch.ones(int(sys.argv[1]))
    layer = torch.nn.Dropout(float(sys.argv[2]))
    with torch.no_grad():
        for _ in sys.stdin:
            start = time.perf_counter()
            layer(x)
            print(time.perf_counter() - start, flush=True)


main()
