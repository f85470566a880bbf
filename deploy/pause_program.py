#!/usr/bin/env python3
"""Makes the pause program of `kubelet/runtime/docker/pause.py`, and prints it as base64 for each architecture.

The program blocks SIGINT, SIGTERM and SIGCHLD, then waits for them in turn: the first two end it with code 0, SIGCHLD
makes it collect the children that a shared process namespace leaves to it as process 1. Blocking (instead of handling)
is what lets process 1 receive signals without a handler. It is written as machine code: a static ELF of ~200 bytes.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence

LOAD_ADDRESS = 0x400000
HEADERS_SIZE = 64 + 56  # ELF header, one program header

SIGINT, SIGTERM, SIGCHLD = 2, 15, 17
SIGNAL_SET = sum(1 << (number - 1) for number in (SIGINT, SIGTERM, SIGCHLD))
SET_SIZE = 8  # bytes of the kernel's sigset_t

ELF_MACHINES = {"amd64": 62, "arm64": 183}

# A program is a list of encoded instructions, labels ("wait:") and jumps (mnemonic, label).
Item = bytes | str | tuple[str, str]


def _amd64() -> bytes:
    """System call: number in rax, arguments in rdi, rsi, rdx, r10."""
    push_8_pop_r10 = b"\x6a\x08\x41\x5a"
    zero_rdi, zero_rsi, zero_rdx, zero_r10 = b"\x31\xff", b"\x31\xf6", b"\x31\xd2", b"\x45\x31\xd2"
    syscall = b"\x0f\x05"
    return _assemble_amd64(
        [
            zero_rdi,  # SIG_BLOCK
            ("lea rsi", "set"),
            zero_rdx,
            push_8_pop_r10,
            b"\x6a\x0e\x58",  # rt_sigprocmask = 14
            syscall,
            "wait:",
            ("lea rdi", "set"),
            zero_rsi,
            zero_rdx,
            push_8_pop_r10,
            b"\xb8" + struct.pack("<I", 128),  # rt_sigtimedwait
            syscall,
            b"\x83\xf8" + bytes([SIGCHLD]),  # cmp eax, SIGCHLD
            ("je", "reap"),
            b"\x85\xc0",  # test eax, eax
            ("jle", "wait"),
            zero_rdi,
            b"\x6a\x3c\x58",  # exit = 60
            syscall,
            "reap:",
            b"\x6a\xff\x5f",  # any child
            zero_rsi,
            b"\x6a\x01\x5a",  # WNOHANG
            zero_r10,
            b"\x6a\x3d\x58",  # wait4 = 61
            syscall,
            b"\x85\xc0",
            ("jg", "reap"),
            ("jmp", "wait"),
            "set:",
            struct.pack("<Q", SIGNAL_SET),
        ]
    )


_AMD64_JUMPS = {"je": b"\x74", "jle": b"\x7e", "jg": b"\x7f", "jmp": b"\xeb"}  # one byte of distance
_AMD64_ADDRESSES = {"lea rsi": b"\x48\x8d\x35", "lea rdi": b"\x48\x8d\x3d"}  # four bytes of distance


def _assemble_amd64(items: Sequence[Item]) -> bytes:
    sizes = [
        0 if isinstance(i, str) else len(i) if isinstance(i, bytes) else 2 if i[0] in _AMD64_JUMPS else 7 for i in items
    ]
    labels = _labels(items, sizes)
    code = b""
    for item, size in zip(items, sizes, strict=True):
        if isinstance(item, bytes):
            code += item
        elif isinstance(item, tuple):
            distance = labels[item[1]] - (len(code) + size)
            if item[0] in _AMD64_JUMPS:
                code += _AMD64_JUMPS[item[0]] + struct.pack("<b", distance)
            else:
                code += _AMD64_ADDRESSES[item[0]] + struct.pack("<i", distance)
    return code


def _arm64() -> bytes:
    """System call: number in x8, arguments in x0 … x3; x19 keeps the address of the signal set."""
    syscall = struct.pack("<I", 0xD4000001)
    first_argument_is_set, second_argument_is_set = struct.pack("<I", 0xAA1303E0), struct.pack("<I", 0xAA1303E1)
    compare_zero = struct.pack("<I", 0x7100001F)  # cmp w0, #0
    return _assemble_arm64(
        [
            ("adr x19", "set"),
            _mov(0, 0),  # SIG_BLOCK
            second_argument_is_set,
            _mov(2, 0),
            _mov(3, SET_SIZE),
            _mov(8, 135),  # rt_sigprocmask
            syscall,
            "wait:",
            first_argument_is_set,
            _mov(1, 0),
            _mov(2, 0),
            _mov(3, SET_SIZE),
            _mov(8, 137),  # rt_sigtimedwait
            syscall,
            struct.pack("<I", 0x7100001F | SIGCHLD << 10),  # cmp w0, SIGCHLD
            ("b.eq", "reap"),
            compare_zero,
            ("b.le", "wait"),
            _mov(0, 0),
            _mov(8, 93),  # exit
            syscall,
            "reap:",
            struct.pack("<I", 0x92800000),  # mov x0, -1: any child
            _mov(1, 0),
            _mov(2, 1),  # WNOHANG
            _mov(3, 0),
            _mov(8, 260),  # wait4
            syscall,
            compare_zero,
            ("b.gt", "reap"),
            ("b", "wait"),
            "set:",
            struct.pack("<Q", SIGNAL_SET),
        ]
    )


_ARM64_CONDITIONS = {"b.eq": 0, "b.gt": 12, "b.le": 13}


def _mov(register: int, value: int) -> bytes:
    return struct.pack("<I", 0xD2800000 | value << 5 | register)


def _assemble_arm64(items: Sequence[Item]) -> bytes:
    sizes = [0 if isinstance(item, str) else len(item) if isinstance(item, bytes) else 4 for item in items]
    labels = _labels(items, sizes)
    code = b""
    for item in items:
        if isinstance(item, bytes):
            code += item
        elif isinstance(item, tuple):
            distance = labels[item[1]] - len(code)
            if item[0] == "b":
                word = 0x14000000 | (distance >> 2) & 0x3FFFFFF
            elif item[0] in _ARM64_CONDITIONS:
                word = 0x54000000 | ((distance >> 2) & 0x7FFFF) << 5 | _ARM64_CONDITIONS[item[0]]
            else:
                word = 0x10000000 | (distance & 3) << 29 | ((distance >> 2) & 0x7FFFF) << 5 | 19
            code += struct.pack("<I", word)
    return code


def _labels(items: Sequence[Item], sizes: Sequence[int]) -> Mapping[str, int]:
    """Label -> offset from the start of the code."""
    labels, offset = {}, 0
    for item, size in zip(items, sizes, strict=True):
        if isinstance(item, str):
            labels[item.rstrip(":")] = offset
        offset += size
    return labels


def pause_program(architecture: str) -> bytes:
    """The ELF file for "amd64" or "arm64". Raises: KeyError for others."""
    machine = ELF_MACHINES[architecture]
    code = _amd64() if architecture == "amd64" else _arm64()
    size = HEADERS_SIZE + len(code)
    elf_header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)  # 64 bit, little endian
    elf_header += struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, LOAD_ADDRESS + HEADERS_SIZE, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    readable_executable, page = 5, 0x10000
    program_header = struct.pack("<IIQQQQQQ", 1, readable_executable, 0, LOAD_ADDRESS, LOAD_ADDRESS, size, size, page)
    return elf_header + program_header + code


if __name__ == "__main__":
    for name in ELF_MACHINES:
        print(name, base64.b64encode(pause_program(name)).decode())
