"""How this process keeps the memory that it has freed."""

from __future__ import annotations

import ctypes

# glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MAP_FROM = 32 << 20  # The largest threshold that glibc takes.
_KEEP = 256 << 20


def keep_freed_memory() -> bool:
    """Has glibc keep what is freed for the next message, up to 256 MiB: by default it gives large
    blocks back to the system at once, and mapping them again costs more than to move the bytes.
    Concerns the whole process, so no import does it. False where the C library is another."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MAP_FROM) and mallopt(_M_TRIM_THRESHOLD, _KEEP))
