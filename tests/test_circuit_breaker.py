"""When nobody is asked any more, and who is the first to ask again."""

from __future__ import annotations

import asyncio

import pytest

from models.circuit_breaker import CircuitBreaker, CircuitOpen


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    """It opens at the third failure in a row, for ten seconds."""
    return CircuitBreaker((OSError,), failures_max=3, open_seconds=10.0, clock=clock)


def fail(breaker: CircuitBreaker, error: type[Exception] = OSError, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(error), breaker.attempt():
            raise error


def succeed(breaker: CircuitBreaker) -> None:
    with breaker.attempt():
        pass


def test_it_opens_after_so_many_failures_in_a_row(breaker: CircuitBreaker) -> None:
    fail(breaker, times=3)

    fail(breaker, CircuitOpen)


def test_an_answer_in_between_begins_the_count_anew(breaker: CircuitBreaker) -> None:
    fail(breaker, times=2)
    succeed(breaker)
    fail(breaker, times=2)

    succeed(breaker)


def test_an_error_that_is_not_counted_is_an_answer(breaker: CircuitBreaker) -> None:
    """A server that refuses a request is there."""
    fail(breaker, times=2)
    fail(breaker, ValueError)
    fail(breaker, times=2)

    assert not breaker.is_open


def test_after_the_pause_one_trial_is_let_through_and_nobody_beside_it(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, times=3)
    clock.now += 10.0

    with breaker.attempt():
        fail(breaker, CircuitOpen)
    succeed(breaker)


def test_a_trial_that_fails_opens_it_for_another_pause(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, times=3)
    clock.now += 10.0
    fail(breaker)
    clock.now += 9.0
    fail(breaker, CircuitOpen)
    clock.now += 1.0

    succeed(breaker)
    assert not breaker.is_open


async def test_a_trial_that_is_cancelled_leaves_room_for_the_next(breaker: CircuitBreaker, clock: Clock) -> None:
    """Otherwise one cancelled request would keep the circuit open for ever."""
    fail(breaker, times=3)
    clock.now += 10.0

    async def trial() -> None:
        with breaker.attempt():
            await asyncio.sleep(60)

    task = asyncio.create_task(trial())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert breaker.is_open

    succeed(breaker)


def test_changes_are_told_once_each(clock: Clock) -> None:
    told: list[bool] = []
    breaker = CircuitBreaker((OSError,), failures_max=1, open_seconds=10.0, changed=told.append, clock=clock)
    succeed(breaker)
    fail(breaker)
    clock.now += 10.0
    fail(breaker)
    clock.now += 10.0
    succeed(breaker)
    succeed(breaker)

    assert told == [True, False]
