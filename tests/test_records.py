"""The records of the embeddings topic."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.errors import RecordCorrupt
from stream_app.records import PhotoEmbedded, PhotoRemoved, photo_key, record_from_bytes, record_of, record_to_bytes
from stream_app.versions import CLOCK_SKEW_MS_MAX, KIND_CHANGED, KIND_DELETED, Version, version_of


def a_photo() -> PhotoEmbedded:
    """A record with numbers of every kind."""
    rng = np.random.default_rng(1)
    return PhotoEmbedded(
        photo_id=2**63 - 1,
        version=Version(1_700_000_000_000, KIND_CHANGED, 3, 2**40),
        url="file:///photos/caf%C3%A9.jpg",
        sha256="ab" * 32,
        width_px=4000,
        height_px=3000,
        image_embedding=rng.normal(size=1280).astype(np.float16),
        label_indices=np.arange(40, dtype=np.uint16),
        label_scores=np.linspace(1, 0, 40).astype(np.float16),
    )


class TestRecords:
    """What is written can be read."""

    def test_a_photo_comes_back_bit_for_bit(self):
        """The topic is the durable truth: nothing may change in it."""
        photo = a_photo()

        back = record_from_bytes(record_to_bytes(photo))

        assert back.photo_id == photo.photo_id
        assert back.version == photo.version
        np.testing.assert_array_equal(back.image_embedding, photo.image_embedding)
        np.testing.assert_array_equal(back.label_indices, photo.label_indices)
        np.testing.assert_array_equal(back.label_scores, photo.label_scores)

    def test_a_deletion_comes_back(self):
        """It is a record like any other, only small."""
        removed = PhotoRemoved(5, Version(1, KIND_DELETED, 2, 3))

        assert record_from_bytes(record_to_bytes(removed)) == removed

    @pytest.mark.parametrize("length", [0, 3, 10, 400, 2000])
    def test_a_truncated_record_is_refused(self, length):
        """Half an embedding is none."""
        with pytest.raises(RecordCorrupt):
            record_from_bytes(record_to_bytes(a_photo())[:length])

    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_record_or_refused(self, data: bytes):
        """A stranger may write to the topic; no reader may die of it."""
        try:
            record_from_bytes(data)
        except RecordCorrupt:
            return

    @given(st.data())
    def test_a_damaged_record_is_a_record_or_refused(self, data: st.DataObject):
        """Whatever byte a disk turns over."""
        written = bytearray(record_to_bytes(a_photo()))
        written[data.draw(st.integers(0, 300))] = data.draw(st.integers(0, 255))
        try:
            assert record_from_bytes(bytes(written)).photo_id >= -(2**63)
        except RecordCorrupt:
            return

    def test_numbers_that_are_not_finite_are_refused(self):
        """They would spoil every search."""
        broken = replace(a_photo(), image_embedding=np.array([1, np.nan], np.float16))

        with pytest.raises(RecordCorrupt, match="not finite"):
            record_from_bytes(record_to_bytes(broken))

    def test_a_reader_leaves_out_what_is_no_record(self, caplog):
        """It says where it lies, and goes on."""
        message = SimpleNamespace(topic="photo-embeddings", partition=2, offset=7, value=b"\x00\x00\x00\x02{}")

        assert record_of(message) is None
        assert "photo-embeddings, partition 2, offset 7" in caplog.text

    def test_a_key_is_ascii_decimals(self):
        """So that every client's partitioner and every table agree."""
        assert photo_key(42) == b"42"


class TestVersions:
    """Which of two facts is newer."""

    def test_packed_versions_compare_like_versions(self):
        """Redis compares the bytes."""
        versions = [Version(1, 0, 0, 9), Version(1, 1, 0, 0), Version(2, 0, 0, 0), Version(2, 0, 1, 0)]

        assert sorted(version.pack() for version in versions) == [version.pack() for version in versions]
        assert [Version.unpack(version.pack()) for version in versions] == versions

    def test_a_clock_that_runs_ahead_is_capped(self):
        """Otherwise a photo uploaded from the future could not be deleted today."""
        assert version_of(10**15, 1000, KIND_CHANGED, 0, 0).time_ms == 1000 + CLOCK_SKEW_MS_MAX

    def test_an_event_without_time_gets_the_brokers(self):
        """The moment at which it came in."""
        assert version_of(None, 1000, KIND_CHANGED, 0, 0).time_ms == 1000
