"""The browser app and the command line: layout and wiring only. The work is done by the packages below it."""
