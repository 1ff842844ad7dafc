#!/usr/bin/env python3
"""Writes the conformance cases, of README.md, beside itself. Always the same bytes."""

import json
import pathlib

import dropout_cases
import error_cases
import numpy_cases
import session_cases

FOLDER = pathlib.Path(__file__).resolve().parent
FILES = {
    "dropout.json": dropout_cases,
    "numpy_legacy.json": numpy_cases,
    "sessions.json": session_cases,
    "errors.json": error_cases,
}


def make(module):
    """A file's whole text: a case a line, so that a change reads well."""
    comment = module.COMMENT + " Written by tests/conformance/make_cases.py: do not edit."
    lines = ",\n".join("    " + json.dumps(case.json(), allow_nan=False) for case in module.cases())
    return f'{{\n  "comment": {json.dumps(comment)},\n  "cases": [\n{lines}\n  ]\n}}\n'


if __name__ == "__main__":
    for name, source in FILES.items():
        (FOLDER / name).write_text(make(source), encoding="ascii")
