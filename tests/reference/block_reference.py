"""The seed rate of drop_block after docs/mask-format.md, section 9, in plain Python.

Python's floats are IEEE 754 binary64 with correctly rounded + - * /, which is all that the format
needs.
"""

TINY_P = 2.0**-40
MAX_STEPS = 4096


def paper_rate(p, sizes, blocks):
    positions = places = volume = 1.0
    for size, block in zip(sizes, blocks):
        positions *= size
        places *= size - block + 1
        volume *= block
    return min(1 - 2.0**-53, p / volume * positions / places)


def coverage(sizes, blocks):
    """(c, w) by rising c: w is the share of positions that c blocks cover."""
    counts = {1: 1.0}
    positions = 1.0
    for size, block in zip(sizes, blocks):
        positions *= size
        axis = {}
        for x in range(size):
            c = min(x, size - block) - max(0, x - block + 1) + 1
            axis[c] = axis.get(c, 0) + 1.0
        product = {}
        for a, places_a in counts.items():
            for b, places_b in axis.items():
                product[a * b] = product.get(a * b, 0.0) + places_a * places_b
        counts = product
    return [(c, counts[c] / positions) for c in sorted(counts)]


def power(base, exponent):
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        exponent >>= 1
        base *= base
    return result


def kept_and_slope(terms, gamma):
    """(K, S)."""
    kept = slope = 0.0
    for c, w in terms:
        u = power(1 - gamma, c - 1)
        kept += w * (u * (1 - gamma))
        slope += w * (c * u)
    return kept, slope


def exact_rate(p, sizes, blocks):
    """(gamma, steps that rose)."""
    terms = coverage(sizes, blocks)
    if p < TINY_P:
        return p / kept_and_slope(terms, 0.0)[1], 0
    gamma = 0.0
    for steps in range(MAX_STEPS):
        kept, slope = kept_and_slope(terms, gamma)
        rise = gamma + (p - (1 - kept)) / slope
        if not gamma < rise < 1:
            return gamma, steps
        gamma = rise
    return gamma, MAX_STEPS


def seed_rate(p, sizes, blocks, gamma):
    """gamma is "EXACT" or "PAPER"; each block is at most its size."""
    return paper_rate(p, sizes, blocks) if gamma == "PAPER" else exact_rate(p, sizes, blocks)[0]
