"""The web server's room: HTTP answers about the album, the page, and the doors in front of both."""

from stream_app.web.server import application_options, attach_web

__all__ = ["application_options", "attach_web"]
