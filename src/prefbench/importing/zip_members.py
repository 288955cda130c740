"""The members of a zip file as bytes, those compressed with zstandard (method 93) included."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from prefbench.errors import DataError, MissingExtraError

ZSTANDARD = 93
_PLAIN = (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA)
_ENCRYPTED = 0x1
_LOCAL_HEADER = 30
"""Bytes of a member's local header before its name; APPNOTE.TXT 4.3.7."""


class ZipMembers:
    """An open zip file; use it as a context manager. `cure` ends the message where a member cannot be read."""

    def __init__(self, path: Path, *, cure: str) -> None:
        self._path, self._cure = path, cure
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
        try:
            self._zip = ZipFile(self._file)
        except BadZipFile as error:
            self._file.close()
            raise DataError(f"{path}: not a whole zip file ({error}); {cure}") from error
        # of two members of one name the last counts, as for every reader of zip files
        self._members = {member.filename: member for member in self._zip.infolist()}

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """Return a member's content. Raises DataError, or MissingExtraError where zstandard is needed."""
        member = self._members[name]
        if member.flag_bits & _ENCRYPTED:
            raise DataError(
                f"{self._path}: {name} is encrypted; unpack it and pack it again without a password"
            )
        try:
            if member.compress_type in _PLAIN:
                return self._zip.read(member)
            if member.compress_type == ZSTANDARD:
                return self._read_zstandard(member)
        except (BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(f"{self._path}: {name} is damaged ({error}); {self._cure}") from error
        raise DataError(
            f"{self._path}: {name} is compressed by method {member.compress_type}, which is not known here; "
            f"{self._cure}"
        )

    def _read_zstandard(self, member: ZipInfo) -> bytes:
        try:
            import zstandard
        except ImportError as error:
            raise MissingExtraError(
                f"{self._path}: it is compressed with zstandard; reading it", "inspect"
            ) from error
        # zipfile knows the method from Python 3.14 on; where the bytes lie it knows everywhere
        self._file.seek(member.header_offset)
        header = self._file.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise BadZipFile("no local header")
        skipped = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        self._file.seek(skipped, io.SEEK_CUR)
        packed = self._file.read(member.compress_size)
        try:
            reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            content: bytes = reader.read()
        except zstandard.ZstdError as error:
            raise BadZipFile(str(error)) from error
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise BadZipFile("its checksum is another one")
        return content

    def __enter__(self) -> ZipMembers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._file.close()
