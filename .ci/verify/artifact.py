"""Checks what sam build made: a static program for the architecture that Lambda was told.

    python artifact.py arm64|x86_64 BOOTSTRAP
"""

import struct
import sys

MACHINES = {"arm64": 183, "x86_64": 62}  # EM_AARCH64, EM_X86_64
PT_INTERP = 3  # a program header that only dynamically linked programs have


def main(architecture, file):
    with open(file, "rb") as f:
        elf = f.read()
    machine, = struct.unpack_from("<H", elf, 18)
    headers, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    kinds = [struct.unpack_from("<I", elf, headers + i * size)[0] for i in range(count)]

    if elf[:4] != b"\x7fELF" or machine != MACHINES[architecture]:
        sys.exit(f"{file} is no program for {architecture}")
    if PT_INTERP in kinds:
        sys.exit(f"{file} is not static")


if __name__ == "__main__":
    main(*sys.argv[1:])
