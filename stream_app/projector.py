"""The album as TensorBoard's projector shows it: photos among words, and photos beside those that look alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from models.projector import (
    CONFIG_FILE,
    SpriteLayout,
    SpriteWriter,
    Tensor,
    metadata_file,
    photo_tile,
    projector_config,
    vectors_file,
    word_tile,
)
from models.words import Vocabulary
from stream_app.album import Photo, PhotoPoint
from stream_app.errors import PhotoNotFound, PhotoRejected, PhotoUnreachable, ServiceUnavailable, SettingsError

COLUMNS = ("title", "kind", "labels", "words", "tags", "photographer", "photo_id")
SPRITE_FILE = "sprite.png"
NAMES_SHOWN = 5
#: Photos that are read at once: each may be as large as a photo may be.
READ_TOGETHER = 4

#: Reads a photo, or a thumbnail of it; may raise PhotoNotFound, PhotoRejected, PhotoUnreachable, ServiceUnavailable.
Read = Callable[[Photo], Awaitable[bytes]]


class ProjectorExport:
    """The files of one export, made piece by piece; `blank_count` grows as photos turn out to be missing."""

    def __init__(
        self,
        points: Sequence[PhotoPoint],
        words: Sequence[str],
        vocabulary: Vocabulary,
        read: Read,
        *,
        pixels_max: int,
    ) -> None:
        if not points and not words:
            raise PhotoNotFound(
                "There is nothing to project",
                expected="photos that can be found, or words",
                received="none",
                remedy="Publish some: sightline publish DIR.",
            )
        self.blank_count = 0
        self._points, self._words = points, words
        self._vocabulary = vocabulary
        self._read = read
        self._pixels_max = pixels_max
        self._layout = SpriteLayout.of(len(points) + len(words))
        self._reading = asyncio.Semaphore(READ_TOGETHER)

    async def files(self) -> AsyncGenerator[tuple[str, bytes]]:
        """(file name, its next piece); the pieces of a file come one after the other, the configuration last."""
        tensors = [self._among_words()]
        if self._points:
            tensors.append(self._alike())
        for tensor, vectors, rows in tensors:
            yield tensor.vectors_file, vectors_file(vectors)
            yield tensor.metadata_file, metadata_file(COLUMNS, rows)
        async for piece in self._sprite():
            yield SPRITE_FILE, piece
        yield CONFIG_FILE, projector_config([tensor for tensor, _, _ in tensors], SPRITE_FILE, self._layout)

    def _among_words(self) -> tuple[Tensor, np.ndarray, list[list[str]]]:
        """The joint space: photos first, as in the sprite, then words."""
        vectors = [each.joint_embedding for each in self._points] + [self._vocabulary.vector(w) for w in self._words]
        rows = [_photo_row(each.photo) for each in self._points] + [_word_row(each) for each in self._words]
        return _tensor("photos_among_words", vectors), np.stack(vectors), rows

    def _alike(self) -> tuple[Tensor, np.ndarray, list[list[str]]]:
        """What the index searches: meaning beside looks."""
        vectors = [each.search_vector for each in self._points]
        return _tensor("photos_alike", vectors), np.stack(vectors), [_photo_row(each.photo) for each in self._points]

    async def _sprite(self) -> AsyncIterator[bytes]:
        writer = SpriteWriter(self._layout)
        yield writer.begin()
        shown: list[PhotoPoint | str] = [*self._points, *self._words]
        for start in range(0, len(shown), self._layout.columns):
            tiles = await asyncio.gather(*map(self._tile, shown[start : start + self._layout.columns]))
            yield await asyncio.to_thread(writer.row, tiles)
        yield await asyncio.to_thread(writer.end)

    async def _tile(self, shown: PhotoPoint | str) -> np.ndarray | None:
        side_px = self._layout.tile_side_px
        if isinstance(shown, str):
            return word_tile(shown, side_px)
        try:
            async with self._reading:
                image = await self._read(shown.photo)
                return await asyncio.to_thread(photo_tile, image, side_px, pixels_max=self._pixels_max)
        except (PhotoNotFound, PhotoRejected, PhotoUnreachable, ServiceUnavailable):
            self.blank_count += 1
            return None


def _tensor(name: str, vectors: Sequence[np.ndarray]) -> Tensor:
    return Tensor(name.replace("_", " "), (len(vectors), len(vectors[0])), f"{name}.bytes", f"{name}.tsv")


def _photo_row(photo: Photo) -> list[str]:
    labels = ", ".join(name for name, _ in photo.labels[:NAMES_SHOWN])
    words = ", ".join(name for name, _ in photo.words[:NAMES_SHOWN])
    tags = ", ".join(photo.tags)
    return [photo.title or _file_name(photo), "photo", labels, words, tags, photo.user_id or "", str(photo.photo_id)]


def _word_row(word: str) -> list[str]:
    return [word, "word", *[""] * (len(COLUMNS) - 2)]


def _file_name(photo: Photo) -> str:
    return unquote(photo.url.split("?", 1)[0]).rsplit("/", 1)[-1] or str(photo.photo_id)


async def write_folder(folder: Path, export: ProjectorExport) -> None:
    """Write the files of an export below `folder`; an older export there is replaced. Raises SettingsError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The configuration is what makes a folder an export: until the new one is whole there is none.
        (folder / CONFIG_FILE).unlink(missing_ok=True)
        written: set[str] = set()
        async for name, piece in export.files():
            with (folder / name).open("ab" if name in written else "wb") as file:
                file.write(piece)
            written.add(name)
    except OSError as error:
        raise SettingsError(
            f"The folder {folder} cannot be written", expected="a folder of one's own", received=error.strerror
        ) from error
