#!/usr/bin/env python3
"""Checks that no code of an instruction set can be linked into code for every machine.

usage: check_symbols.py [--nm PATH] ISA OBJECT...        exit status 1 if a shared symbol is found

A function that may be defined in several objects (an inline function, a template: "weak" or "unique" symbols) is kept
once by the linker, perhaps the copy that was compiled with AVX-512, which then runs on every machine. Such symbols must
carry the name of the instruction set, which makes them its own.
"""
import argparse
import subprocess
import sys


def shared_symbols(nm, path):
    """Returns all defined symbols, and those of them that other objects may define as well."""
    listing = subprocess.run([nm, "-C", "--defined-only", path], check=True, capture_output=True, text=True)
    symbols = [line.split(None, 2)[1:] for line in listing.stdout.splitlines() if line.strip()]
    # DW.ref.*: a pointer that the unwinder reads. It is data, and the same in every object.
    return symbols, [name for kind, name in symbols if kind in "WwVvu" and not name.startswith("DW.ref.")]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--nm", default="nm")
    parser.add_argument("isa")
    parser.add_argument("objects", nargs="+")
    options = parser.parse_args()
    bad = 0
    for path in options.objects:
        symbols, shared = shared_symbols(options.nm, path)
        if not symbols:
            sys.exit(f"{path}: no symbols: not an object of this project")
        foreign = [name for name in shared if options.isa.lower() not in name.lower()]
        for name in foreign:
            print(f"{path}: {name} may be replaced by, or replace, a copy for other machines")
        print(f"{path}: {len(symbols)} symbols, {len(shared)} shared, {len(foreign)} of them not named {options.isa}")
        bad += len(foreign)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
