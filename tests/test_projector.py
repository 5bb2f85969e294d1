"""What TensorBoard's projector is given, read back by a real TensorBoard, by Pillow, and by TensorBoard's parser."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from album_process import until
from google.protobuf import text_format
from memory_album import MemoryAlbum, photo_bytes
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from web_client import problem_of, serving

from models.projector import (
    BLANK,
    SPRITE_SIDE_PX_MAX,
    SpriteLayout,
    SpriteWriter,
    Tensor,
    metadata_file,
    photo_tile,
    projector_config,
    vectors_file,
    word_tile,
)
from stream_app.errors import PhotoNotFound, PhotoRejected, SettingsError
from stream_app.local_services import free_port
from stream_app.projector import ProjectorExport, write_folder
from stream_app.web.zip_stream import zipped

AMONG_WORDS, ALIKE = "photos among words", "photos alike"
HOSTILE = 'a\ttab, a\nline, a "quote"\u2028and \x1b[31m more\r\n'


@pytest.fixture
def album() -> MemoryAlbum:
    """Three photos; the title of one would break a table."""
    album = MemoryAlbum()
    album.add(photo_bytes("red"), "red.jpg", photo_id=7, title=HOSTILE, tags=["warm"])
    album.add(photo_bytes("green"), "green%20leaf.jpg", photo_id=2**63 - 1)
    album.add(photo_bytes("blue"), "blue.jpg", photo_id=9)
    return album


async def export_of(album: MemoryAlbum, word_count: int = 4) -> ProjectorExport:
    async def read(photo):
        return (await album.image(photo.photo_id))[0]

    vocabulary = await album.vocabulary()
    words = vocabulary.frequent_answers(word_count)
    return ProjectorExport(await album.points(0, 100), words, vocabulary, read, pixels_max=10**7)


def tiles_of(sprite: bytes, layout: SpriteLayout) -> Callable[[int], np.ndarray]:
    """The tiles of a PNG by their number, as the projector counts them."""
    pixels = np.asarray(Image.open(io.BytesIO(sprite)))
    assert pixels.shape == (layout.side_px, layout.side_px, 4)
    side = layout.tile_side_px

    def tile(number: int) -> np.ndarray:
        row, column = divmod(number, layout.columns)
        return pixels[row * side : (row + 1) * side, column * side : (column + 1) * side]

    return tile


class TestSprite:
    @pytest.mark.parametrize("count", [1, 2, 4, 5, 100, 10_000, 16_384, 16_385, 100_000])
    def test_a_sprite_is_a_square_that_holds_every_tile_and_is_not_too_large(self, count: int) -> None:
        layout = SpriteLayout.of(count)

        assert (layout.columns - 1) ** 2 < count <= layout.columns**2
        assert layout.side_px <= SPRITE_SIDE_PX_MAX and layout.tile_side_px >= 25

    @pytest.mark.parametrize("count", [1, 2, 6, 7, 30])
    def test_every_tile_is_where_the_projector_looks_for_it(self, count: int) -> None:
        """Written row by row, read back whole; a missing photo is grey, and what holds no photo is empty."""
        layout = SpriteLayout.of(count)
        rng = np.random.default_rng(count)
        tiles = [rng.integers(0, 256, (layout.tile_side_px, layout.tile_side_px, 4), np.uint8) for _ in range(count)]
        shown = [None if number == 1 else tile for number, tile in enumerate(tiles)]
        writer = SpriteWriter(layout)
        rows = [writer.row(shown[at : at + layout.columns]) for at in range(0, count, layout.columns)]
        tile = tiles_of(writer.begin() + b"".join(rows) + writer.end(), layout)

        for number in range(count):
            expected = np.broadcast_to(BLANK, tiles[0].shape) if number == 1 else tiles[number]
            np.testing.assert_array_equal(tile(number), expected)
        assert all(not tile(number).any() for number in range(count, layout.columns**2))

    def test_a_photo_is_cut_to_its_middle_square(self) -> None:
        out = io.BytesIO()
        wide = np.zeros((100, 300, 3), np.uint8)
        wide[:, 100:200] = (0, 200, 0)
        Image.fromarray(wide).save(out, "PNG")
        tile = photo_tile(out.getvalue(), 32, pixels_max=10**6)

        assert tile.shape == (32, 32, 4)
        assert (tile[4:-4, 4:-4] == (0, 200, 0, 255)).all()

    def test_what_is_no_photo_is_refused(self) -> None:
        with pytest.raises(PhotoRejected):
            photo_tile(b"<svg/>", 32, pixels_max=10**6)

    @pytest.mark.parametrize("word", ["cat", "electroencephalograph", "кот", ""])
    def test_a_word_stays_within_its_tile_on_nothing(self, word: str) -> None:
        """Its letters are opaque, its corners are not, so it hides no photo behind it."""
        tile = word_tile(word, 64)

        assert tile.shape == (64, 64, 4) and (tile[0, 0, 3], tile[-1, -1, 3]) == (0, 0)
        assert (tile[..., 3] > 100).any() == bool(word)


class TestTexts:
    def test_a_cell_cannot_break_its_line(self) -> None:
        """Tabs, line ends of all kinds, escapes and lone surrogates become blanks."""
        table = metadata_file(("a", "b"), [(HOSTILE, "x" * 5_000), ("\ud800", "\x85")]).decode()
        heading, first, second, after = table.split("\n")

        assert (heading, after) == ("a\tb", "")
        assert first.split("\t") == ['a tab, a line, a "quote" and [31m more', "x" * 200]
        assert second == "\t"

    def test_vectors_are_float32_and_never_valid_text(self) -> None:
        """TensorBoard would take these bytes, which are a line of text, for a table without numbers."""
        text = np.frombuffer(b"just a line\n", "<f4").reshape(1, 3)
        data = vectors_file(text)

        with pytest.raises(UnicodeDecodeError):
            data.decode()
        np.testing.assert_allclose(np.frombuffer(data, "<f4"), text[0], rtol=1 / 30_000)
        assert data[1:] == text.tobytes()[1:]

    def test_tensorboards_own_parser_reads_the_configuration(self) -> None:
        tensors = [Tensor("one", (3, 50), "one.bytes", "one.tsv"), Tensor("two", (2, 9), "two.bytes", "two.tsv")]
        config = text_format.Parse(projector_config(tensors, "s.png", SpriteLayout.of(3)), ProjectorConfig())

        assert [(each.tensor_name, list(each.tensor_shape)) for each in config.embeddings] == [
            ("one", [3, 50]),
            ("two", [2, 9]),
        ]
        assert config.embeddings[1].tensor_path == "two.bytes" and config.embeddings[1].metadata_path == "two.tsv"
        assert list(config.embeddings[0].sprite.single_image_dim) == [64, 64]


class TestTensorBoard:
    """A real one, asked over HTTP as its page asks."""

    @pytest.fixture
    def ask(self, tmp_path: Path) -> Iterator[Callable[..., bytes]]:
        """Starts TensorBoard on `tmp_path/export` at the first question."""
        port, started = free_port(), []

        def get(route: str, **query: str) -> bytes:
            if not started:
                command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path / "export")]
                output = (tmp_path / "tensorboard.log").open("wb")
                started.append(
                    subprocess.Popen(
                        [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=output, stderr=output
                    )
                )
            parts = "&".join(f"{name}={quote(value)}" for name, value in query.items())
            address = f"http://127.0.0.1:{port}/data/plugin/projector/{route}?{parts}"
            return until(lambda: _answer(address, started[0]), what="TensorBoard")

        yield get
        for process in started:
            process.terminate()
            process.wait()

    async def test_tensorboard_opens_what_was_exported(
        self, album: MemoryAlbum, tmp_path: Path, ask: Callable[..., bytes]
    ) -> None:
        """Runs, configuration, vectors, metadata and sprite, all by its projector's own routes."""
        export = await export_of(album)
        await write_folder(tmp_path / "export", export)
        points, vocabulary = await album.points(0, 9), await album.vocabulary()
        run = json.loads(ask("runs"))[0]
        config = json.loads(ask("info", run=run))["embeddings"]
        vectors = np.frombuffer(ask("tensor", run=run, name=AMONG_WORDS), "<f4").reshape(7, 3)
        alike = np.frombuffer(ask("tensor", run=run, name=ALIKE), "<f4").reshape(3, 3)
        table = [line.split("\t") for line in ask("metadata", run=run, name=AMONG_WORDS).decode().splitlines()]
        tile = tiles_of(ask("sprite_image", run=run, name=AMONG_WORDS), SpriteLayout.of(7))

        assert [(each["tensorName"], each["tensorShape"]) for each in config] == [
            (AMONG_WORDS, [7, 3]),
            (ALIKE, [3, 3]),
        ]
        expected = [each.joint_embedding for each in points] + [vocabulary.vector(word) for word in vocabulary.words]
        np.testing.assert_allclose(vectors, expected, rtol=1e-4)
        np.testing.assert_allclose(alike, [each.search_vector for each in points], rtol=1e-4)
        assert [row[0] for row in table[1:]] == ["blue.jpg", "green leaf.jpg", *[table[3][0]], *vocabulary.words]
        assert table[3][0].startswith("a tab, a line") and table[3][4:] == ["warm", "", "7"]
        np.testing.assert_allclose(tile(0)[32, 32], (30, 50, 220, 255), atol=12)
        np.testing.assert_allclose(tile(2)[32, 32], (220, 30, 30, 255), atol=12)


