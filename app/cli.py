"""The entry point of ``fitting-room``. It imports next to nothing: Ctrl-C is answered before the commands are loaded.

The commands themselves are in `app.command_line`.
"""

from __future__ import annotations

import sys

from app.stopping import end_at_once, interrupt


def main() -> None:
    """Run the command that was typed."""
    end_at_once()  # loading the commands takes a good half second

    import io
    import signal

    from app.command_line import cli
    from training.quiet import quiet_libraries

    quiet_libraries()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Asked to end (a closed terminal, a service manager), end as with Ctrl-C: save, and take training runs along.
    signal.signal(signal.SIGTERM, interrupt)
    cli()


if __name__ == "__main__":
    main()
