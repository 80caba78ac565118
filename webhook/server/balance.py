"""Spreads the load over the workers again after one was replaced.

The API server keeps its connections as long as they serve, so a new worker would get nothing. A worker that
answers clearly more than its share closes some of its connections after an answer, and lets its siblings be
first to accept new ones.
"""

from __future__ import annotations

import math

from webhook.server.board import Board

EVERY_SECONDS = 0.25
_FRESH_SECONDS = 2.0
_CLEARLY = 1.3
_LEAST_RATE = 4.0
_SMOOTH = 0.5


class Balance:
    """Compares one worker with its siblings, a few times a second.

    Args:
        board: where all say how busy they are.
        row: the worker's own.

    Attributes:
        heavy: it answers clearly more than its share.
        to_close: so many of the next answers close their connection.
    """

    def __init__(self, board: Board, row: int) -> None:
        self._board = board
        self._row = row
        self._rate = 0.0
        self.heavy = False
        self.to_close = 0

    def turn(self, now: float, answered: int, active: int) -> None:
        """Say how busy this worker is, and look at the others.

        Args:
            now: by the monotonic clock.
            answered: requests since the last turn.
            active: connections on which they came.
        """
        self._rate += _SMOOTH * (answered / EVERY_SECONDS - self._rate)
        self._board.write(self._row, now, self._rate)
        rates = [self._rate]
        for row in range(self._board.rows):
            beaten, rate = self._board.read(row)
            if row != self._row and now - beaten < _FRESH_SECONDS:
                rates.append(rate)
        mean = sum(rates) / len(rates)
        # What comes on one connection can't be divided.
        self.heavy = active > 1 and self._rate > max(_CLEARLY * mean, _LEAST_RATE)
        # A quarter of what is too much at each turn: the others' figures follow only then.
        surplus = active * (1 - mean / self._rate) if self.heavy else 0.0
        self.to_close = math.ceil(surplus / 4)

    def closes(self) -> bool:
        """Tell whether the next answer is to close its connection."""
        if self.to_close <= 0:
            return False
        self.to_close -= 1
        return True
