"""Host and port in one text, as URLs and `Host` headers have them."""


def join_host_port(host: str, port: int | str) -> str:
    """("10.0.0.1", 80) -> "10.0.0.1:80", ("fd00::1", 80) -> "[fd00::1]:80"."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
