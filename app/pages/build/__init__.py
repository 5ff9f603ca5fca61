"""The Build page: rows out of a chat, out of documents and by hand, and the growing dataset beside them."""

from app.pages.build.page import BuildPage

__all__ = ["BuildPage"]