def _answer(address: str, process: subprocess.Popen[bytes]) -> bytes | None:
    assert process.poll() is None, "TensorBoard ended"
    try:
        with urllib.request.urlopen(address, timeout=30) as reply:
            return bytes(reply.read()) or None
    except urllib.error.HTTPError:
        raise
    except OSError:
        return None


class TestExport:
    async def test_a_missing_photo_is_a_blank_tile_and_counted(self, album: MemoryAlbum, tmp_path: Path) -> None:
        """It was deleted after its vector was read."""
        export = await export_of(album, word_count=0)
        await album.delete(9)
        await write_folder(tmp_path, export)
        tile = tiles_of((tmp_path / "sprite.png").read_bytes(), SpriteLayout.of(3))

        assert export.blank_count == 1
        assert (tile(0) == BLANK).all() and not (tile(1) == BLANK).all()

    async def test_words_alone_can_be_exported_and_nothing_at_all_cannot(self, tmp_path: Path) -> None:
        await write_folder(tmp_path, await export_of(MemoryAlbum()))

        assert "photos alike" not in (tmp_path / "projector_config.pbtxt").read_text()
        with pytest.raises(PhotoNotFound, match="sightline publish"):
            await export_of(MemoryAlbum(), word_count=0)

    async def test_a_smaller_export_replaces_a_larger_one(self, album: MemoryAlbum, tmp_path: Path) -> None:
        await write_folder(tmp_path, await export_of(album))
        await write_folder(tmp_path, await export_of(album, word_count=0))

        assert len((tmp_path / "photos_among_words.tsv").read_text().splitlines()) == 1 + 3
        assert (tmp_path / "photos_among_words.bytes").stat().st_size == 3 * 3 * 4

    async def test_a_folder_that_cannot_be_written_is_one_clear_line(self, album: MemoryAlbum, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SettingsError, match="cannot be written"):
            await write_folder(tmp_path / "file" / "below", await export_of(album))


