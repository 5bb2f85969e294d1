"""The errors of the house: what a person is told survives every way that it travels."""

from __future__ import annotations

import inspect
import pickle

import pytest

from stream_app import errors
from stream_app.errors import SightlineError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SightlineError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_way_between_processes(kind: type[SightlineError]):
    error = kind("It does not fit", expected="a key", received="a coin", remedy="Look below the mat.")

    back = pickle.loads(pickle.dumps(error))

    assert type(back) is kind
    assert str(back) == str(error) == "It does not fit; expected a key; received a coin. Look below the mat."
