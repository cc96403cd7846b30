"""Shared libraries of Linux, as far as tests look into them."""

from __future__ import annotations

import struct


def elf_sections(data: bytes) -> list[str]:
    """Lists the sections of a 64-bit little-endian ELF file.

    Args:
        data: The file.

    Returns:
        Their names: ``".text"``, and ``".symtab"`` if the file is not stripped.
    """
    assert data[:6] == b"\x7fELF\x02\x01"
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count, name_index = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, table + index * size) for index in range(count)]
    names = headers[name_index][4]
    return [data[names + header[0] : data.index(b"\0", names + header[0])].decode() for header in headers]
