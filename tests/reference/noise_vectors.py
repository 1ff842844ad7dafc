"""The sections of mask_vectors.json about noise that is not binary."""

import math
import random

import mask_reference
import noise_reference as reference

COMMENT = """\
elementary: function ("log", "exp", "cos_turns", "sigmoid"); x and y, lists of C hex
  floats: y = function(x).
deviates: seed, layer_id, keyed_by and t as in keys; law ("normal" or "uniform"); start; values
  (hex floats) of the indices from start on.
concrete_drops: logit_p, temperature; u and z, lists of hex floats.
exact_sums: terms and sum, hex floats: the sum rounded once.
concrete_gradients: logit_p, temperature; p, q (hex floats); x, dy and z, lists of hex floats; sum
  (hex float): of dy x w(z)."""

# Inputs are drawn without functions of the C library, whose last bits differ from machine to
# machine: the file is always the same bytes.
FUNCTIONS = {
    "log": reference.log,
    "exp": reference.exp,
    "cos_turns": lambda u: reference.sin_cos_turns(u)[1],
    "sigmoid": reference.sigmoid,
}


def hexes(values):
    return [value.hex() for value in values]


def arguments(function, generator):
    if function == "log":
        near_1 = [1 - 2**-53, 1.0, 1 + 2**-52, math.sqrt(0.5), math.sqrt(2)]
        ends = [2.0**-1022, 2.0**1023, (2 - 2**-52) * 2.0**1023]
        return near_1 + ends + [
            math.ldexp(1 + generator.random(), generator.randint(-60, 60)) for _ in range(40)
        ]
    if function == "cos_turns":
        eighths = [i / 8 + d for i in range(9) for d in (0.0, 2**-50, -(2**-50))]
        return eighths + [generator.random() for _ in range(40)] + [12345.678, -3.3]
    ends = [0.0, -0.0, 709.78, 709.79, -708.5, -745.1, -745.2, 800.0, -800.0, math.inf, -math.inf]
    return ends + [generator.uniform(-40, 40) for _ in range(40)]


def elementary_entries():
    for name, function in FUNCTIONS.items():
        x = arguments(name, random.Random(name))
        yield {"function": name, "x": hexes(x), "y": hexes(map(function, x))}


def deviate_entries(identity, time_arguments):
    cases = (
        (1, "drop", "step", 7), (0, "a", "step", 0), (2**64 - 1, "rnn", "sequence", 2**32 + 5),
    )
    starts = ((0, 20), (1, 19), (2**32 - 3, 6), (2**33 - 3, 6), (2**63 - 5, 5))
    for case in cases:
        key = mask_reference.mask_key(*case[:2], **time_arguments(*case[2:]))
        for law, draw in (("normal", reference.normal), ("uniform", reference.uniform)):
            for start, count in starts:
                values = [draw(key, g) for g in range(start, start + count)]
                yield {
                    **identity(*case), "law": law, "start": str(start), "values": hexes(values)
                }


CONCRETE = ((-0.8472978603872037, 0.1), (2.0, 2 / 3), (-30.0, 0.1), (0.0, 1e-300))


def uniforms(count):
    key = mask_reference.mask_key(1, "drop", 7)
    return [reference.uniform(key, g) for g in range(count)] + [2**-24, 0.5, 1 - 2**-24]


def concrete_drop_entries():
    u = uniforms(17)
    for logit_p, temperature in CONCRETE:
        z = [reference.concrete_drop(value, logit_p, temperature) for value in u]
        yield {
            "logit_p": logit_p, "temperature": temperature, "u": hexes(u), "z": hexes(z)
        }


def exact_sum_entries():
    generator = random.Random("sums")

    def term(spread):
        return math.ldexp(generator.uniform(-1, 1), generator.randint(-spread, spread))

    cases = [[term(spread) for _ in range(30)] for spread in (2, 60, 400, 1000)]
    cases += [[1.0, 2.0**-53, 5e-324], [1e300, 1.0, -1e300], [5e-324] * 3, [-(2.0**-1022), 5e-324]]
    for terms in cases:
        yield {"terms": hexes(terms), "sum": math.fsum(terms).hex()}


def concrete_gradient_entries():
    generator = random.Random("gradients")
    for logit_p, temperature in CONCRETE[:2]:
        u = uniforms(150)
        z = [reference.concrete_drop(value, logit_p, temperature) for value in u]
        x = [generator.uniform(-3, 3) for _ in z]
        dy = [generator.uniform(-3, 3) for _ in z]
        p, q = reference.sigmoid(logit_p), reference.sigmoid(-logit_p)
        total = reference.concrete_gradient_sum(x, dy, z, p, q, temperature)
        yield {
            "logit_p": logit_p, "temperature": temperature, "p": p.hex(), "q": q.hex(),
            "x": hexes(x), "dy": hexes(dy), "z": hexes(z), "sum": total.hex(),
        }


def sections(identity, time_arguments):
    """Name and entries of each section. The arguments are functions of make_vectors.py."""
    return {
        "elementary": elementary_entries(),
        "deviates": deviate_entries(identity, time_arguments),
        "concrete_drops": concrete_drop_entries(),
        "exact_sums": exact_sum_entries(),
        "concrete_gradients": concrete_gradient_entries(),
    }
