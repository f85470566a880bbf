"""Links of pages and redirects that pass a proxy."""

from __future__ import annotations

import gzip
import zlib

import pytest

from apiserver.proxy.links import MAX_TAG_BYTES, LinkMapper, PageRewriter, page_rewriter

PREFIX = "/api/v1/namespaces/default/pods/web/proxy"
MAPPER = LinkMapper(PREFIX, "localhost:8001", frozenset({"10.244.1.2:8080", "10.244.1.2", "localhost:8001"}))
HTML = (b"content-type", b"Text/HTML; charset=utf-8")


@pytest.mark.parametrize(
    ("url", "mapped"),
    [
        ("/", f"{PREFIX}/"),
        ("/a/?b=/c#d", f"{PREFIX}/a/?b=/c#d"),
        (f"{PREFIX}/a", f"{PREFIX}/a"),
        ("http://10.244.1.2:8080/a", f"https://localhost:8001{PREFIX}/a"),
        ("//10.244.1.2/a", f"https://localhost:8001{PREFIX}/a"),
        (f"http://localhost:8001{PREFIX}/a", f"https://localhost:8001{PREFIX}/a"),
        ("http://example.com/a", "http://example.com/a"),
        ("//example.com/a", "//example.com/a"),
        ("http://10.244.1.2:8080", "http://10.244.1.2:8080"),
        ("a/b", "a/b"),
        ("../a", "../a"),
        ("?a=/b", "?a=/b"),
        ("#a", "#a"),
        ("mailto:a@b.c", "mailto:a@b.c"),
        ("http://[::1/", "http://[::1/"),
        ("", ""),
    ],
)
def test_a_url_of_the_server_behind_stays_below_the_proxy(url: str, mapped: str) -> None:
    assert MAPPER.mapped(url) == mapped


def rewritten(page: str, size: int = 1 << 20) -> str:
    """The page, given in pieces of this size."""
    rewriter, data = PageRewriter(MAPPER), page.encode()
    pieces = [piece for begin in range(0, len(data), size) for piece in rewriter.feed(data[begin : begin + size])]
    return (b"".join(pieces) + rewriter.end()).decode()


@pytest.mark.parametrize(
    "page",
    [
        '<a href="{}/">home</a>',
        "<A\n HREF = '{}/' title=\"/x\">home</A>",
        "<a href={}/a class=b>",
        '<img alt="a > b" src="{}/i.png"/>',
        '<img src="{}/i.png" alt=\'say "href=/x"\'>',
        '<form method=post action="{}/f?a=1&amp;b=%2F"><input src={}/x formaction={}/y>',
        '<link rel=icon href="{}/é">',
        '<!-- <a href="/x"> --><a href="{}/">',
        '<script>if (a < b) x = \'<a href="/x">\'</script><script src="{}/s.js"></script>',
        '<STYLE>a::after {{ content: "<a href=/x>" }}</style><a href="{}/">',
        '<p href="/x" data-href="/x">1 < 2 <3 &lt;a href="/x"&gt;</p><a href="{}/">',
        '<!doctype html><base href="{}/"><a href="relative"><a name=x><a href="">',
        'the end is missing: <a href="/x"',
        "<",
        "<!-",
        "",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_links_of_a_page(page: str, size: int) -> None:
    """Wherever the page is cut, nothing but the marked links changes."""
    braces = page.replace("{{", "{").replace("}}", "}")
    assert rewritten(braces.replace("{}", ""), size) == braces.replace("{}", PREFIX)


def test_a_tag_without_end_is_passed_on() -> None:
    page = '<a title="' + "x" * 2 * MAX_TAG_BYTES
    rewriter = PageRewriter(MAPPER)
    assert sum(map(len, rewriter.feed(page.encode()))) > MAX_TAG_BYTES
    assert rewritten(page, 1000) == page


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_compressed_page_comes_out_plain(compress: object) -> None:
    data = compress(b'<a href="/">' * 10_000)  # type: ignore[operator]
    encoding = b"gzip" if compress is gzip.compress else b"deflate"
    rewriter = page_rewriter(200, [HTML, (b"content-encoding", encoding)], MAPPER)
    assert rewriter is not None
    pieces = [piece for begin in range(0, len(data), 100) for piece in rewriter.feed(data[begin : begin + 100])]
    assert b"".join(pieces) == f'<a href="{PREFIX}/">'.encode() * 10_000
    with pytest.raises(ConnectionError):
        list(page_rewriter(200, [HTML, (b"content-encoding", encoding)], MAPPER).feed(b"plain"))  # type: ignore[union-attr]


def test_only_whole_pages_that_can_be_read_are_rewritten() -> None:
    assert page_rewriter(404, [HTML], MAPPER) is not None
    assert page_rewriter(206, [HTML], MAPPER) is None
    assert page_rewriter(200, [(b"content-type", b"text/plain")], MAPPER) is None
    assert page_rewriter(200, [], MAPPER) is None
    assert page_rewriter(200, [HTML, (b"content-encoding", b"br")], MAPPER) is None
