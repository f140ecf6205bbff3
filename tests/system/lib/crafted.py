"""A store written by docs/FORMAT.md alone, by somebody who may write to the bucket: every size and hash is right, whatever
the names in it say. No code of holdfast has a part in it."""

import hashlib
import json
import os
import struct

LINEAGE, OWNER = bytes.fromhex("11" * 16), bytes.fromhex("22" * 16)
BEGIN_NS = 1_700_000_000 * 10**9
OPEN, DATA, BASE = 1, 2, 3
FILE, DIRECTORY, SYMLINK = 1, 2, 3


def u8(number):
    return struct.pack("<B", number)


def u16(number):
    return struct.pack("<H", number)


def u32(number):
    return struct.pack("<I", number)


def u64(number):
    return struct.pack("<Q", number)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return u16(len(value)) + value


def inverted(position):
    return "%016x" % (2**64 - 1 - position)


def zstd(content):
    """A frame of raw blocks (RFC 8878): its size, then pieces as they are."""
    frame = struct.pack("<IB", 0xFD2FB528, 0xA0) + u32(len(content))
    pieces = [content[at:at + 65536] for at in range(0, len(content), 65536)] or [b""]
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        frame += struct.pack("<I", last | len(piece) << 3)[:3] + piece
    return frame


def sealed(content):
    return content + hashlib.sha256(content).digest()


def envelope(magic, kind, header_size, body_size, position):
    return (magic + u16(1) + u16(kind) + u32(header_size) + u64(body_size) + LINEAGE + OWNER + u64(1) + u64(position) +
            u64(BEGIN_NS + position) + u64(0))


def attributes(mode, size):
    return u32(mode) + u32(os.geteuid()) + u32(os.getegid()) + u64(BEGIN_NS) + u64(size)


def empty_file(path):
    return path, u8(FILE) + text(path) + attributes(0o644, 0) + u8(0)


def directory(path):
    return path, u8(DIRECTORY) + text(path) + attributes(0o755, 0)


def symlink(path, target):
    return path, u8(SYMLINK) + text(path) + attributes(0o777, len(target)) + text(target)


def database(path):
    """One without pages."""
    return path, text(path) + u64(2) + u64(1) + u32(4096) + u64(0) + u64(0) + u32(0o644) + u32(0) + u32(0) + u64(BEGIN_NS) + \
        u32(0) + u32(0)


def section(kind, content):
    return u16(kind) + u16(0) + u32(0) + u64(len(content)) + content


def put_file(path, content):
    """A section that puts a file."""
    frame = zstd(content)
    return section(2, u8(FILE) + text(path) + attributes(0o644, len(content)) + u8(1) + u32(len(frame)) + frame)


def put(entry):
    return section(2, entry[1])


def gone(path):
    return section(3, text(path))


class CraftedStore:
    """Record 1 opens, record 2 announces a base of these entries and databases, record 3 (if there is one) has these
    sections."""

    def __init__(self, folder, entries=(), databases=(), sections=()):
        self.folder = folder
        self.url = "file://" + folder
        self.write("holdfast.json", json.dumps({"format": 1, "lineage": LINEAGE.hex(), "created": "2023-11-14T22:13:20.000Z"},
                                               separators=(",", ":")).encode())
        self.base = None  # what every header after it repeats
        self.previous = bytes(32)
        self.append(1, OPEN, text("crafted") + text("elsewhere"))
        self.manifest_key = "base/%s-%s-1" % (inverted(1), OWNER.hex())
        manifest = self.manifest(sorted(entries), sorted(databases))
        self.write(self.manifest_key, manifest)
        self.base = (manifest[-32:], self.manifest_key)
        self.append(2, BASE, u32(1) + u64(1) + u64(1) + manifest[-32:] + text(self.manifest_key) + u64(len(manifest)) + u64(0) +
                    u64(2) + u64(0) + u64(0) + u32(0) + u32(0))
        self.data_key = "log/" + inverted(3)
        if sections:
            self.append(3, DATA, b"".join(sections))

    def write(self, key, content):
        path = os.path.join(self.folder, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def manifest(self, entries, databases):
        body = u32(0) + u32(len(databases)) + b"".join(value for _, value in databases) + \
            u64(len(entries)) + b"".join(value for _, value in entries)
        frame = zstd(body)
        return sealed(envelope(b"HFMANIFE", 0, 144, len(frame), 1) + self.previous + u64(1) + u64(1) + u64(len(body)) + frame)

    def append(self, position, kind, body):
        digest, key = self.base or (bytes(32), "")
        header = (self.previous + u64(position if position > 1 else 0) + u64(1 if self.base else 0) +
                  u64(2 if self.base else 0) + digest + u64(2 if self.base else 0) + u64(0) + u64(BEGIN_NS + 1) + bytes(24) +
                  u64(0) + u64(0) + text(key))
        record = sealed(envelope(b"HFRECORD", kind, 88 + len(header), len(body), position) + header + body)
        self.previous = record[-32:]
        self.write("log/" + inverted(position), record)
