"""Shuffle sharding: a flow gets a hand of queues, so that two flows hardly ever share all of theirs. Pure."""

from __future__ import annotations

from hashlib import blake2b


def hash_flow(schema: str, distinguisher: str) -> int:
    """Returns 64 bits that stand for a flow."""
    return int.from_bytes(blake2b(f"{schema}\0{distinguisher}".encode(), digest_size=8).digest())


def deal(flow: int, deck: int, hand: int) -> tuple[int, ...]:
    """Returns `hand` different numbers below `deck`, always the same for a flow."""
    cards: list[int] = []
    for dealt in range(hand):
        flow, card = divmod(flow, deck - dealt)
        for lower in sorted(cards):  # the card-th of those that are left
            if card >= lower:
                card += 1
        cards.append(card)
    return tuple(cards)
