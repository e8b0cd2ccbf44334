"""Writes and reads GGUF v3 files (little endian, alignment 32), as far as this model needs them."""
import struct

import numpy as np

ALIGNMENT = 32
STRING, ARRAY = 8, 9
SCALARS = {4: "<I", 5: "<i", 6: "<f", 7: "<?"}  # u32, i32, f32, bool
U32, I32, F32, BOOL = SCALARS
TYPES = {"F32": 0, "F16": 1, "TQ2_0": 35}
BLOCKS = {"F32": (1, 4), "F16": (1, 2), "TQ2_0": (256, 66)}  # elements, bytes


def pack_string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def pack_value(kind, value):
    """-> type id and bytes; kind (ARRAY, element kind) makes an array."""
    if isinstance(kind, tuple):
        element = kind[1]
        return struct.pack("<IIQ", ARRAY, element, len(value)) + b"".join(pack_value(element, v)[4:] for v in value)
    body = pack_string(value) if kind == STRING else struct.pack(SCALARS[kind], value)
    return struct.pack("<I", kind) + body


def byte_size(kind, shape):
    elements, size = BLOCKS[kind]
    assert shape[-1] % elements == 0, (kind, shape)
    return int(np.prod(shape)) // elements * size


def padding(size):
    return b"\0" * (-size % ALIGNMENT)


def write(path, metadata, tensors):
    """metadata: [(key, kind, value)]; tensors: [(name, type name, shape (rows, columns) or (n,), bytes)]"""
    with open(path, "wb") as f:
        f.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
        for key, kind, value in metadata:
            f.write(pack_string(key) + pack_value(kind, value))
        offset = 0
        for name, kind, shape, raw in tensors:
            assert len(raw) == byte_size(kind, shape), (name, kind, shape, len(raw))
            f.write(pack_string(name) + struct.pack("<I", len(shape)))
            f.write(struct.pack(f"<{len(shape)}Q", *reversed(shape)))
            f.write(struct.pack("<IQ", TYPES[kind], offset))
            offset += len(raw) + len(padding(len(raw)))
        f.write(padding(f.tell()))
        for _, _, _, raw in tensors:
            f.write(raw + padding(len(raw)))


def pack_tq2_0(codes, scale):
    """codes {-1, 0, 1} (rows, columns), one float16 scale -> TQ2_0 blocks of 256 elements, 66 bytes each.

    Byte 32g + m of a block holds elements 128g + 32l + m in bits 2l..2l+1, l = 0..3, as code + 1.
    """
    groups = (codes + 1).astype(np.uint8).reshape(-1, 2, 4, 32)  # block, g, l, m
    packed = groups[:, :, 0] | groups[:, :, 1] << 2 | groups[:, :, 2] << 4 | groups[:, :, 3] << 6
    scales = np.full((len(packed), 1), scale, "<f2").view(np.uint8)  # (blocks, 2)
    return np.concatenate([packed.reshape(-1, 64), scales], axis=1).tobytes()


def unpack_tq2_0(raw, shape):
    """-> float32 (rows, columns), scale included"""
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, 66)
    bits = blocks[:, :64].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(4, 1) & 3
    scales = blocks[:, 64:].copy().view("<f2").astype(np.float32)  # (blocks, 1)
    return ((bits.reshape(-1, 256).astype(np.float32) - 1) * scales).reshape(shape)


class Reader:
    """metadata: {key: value}; tensor(name) -> float32 array (rows, columns) or (n,)"""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.raw = f.read()
        magic, version, n_tensors, n_keys = struct.unpack_from("<4sIQQ", self.raw)
        assert magic == b"GGUF" and version == 3, path
        self.at = 24
        self.metadata = {self.string(): self.value(self.take("<I")) for _ in range(n_keys)}
        self.infos = {}
        for _ in range(n_tensors):
            name = self.string()
            shape = tuple(reversed([self.take("<Q") for _ in range(self.take("<I"))]))
            kind = {v: k for k, v in TYPES.items()}[self.take("<I")]
            self.infos[name] = kind, shape, self.take("<Q")
        self.data = self.at + len(padding(self.at))

    def take(self, form):
        value, = struct.unpack_from(form, self.raw, self.at)
        self.at += struct.calcsize(form)
        return value

    def string(self):
        n = self.take("<Q")
        self.at += n
        return self.raw[self.at - n:self.at].decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            element = self.take("<I")
            return [self.value(element) for _ in range(self.take("<Q"))]
        return self.take(SCALARS[kind])

    def tensor(self, name):
        kind, shape, offset = self.infos[name]
        start = self.data + offset
        raw = self.raw[start:start + byte_size(kind, shape)]
        if kind == "TQ2_0":
            return unpack_tq2_0(raw, shape)
        return np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[kind]).astype(np.float32).reshape(shape)
