"""What stands in the file that an editor opens."""

from __future__ import annotations

from kubectl.changes.editing import INTRO, content, header


def test_the_comment_above_an_edited_object_says_why_it_is_open_again() -> None:
    text = header(['pods "a" was not valid:', "* spec: wrong\ntwice", ""], "yaml")
    assert text.removeprefix(INTRO) == '# pods "a" was not valid:\n# * spec: wrong\n# twice\n#\n'
    assert content(text + "kind: Pod\n") == "kind: Pod\n"
    assert header(["why"], "json") == ""
