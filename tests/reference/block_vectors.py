"""The section of mask_vectors.json about drop_block's seed rate."""

import block_reference

COMMENT = """
seed_rates: p (hex float); sizes of the map and blocks, one an axis; gamma ("EXACT" or "PAPER"); rate
  (hex float); steps: how many steps of EXACT rose (4096: cut), 0 below 2^-40 and for PAPER."""

MAPS = (
    ((5,), (3,)), ((8, 8), (1, 1)), ((8, 8), (3, 3)), ((14, 14), (7, 7)), ((13, 9), (7, 2)),
    ((6, 5, 7), (2, 3, 7)), ((3, 4), (3, 4)),
)
ORDINARY_P = (2.0**-40, 1e-9, 1e-3, 0.1, 0.25, 0.5, 0.9, 0.999, 1 - 2.0**-53)
TINY_P = (
    2.0**-40 - 2.0**-93, 1e-17, 2.0**-64, 1e-100, 1e-300, 2.0**-1022, 2.0**-1022 - 2.0**-1074, 1e-310,
    1.3e-315, 2.0**-1073, 2.0**-1074,
)
# The steps of these would rise 4,124, 40,624 and 905,348 times.
CUT = (
    ("0x1.71bfff20033a7p-25", (2, 12), (1, 6)),
    ("0x1.987800059a9b4p-39", (19,), (3,)),
    ("0x1.f991d80000316p-32", (2, 3, 2), (1, 2, 1)),
)


def entry(p, sizes, blocks, gamma):
    steps = block_reference.exact_rate(p, sizes, blocks)[1] if gamma == "EXACT" else 0
    rate = block_reference.seed_rate(p, sizes, blocks, gamma)
    return {
        "p": p.hex(), "sizes": list(sizes), "blocks": list(blocks), "gamma": gamma,
        "rate": rate.hex(), "steps": steps,
    }


def sections():
    """Name and entries of each section."""
    entries = [
        entry(p, sizes, blocks, gamma)
        for sizes, blocks in MAPS
        for gamma in ("EXACT", "PAPER")
        for p in ORDINARY_P + TINY_P
    ]
    entries += [entry(float.fromhex(p), sizes, blocks, "EXACT") for p, sizes, blocks in CUT]
    return {"seed_rates": entries}
