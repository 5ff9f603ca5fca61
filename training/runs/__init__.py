"""Runs: a detached process that owns its folder, and those who start, watch and stop it."""
