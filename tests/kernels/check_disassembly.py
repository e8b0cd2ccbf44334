#!/usr/bin/env python3
"""Proves from the object code that a kernel does not multiply by its weights.

usage: check_disassembly.py [--objdump PATH] OBJECT...                     exit status 1 if a vector multiply is found
       check_disassembly.py [--objdump PATH] --self-check CXX FLAG...      exit status 1 unless a planted one is found

Forbidden are all vector multiplications. On x86-64: of integers (vpmul*, vpmadd*, vpdp*, AMX tdp*), of floats (vmul*,
vdiv*, vdp*) and fused ones (vfmadd*, vfnmsub*, ...), also in their SSE spellings without the v. On AArch64: whatever
multiplies, divides, multiplies and adds (mul, mla, smull, sdot, smmla, fmul, fmadd, ...) in a vector or float register.
Scalar `imul`, `mul`, `madd` and `lea` remain allowed: the compiler makes addresses (row times stride) with them; weights
never leave the vector registers.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

X86_FORBIDDEN = re.compile(r"v?pmul|v?pmadd|v?pdp|tdp|v?mul[ps]|v?div[ps]|v?dpp|vdpbf16|vf[nc]?m(add|sub|ul)|vfcm|v?gf2p8mul|v?pclmul")
ARM_FORBIDDEN = re.compile(r".*(mul|ml[as]|mad|msu?b|dot|mmla|mop[as]|div)")
ARM_VECTOR = re.compile(r"\b[bhsdqvz]\d+\b")  # also a part of one: b0, h0, s0, d0

X86_PLANTED = """#include <immintrin.h>
void multiply(const __m256i* weights, const __m256i* x, __m256i* y) { *y = _mm256_maddubs_epi16(*weights, *x); }
"""
ARM_PLANTED = """#include <arm_neon.h>
long address(const long* rows, long stride, long row) { return rows[row * stride + 1]; }  // allowed
void multiply(const int8x16_t* weights, const int8x16_t* x, int8x16_t* y) { *y = vmulq_s8(*weights, *x); }
void multiply(const int8x8_t* weights, const int8x8_t* x, int16x8_t* y) { *y = vmull_s8(*weights, *x); }
void multiply(const int8x16_t* weights, const int8x16_t* x, int32x4_t* y) { *y = vdotq_s32(*y, *weights, *x); }
void multiply(const int8x16_t* weights, const int8x16_t* x, const int32x4_t* a, int32x4_t* y) {
  *y = vmmlaq_s32(*a, *weights, *x);
}
void multiply(const float* weight, const float* x, float* y) { *y = *weight * *x; }
"""


def machine_of(objdump, path):
    """Returns "x86" or "arm"."""
    header = subprocess.run([objdump, "-f", path], check=True, capture_output=True, text=True).stdout
    if "elf64-x86-64" in header:
        return "x86"
    if "aarch64" in header:
        return "arm"
    sys.exit(f"{path}: {objdump} does not know it as code for x86-64 or AArch64: {header.strip()}")


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


def is_on_vectors(machine, mnemonic, line):
    return mnemonic.startswith("v") if machine == "x86" else bool(ARM_VECTOR.search(line.split("//")[0]))


def is_forbidden(machine, mnemonic, line):
    if machine == "x86":
        return bool(X86_FORBIDDEN.match(mnemonic))
    return bool(ARM_FORBIDDEN.match(mnemonic)) and is_on_vectors(machine, mnemonic, line)


def check(objdump, path):
    """Returns the number of forbidden instructions, after printing them."""
    machine = machine_of(objdump, path)
    seen = vectors = bad = 0
    for function, mnemonic, line in instructions(objdump, path):
        seen += 1
        vectors += is_on_vectors(machine, mnemonic, line)
        if is_forbidden(machine, mnemonic, line):
            bad += 1
            print(f"{path}: {function}: {line}")
    if vectors == 0:  # an empty or wrong file would prove nothing
        sys.exit(f"{path}: {seen} instructions, none of them on vectors: not a kernel")
    print(f"{path}: {seen} instructions, {vectors} on vectors, {bad} vector multiplications")
    return bad


def self_check(objdump, compiler):
    """Plants multiplications and returns 0 if all of them, and nothing else, are found."""
    target = subprocess.run([*compiler, "-dumpmachine"], check=True, capture_output=True, text=True).stdout
    arm = target.startswith(("aarch64", "arm64"))
    text, flags, planted = (ARM_PLANTED, ["-march=armv8.2-a+i8mm+dotprod"], 5) if arm else (X86_PLANTED, ["-mavx2"], 1)
    with tempfile.TemporaryDirectory() as folder:
        source, object_file = os.path.join(folder, "planted.cpp"), os.path.join(folder, "planted.o")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        subprocess.run([*compiler, *flags, "-O2", "-c", source, "-o", object_file], check=True)
        return 0 if check(objdump, object_file) == planted else 1


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
