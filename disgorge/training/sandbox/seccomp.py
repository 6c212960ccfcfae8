"""A seccomp filter that refuses system calls by which a job could find what another process left.

Some things outlive a process and belong to no folder: keys in a session's keyring, the page cache, extended attributes
of installed files, the kernel's log, counters of the machine, sockets of families that network namespaces do not
divide. A filter (Linux 3.17 and later; https://docs.kernel.org/userspace-api/seccomp_filter.html) refuses the calls
that reach them; it needs no privilege once new ones are renounced, and cannot be undone.

One table serves both levels. In a namespace, sockets of five families are allowed, since it has a network of its own;
under Landlock none is, but for pairs of connected sockets, whose ends both belong to the job, and, with a GPU, sockets
that can be connected to and never connect: its driver's library does not start without one. Where bwrap could not
disable nested namespaces, the filter refuses the calls that make or enter one.

The filter is written here and not by ``pyseccomp``: that needs libseccomp on the machine, a name that libseccomp does
not know yet (``setxattrat``) is an error there, and forty lines of table would remain forty lines.
"""

import ctypes
import errno
import os
import platform
import struct

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2  # of prctl
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06  # of the filter's language
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they are in what a filter sees
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_FOREIGN = 0x40000000
"""Numbers from here on are those of another calling convention of the same processor."""
_FAMILIES = (0, 1, 2, 10, 16)  # unspecified, unix, inet, inet6, netlink: those that a network namespace divides
_UNIX, _TYPE, _SEQUENCED = 1, 0xF, 5  # AF_UNIX; what of a type is no flag; SOCK_SEQPACKET
_NO_WAIT = 0x8  # RWF_NOWAIT of preadv2: tells whether a page is in memory
_NEW_USER = 0x10000000  # CLONE_NEWUSER

_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Architectures, by the kernel's name and its number in a filter; their columns in the tables below."""
_NONE = -1  # no such call on this architecture

_CALLS = {
    # keyrings
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # memory and descriptors of other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_getfd": (438, 438),
    # System V and POSIX shared memory, semaphores and queues
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semctl": (66, 191),
    "msgget": (68, 186), "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    # what is in the page cache
    "mincore": (27, 232), "cachestat": (451, 451),
    # watching files, and handles of them
    "inotify_init": (253, _NONE), "inotify_init1": (294, 26), "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "file_getattr": (468, 468), "file_setattr": (469, 469),
    # the kernel's log, programs, counters and quotas
    "syslog": (103, 116), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "quotactl": (179, 60), "quotactl_fd": (443, 443),
    # calls that make calls, past a filter
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
"""Refused at both levels: numbers on x86_64 and on aarch64."""
_ATTRIBUTES = {
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "getxattr": (191, 8), "lgetxattr": (192, 9),
    "fgetxattr": (193, 10), "listxattr": (194, 11), "llistxattr": (195, 12), "flistxattr": (196, 13),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463),
    "getxattrat": (464, 464), "listxattrat": (465, 465), "removexattrat": (466, 466),
}  # fmt: skip
"""Extended attributes, which are said not to be supported, as some file systems do say."""
_NAMESPACES = {"unshare": (272, 97), "setns": (308, 268)}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_SOCKET, _CONNECT, _PREADV2 = (41, 198), (42, 203), (327, 286)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def can_filter() -> bool:
    """Whether a filter can be written for this system and processor."""
    return platform.system() == "Linux" and platform.machine() in _MACHINES


def filter_program(*, sockets: bool, namespaces: bool = True, gpu: bool = False, machine: str = "") -> bytes:
    """Return the filter: steps of 8 bytes, each a code, how many steps to skip if so or if not, and an operand.

    ``sockets`` allows sockets of the families that a network namespace divides; without ``namespaces``, calls that
    make or enter one are refused. Without sockets, ``gpu`` allows those that a GPU's driver waits at.
    """
    machine = machine or platform.machine()
    column = list(_MACHINES).index(machine)
    denied = _refuse(errno.EACCES)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _MACHINES[machine]),  # another architecture's numbers mean other calls: all are refused
        denied,
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _FOREIGN),
        denied,
    ]
    for numbers in _CALLS.values():
        steps += _on(numbers[column], [denied])
    for numbers in _ATTRIBUTES.values():
        steps += _on(numbers[column], [_refuse(errno.ENOTSUP)])
    if not namespaces:
        for numbers in _NAMESPACES.values():
            steps += _on(numbers[column], [denied])
        steps += _on(_CLONE3[column], [_refuse(errno.ENOSYS)])  # its flags lie in memory: callers fall back to clone
        steps += _on(_CLONE[column], [_argument(0), (_ANY_OF, 0, 1, _NEW_USER), denied, (_RETURN, 0, 0, _ALLOW)])
    families = [(_EQUAL, len(_FAMILIES) - place, 0, family) for place, family in enumerate(_FAMILIES)]
    allowed = [_argument(0), *families, denied, (_RETURN, 0, 0, _ALLOW)]
    waiting = [
        _argument(0),
        (_EQUAL, 0, 3, _UNIX),
        _argument(1),
        (_AND, 0, 0, _TYPE),
        (_EQUAL, 1, 0, _SEQUENCED),
        denied,
        (_RETURN, 0, 0, _ALLOW),
    ]
    steps += _on(_SOCKET[column], allowed if sockets else waiting if gpu else [denied])
    steps += _on(_CONNECT[column], [denied]) if gpu and not sockets else []
    no_wait = [_argument(5), (_ANY_OF, 0, 1, _NO_WAIT), _refuse(errno.EOPNOTSUPP), (_RETURN, 0, 0, _ALLOW)]
    steps += _on(_PREADV2[column], no_wait)
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def filter_descriptor(program: bytes) -> int:
    """Return a descriptor from which bwrap reads a filter, once; the caller closes it."""
    descriptor = os.memfd_create("filter")
    os.write(descriptor, program)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def refuse_calls(*, gpu: bool = False) -> bool:
    """Have the kernel refuse these calls, and all sockets, to this process and all it starts; return whether it does.

    With ``gpu`` a socket that waits is none of them. For good. Where the kernel or the processor is another one,
    nothing is refused.
    """
    if not can_filter():
        return False
    steps = filter_program(sockets=False, gpu=gpu)
    program = _Program(len(steps) // 8, steps)
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(kernel.prctl(_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0)


_Step = tuple[int, int, int, int]


def _on(number: int, steps: list[_Step]) -> list[_Step]:
    """Return steps that are taken for one call alone; the last of them must return."""
    return [] if number == _NONE else [(_EQUAL, 0, len(steps), number), *steps]


def _argument(place: int) -> _Step:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * place)  # its lower half, on processors that store that first


def _refuse(error: int) -> _Step:
    return (_RETURN, 0, 0, _ERRNO | error)
