"""Taking from this process the system calls that reach other processes, or what the kernel keeps for them.

What is re-executed must not find a copy that another process holds: in System V or POSIX queues and shared memory, in a
keyring, behind a socket of any kind, or in that process's own memory. A seccomp filter (Linux 3.17 and later;
https://docs.kernel.org/userspace-api/seccomp_filter.html) refuses the calls that would reach it; it needs no privilege
once new ones are renounced, and cannot be undone. Pairs of connected sockets are allowed: both ends are this process's.

Where the kernel or the processor is another one, nothing is refused and :func:`refuse_calls` says so.
"""

import ctypes
import errno
import platform
import struct

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2  # of prctl
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # of the packet filter's language
_NUMBER, _ARCHITECTURE = 0, 4  # where they are in what a filter sees
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_FOREIGN = 0x40000000
"""Numbers from here on are those of another calling convention of the same processor."""

_EVERYWHERE = (425, 426, 427, 438)  # io_uring_setup, _enter, _register; pidfd_getfd
_X86 = (
    29, 30, 64, 68, 240,  # shmget, shmat, semget, msgget, mq_open
    41, 101, 248, 249, 250, 310, 311,  # socket, ptrace, add_key, request_key, keyctl, process_vm_readv, _writev
)  # fmt: skip
_ARM = (
    194, 196, 190, 186, 180,
    198, 117, 217, 218, 219, 270, 271,
)  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86), "aarch64": (0xC00000B7, _ARM)}
"""The kernel's name of an architecture and, in one order, the numbers of the calls that are refused there."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def refuse_calls() -> bool:
    """Have the kernel refuse these calls to this process, and all it starts, for good; return whether it does."""
    architecture, numbers = _MACHINES.get(platform.machine(), (0, ()))
    if platform.system() != "Linux" or not numbers:
        return False
    filtered = _filter(architecture, (*numbers, *_EVERYWHERE))
    program = _Program(len(filtered) // 8, filtered)
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(kernel.prctl(_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(architecture: int, numbers: tuple[int, ...]) -> bytes:
    """Return the filter: steps of 8 bytes, each a code, how many steps to skip if so or if not, and an operand."""
    left = len(numbers)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, left + 3, architecture),  # another architecture's numbers mean other calls: all are refused
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, left + 1, 0, _FOREIGN),
        *((_EQUAL, left - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
