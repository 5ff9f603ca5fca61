"""Blind votes, a part of the Evaluate page: start a session, vote, end it, read what it says."""

from app.pages.votes.files import add_downloads
from app.pages.votes.section import VotesSection

__all__ = ["VotesSection", "add_downloads"]
