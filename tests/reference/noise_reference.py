"""Noise that is not binary, after docs/mask-format.md, in plain Python: slow and easy to check.

Python's floats are IEEE 754 binary64 with correctly rounded + - * / and sqrt, which is all that
the format needs. Section numbers below are that page's.
"""

import math

from mask_reference import hi, lo, philox4x32_10

DOMAIN_NORMAL = 2
DOMAIN_UNIFORM = 3

LN2_HIGH = float.fromhex("0x1.62e42feep-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
LOG2_E = float.fromhex("0x1.71547652b82fep+0")
TWO_PI = float.fromhex("0x1.921fb54442d18p+2")
SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")

LOG = [2 / (2 * i + 1) for i in range(1, 11)]
EXP = [1 / math.factorial(n) for n in range(2, 14)]
SIN = [(-1) ** i / math.factorial(2 * i + 1) for i in range(1, 9)]
COS = [(-1) ** i / math.factorial(2 * i) for i in range(1, 9)]


# 5. Elementary functions


def horner(x, coefficients):
    """c0 + x (c1 + x (c2 + ...)), from the inside out."""
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def log(x):
    """x is positive, normal and finite."""
    m, k = math.frexp(x)
    if m < SQRT_HALF:
        m, k = 2 * m, k - 1
    f = m - 1
    s = f / (2 + f)
    z = s * s
    r = z * horner(z, LOG)
    h = 0.5 * f * f
    return k * LN2_HIGH - ((h - (s * (h + r) + k * LN2_LOW)) - f)


def exp(x):
    x = max(min(x, 710.0), -746.0)
    k = round(x * LOG2_E)  # Ties to even.
    r = x - k * LN2_HIGH - k * LN2_LOW
    e = 1 + (r + r * r * horner(r, EXP))
    half = round(k * 0.5)
    e = math.ldexp(e, half)
    power = k - half
    # ldexp raises on overflow, where the format has an infinity.
    return e * 2.0**power if power > 0 else math.ldexp(e, power)


def sin_cos_turns(u):
    """sin and cos of 2 pi u."""
    k = round(4 * u)
    a = (u - k * 0.25) * TWO_PI
    z = a * a
    s = a + a * z * horner(z, SIN)
    c = 1 + z * horner(z, COS)
    return ((s, c), (c, -s), (-s, -c), (-c, s))[k % 4]


def sigmoid(v):
    return 1 / (1 + exp(-v))


# 6. Deviates


def pair(key, g, domain):
    """The two 64-bit words that belong to the elements 2 (g div 2) and one more."""
    block = g // 2
    x = philox4x32_10((lo(block), hi(block), key[2], domain), key[:2])
    return x[0] + (x[1] << 32), x[2] + (x[3] << 32)


def normal(key, g):
    a, b = pair(key, g, DOMAIN_NORMAL)
    u1 = ((a >> 11) + 1) * 2.0**-53
    u2 = (b >> 11) * 2.0**-53
    radius = math.sqrt(-2.0 * log(u1))
    sin, cos = sin_cos_turns(u2)
    return radius * (sin if g % 2 else cos)


def uniform(key, g):
    a = pair(key, g, DOMAIN_UNIFORM)[g % 2]
    u = (2 * (a >> 12) + 1) * 2.0**-53
    return max(2.0**-24, min(u, 1 - 2.0**-24))


# 7. Concrete dropout


def concrete_drop(u, logit_p, temperature):
    return sigmoid((logit_p + (log(u) - log(1 - u))) / temperature)


def concrete_gradient_sum(x, dy, z, p, q, temperature):
    """The sum of dy x w(z); times p q it is the gradient of logit_p."""
    a = 1 / (q * q)
    b = (1 / p + 1 / q) / (temperature * q)
    groups = []
    for start in range(0, len(x), 64):
        s = [0.0] * 8
        for i in range(start, min(start + 64, len(x))):
            w = (1 - z[i]) * (a - z[i] * b)
            if w != 0:
                s[i % 8] += dy[i] * x[i] * w
        groups.append(((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])))
    return math.fsum(groups)
