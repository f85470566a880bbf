"""Loops that a module's async tests may ask for, as the answer of its `anyio_backend` fixture."""

Backend = tuple[str, dict[str, bool]]
UVLOOP: Backend = ("asyncio", {"use_uvloop": True})