class TestDownload:
    async def test_the_zip_holds_what_the_command_writes(self, album: MemoryAlbum, tmp_path: Path) -> None:
        """Over HTTP, with thumbnails of the album; every file is whole."""
        await write_folder(tmp_path / "folder", await export_of(album))
        async with serving(album, tmp_path / "data") as client:
            reply = await client.get("/api/projector.zip")
            archive = zipfile.ZipFile(io.BytesIO(await reply.read()))

        assert (reply.status, reply.content_type) == (200, "application/zip")
        assert "attachment" in reply.headers["Content-Disposition"] and reply.headers["X-Content-Type-Options"]
        assert archive.testzip() is None
        written = {f"sightline-projector/{path.name}": path for path in (tmp_path / "folder").iterdir()}
        assert set(archive.namelist()) == set(written)
        for name, path in written.items():
            if path.suffix != ".png":  # thumbnails pass through WebP first
                assert archive.read(name) == path.read_bytes()
        tile = tiles_of(archive.read("sightline-projector/sprite.png"), SpriteLayout.of(7))
        np.testing.assert_allclose(tile(1)[32, 32], (30, 190, 50, 255), atol=15)

    async def test_count_and_words_bound_the_zip(self, album: MemoryAlbum, tmp_path: Path) -> None:
        """The newest photos are those that are kept."""
        async with serving(album, tmp_path) as client:
            reply = await client.get("/api/projector.zip?count=1&words=0")
            archive = zipfile.ZipFile(io.BytesIO(await reply.read()))

        table = archive.read("sightline-projector/photos_among_words.tsv").decode().splitlines()
        assert [line.split("\t")[0] for line in table] == ["title", "blue.jpg"]

    async def test_who_hangs_up_midway_leaves_nothing_behind(self, album: MemoryAlbum) -> None:
        """At whichever piece: nothing is raised, and nothing more is read."""
        for count in range(1, 8):
            files = (await export_of(album)).files()
            pieces = zipped(files, "folder")
            for _ in range(count):
                await anext(pieces)
            await pieces.aclose()

            with pytest.raises(StopAsyncIteration):
                await anext(files)

    @pytest.mark.parametrize("query", ["count=0", "count=10001", "words=-1", "words=10001", "count=x"])
    async def test_numbers_out_of_range_are_400(self, album: MemoryAlbum, tmp_path: Path, query: str) -> None:
        async with serving(album, tmp_path) as client:
            problem = await problem_of(await client.get(f"/api/projector.zip?{query}"), 400)

        assert "10000" in problem["expected"]

    async def test_an_empty_album_without_words_is_404(self, tmp_path: Path) -> None:
        async with serving(MemoryAlbum(), tmp_path) as client:
            await problem_of(await client.get("/api/projector.zip?words=0"), 404)
