"""What pages are made of: escaped HTML, cards, tables, charts, and the wiring of callbacks."""
