"""A typed client of a worker's API.

from stream_app.client import Client

with Client("http://127.0.0.1:6066") as sightline:
    for hit in sightline.search("boat on a lake", k=5).hits:
        print(hit.score, hit.url)
"""

from stream_app.client.client import Client
from stream_app.client.connection import RequestFailed
from stream_app.client.options import Filters, HitOptions, Options

__all__ = ["Client", "Filters", "HitOptions", "Options", "RequestFailed"]
