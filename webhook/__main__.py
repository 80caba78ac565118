"""Lets `python -m webhook` do what the command `tidewaiter` does."""

from __future__ import annotations

from webhook.cli import main

if __name__ == "__main__":
    main()
