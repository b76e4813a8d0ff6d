"""Files of HEIF, AVIF and JPEG 2000 that cost more than their headers say."""

from __future__ import annotations

import struct

from lookalike.embedders.images.formats import FORMATS

assert "HEIF" in FORMATS  # imported for its side effect too: Pillow learns to write it


def claiming(data: bytes, width: int, height: int) -> bytes:
    """A HEIF, AVIF or JPEG 2000 file whose header names another size than that of its pixels."""
    for box, place in ((b"ispe", 8), (b"ihdr", 4)):
        if box in data:
            size = (width, height) if box == b"ispe" else (height, width)
            at = data.index(box) + place
            return data[:at] + struct.pack(">II", *size) + data[at + 8 :]
    raise ValueError("no box of a size")


def grid_of_one_tile(tile: bytes, tile_px: int, columns: int, rows: int) -> bytes:
    """Many tiles of `tile_px` that all are the pixels of the file `tile`, one piece of data."""
    coded, config = (b"av01", b"av1C") if b"av1C" in tile else (b"hvc1", b"hvcC")
    content = _box_in(tile, b"mdat")
    tiles = columns * rows
    properties = [
        _full(b"ispe", struct.pack(">II", tile_px * columns, tile_px * rows)),
        _full(b"ispe", struct.pack(">II", tile_px, tile_px)),
        _box(config, _box_in(tile, config)),
        _full(b"pixi", bytes([3, 8, 8, 8])),
    ]
    ids = range(2, tiles + 2)
    items = [_full(b"infe", struct.pack(">HH4sB", 1, 0, b"grid", 0), version=2)]
    items += [_full(b"infe", struct.pack(">HH4sB", i, 0, coded, 0), version=2) for i in ids]
    uses = struct.pack(">HBBB", 1, 2, 1, 4) + b"".join(
        struct.pack(">HBBBB", i, 3, 2, 0x80 | 3, 4) for i in ids
    )
    references = struct.pack(f">HH{tiles}H", 1, tiles, *ids)

    def meta(start: int) -> bytes:
        places = struct.pack(">HHHHII", 1, 1, 0, 1, 0, 8)
        places += b"".join(struct.pack(">HHHHII", i, 0, 0, 1, start, len(content)) for i in ids)
        return _full(
            b"meta",
            _full(b"hdlr", struct.pack(">I4s12xB", 0, b"pict", 0))
            + _full(b"pitm", struct.pack(">H", 1))
            + _full(b"iloc", struct.pack(">BBH", 0x44, 0, tiles + 1) + places, version=1)
            + _full(b"iinf", struct.pack(">H", tiles + 1) + b"".join(items))
            + _full(b"iref", _box(b"dimg", references))
            + _box(
                b"iprp",
                _box(b"ipco", b"".join(properties))
                + _full(b"ipma", struct.pack(">I", tiles + 1) + uses),
            )
            + _box(
                b"idat",
                struct.pack(
                    ">BBBBHH", 0, 0, rows - 1, columns - 1, tile_px * columns, tile_px * rows
                ),
            ),
        )

    brand = b"avif" if coded == b"av01" else b"heic"
    head = _box(b"ftyp", brand + bytes(4) + b"mif1miaf" + brand)
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + _box(b"mdat", content)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _full(kind: bytes, content: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]) + content)


def _box_in(data: bytes, kind: bytes) -> bytes:
    at = data.index(kind)
    return data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at])]
