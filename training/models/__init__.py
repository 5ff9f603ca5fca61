"""Models: what is embedded, and the one place that loads any."""
