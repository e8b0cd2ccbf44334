#!/usr/bin/env python3
"""Proves from the object code that a kernel does not multiply by its weights.

usage: check_disassembly.py [--objdump PATH] OBJECT...                     exit status 1 if a vector multiply is found
       check_disassembly.py [--objdump PATH] --self-check CXX FLAG...      exit status 1 unless a planted one is found

Forbidden are all vector multiplications: of integers (vpmul*, vpmadd*, vpdp*, AMX tdp*), of floats (vmul*, vdiv*,
vdp*) and fused ones (vfmadd*, vfnmsub*, ...), also in their SSE spellings without the v. Scalar `imul`, `mul` and `lea`
remain allowed: the compiler makes addresses (row times stride) with them; weights never leave the vector registers.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

FORBIDDEN = re.compile(r"v?pmul|v?pmadd|v?pdp|tdp|v?mul[ps]|v?div[ps]|v?dpp|vdpbf16|vf[nc]?m(add|sub|ul)|vfcm|v?gf2p8mul|v?pclmul")
PLANTED = """#include <immintrin.h>
void multiply(const __m256i* weights, const __m256i* x, __m256i* y) { *y = _mm256_maddubs_epi16(*weights, *x); }
"""


def instructions(objdump, path):
    """Yields (function, mnemonic, line) for every instruction of an object file."""
    listing = subprocess.run([objdump, "-dC", "--no-show-raw-insn", path], check=True, capture_output=True, text=True)
    function = "?"
    for line in listing.stdout.splitlines():
        if header := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            function = header.group(1)
        elif instruction := re.match(r"\s*[0-9a-f]+:\s+(\S.*)$", line):
            words = [word for word in instruction.group(1).split() if not word.startswith(("{", "rex", "data16"))]
            yield function, words[0] if words else "", instruction.group(1)


def check(objdump, path):
    """Returns the number of forbidden instructions, after printing them."""
    seen = vectors = bad = 0
    for function, mnemonic, line in instructions(objdump, path):
        seen += 1
        vectors += mnemonic.startswith("v")
        if FORBIDDEN.match(mnemonic):
            bad += 1
            print(f"{path}: {function}: {line}")
    if vectors == 0:  # an empty or wrong file would prove nothing
        sys.exit(f"{path}: {seen} instructions, none of them on vectors: not a kernel")
    print(f"{path}: {seen} instructions, {vectors} on vectors, {bad} vector multiplications")
    return bad


def self_check(objdump, compiler):
    """Plants a multiplication and returns 0 if it is found."""
    with tempfile.TemporaryDirectory() as folder:
        source, planted = os.path.join(folder, "planted.cpp"), os.path.join(folder, "planted.o")
        with open(source, "w", encoding="utf-8") as file:
            file.write(PLANTED)
        subprocess.run([*compiler, "-mavx2", "-O2", "-c", source, "-o", planted], check=True)
        return 0 if check(objdump, planted) == 1 else 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--objdump", default="objdump")
    parser.add_argument("--self-check", nargs=argparse.REMAINDER)
    parser.add_argument("objects", nargs="*")
    options = parser.parse_args()
    if options.self_check:
        return self_check(options.objdump, options.self_check)
    if not options.objects:
        sys.exit("no object files given")
    return 1 if sum(check(options.objdump, path) for path in options.objects) else 0


if __name__ == "__main__":
    sys.exit(main())
