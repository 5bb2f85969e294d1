"""TF Serving's predict API over HTTP: JSON, with the photos in base64."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence

import aiohttp
import orjson

from models.serving_protocol import (
    ANSWER_BYTES_MAX,
    INPUT,
    AnswerWrong,
    Outputs,
    RequestRefused,
    ServerAway,
    ServerUnfit,
    ServingAddress,
)

# TF Serving says 409 for ABORTED, 429 for RESOURCE_EXHAUSTED, 499 for CANCELLED; proxies have 408, 502 and 504.
AWAY = frozenset({408, 409, 425, 429, 499, 500, 502, 503, 504})
REFUSED = frozenset({400, 413, 422})


class RestTransport:
    """A session that is made with the first request, and keeps its connections."""

    def __init__(self, address: ServingAddress) -> None:
        scheme = "https" if address.secure else "http"
        self._url = f"{scheme}://{address.host_and_port}/v1/models/{address.model}:predict"
        self._session: aiohttp.ClientSession | None = None

    async def predict(self, photos: Sequence[bytes], timeout_seconds: float) -> Outputs:
        """The outputs of the default signature; raises what models.serving_protocol lists."""
        body = await asyncio.to_thread(_request, photos)  # megabytes of base64: not on the event loop
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        headers = {"Content-Type": "application/json"}
        try:
            async with self._connected().post(
                self._url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                answer = await _read(response)
        except TimeoutError as error:
            raise ServerAway(f"no answer within {timeout_seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ServerAway(f"{type(error).__name__}: {error}"[:300]) from error
        if response.status != 200:
            raise _failure(response.status, answer)
        return await asyncio.to_thread(_outputs, answer)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:  # here and not in __init__: a session belongs to the loop it was made in
            self._session = aiohttp.ClientSession()
        return self._session


def _request(photos: Sequence[bytes]) -> bytes:
    """The columnar form: the names of the outputs come once, not once a photo."""
    encoded = b",".join(b'{"b64":"%b"}' % base64.b64encode(photo) for photo in photos)
    return b'{"signature_name":"serving_default","inputs":{"%b":[%b]}}' % (INPUT.encode(), encoded)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, so long as it is not longer than an answer can be."""
    parts: list[bytes] = []
    length = 0
    async for part in response.content.iter_any():
        length += len(part)
        if length > ANSWER_BYTES_MAX:
            raise AnswerWrong(f"an answer of more than {ANSWER_BYTES_MAX:,} bytes")
        parts.append(part)
    return b"".join(parts)


def _failure(status: int, body: bytes) -> Exception:
    text = f"HTTP {status}: {_error_text(body)}"[:300]
    if status in REFUSED:
        return RequestRefused(text)
    return ServerAway(text) if status in AWAY else ServerUnfit(text)


def _error_text(body: bytes) -> str:
    """What TF Serving writes as {"error": "..."}; a proxy writes what it likes."""
    try:
        return str(orjson.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


def _outputs(body: bytes) -> Outputs:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = _with_nan(body)
    outputs = answer.get("outputs") if isinstance(answer, dict) else None
    if not isinstance(outputs, dict):
        raise AnswerWrong("an answer that is no JSON object with `outputs`")
    return outputs


def _with_nan(body: bytes) -> object:
    """TF Serving writes NaN and Infinity as they are, which JSON proper, and so orjson, does not know."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AnswerWrong(f"an answer that is no JSON: {error}"[:200]) from error
