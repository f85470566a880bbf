"""Performs recorded requests against a server, and compares its answers with the recorded ones."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Iterator
from typing import Any

from tests.golden.normal import (
    generated_names,
    normal,
    normal_warnings,
    without_generated_suffix,
    without_order,
    without_repeated_bookmarks,
)
from tests.kits.eventually import eventually

QUOTES_GO = re.compile(
    r"json: cannot unmarshal|json parse error|strconv\.|parsing time|unknown conversion|in scheme |illegal base64"
    r"|invalid character '|\{\"[A-Z]\w*\":|^@@ -",
    re.MULTILINE,
)
"""Finds messages that tell of the original's own types and libraries: they need not be equal."""

Case = dict[str, Any]
"""One request and its answer; README.md names the members."""


class Replay:
    """Performs the cases of one file, in order, on one server. `tokens` maps users to their bearer tokens.

    Speaks through `http.client`, which sends malformed paths and headers as they are.
    """

    def __init__(self, port: int, tokens: dict[str, str]) -> None:
        context = ssl._create_unverified_context()
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=90, context=context)
        self._tokens = tokens
        self._saved: dict[str, Any] = {}
        self._generated: dict[str, str] = {}

    def perform(self, case: Case, *, patient: bool) -> dict[str, Any]:
        """Returns the normal form of the answer: {"code", "response", "warnings"?}.

        A patient replay waits where the case says that the server needs a moment.
        """
        if patient and "wait" in case:
            time.sleep(case["wait"])  # the time is the input: a token's or a lease's age
        if patient and "until" in case:
            self._wait_until(case)
        path = filled(case["path"], self._saved)
        code, warnings, text = self._send(case, path)
        parsed = _parse(text, is_watch=code == 200 and _is_watch(path))
        for name, where in (case.get("save") or {}).items():
            self._saved[name] = dig(parsed, where)
        answer = {"code": code, "response": self._normal(case, code, parsed)}
        return {**answer, "warnings": normal_warnings(warnings)} if warnings else answer

    def _wait_until(self, case: Case) -> None:
        """Repeats the request (a write: as a dry run) until it answers as the case says; gives up after 15 s."""
        path, until = filled(case["path"], self._saved), case["until"]
        if case["method"] != "GET":
            path += ("&" if "?" in path else "?") + "dryRun=All"

        def answers_so() -> bool:
            code, _, text = self._send(case, path)
            return code == until.get("code", code) and until.get("text", "") in text

        with contextlib.suppress(AssertionError):  # the comparison of the answer itself says what is wrong
            eventually(answers_so, seconds=15)

    def _send(self, case: Case, path: str) -> tuple[int, list[str], str]:
        """Returns (code, Warning headers, body). Connects anew where the server has closed the connection."""
        headers = {"Accept": case.get("accept") or "application/json", "User-Agent": "golden/1"}
        user = case.get("user", "admin")
        if user:
            headers["Authorization"] = f"Bearer {self._tokens[user]}"
        content = None
        if "body" in case or "text" in case:
            sent = filled(case.get("body", case.get("text")), self._saved)
            content = json.dumps(sent) if "body" in case else sent
            headers["Content-Type"] = case.get("contentType") or "application/json"
        headers.update(filled(case.get("headers") or {}, self._saved))
        self._connection.request(case["method"], path, headers=headers, body=content and content.encode())
        answer = self._connection.getresponse()
        return answer.status, answer.headers.get_all("Warning", []), answer.read().decode("utf-8", "replace")

    def _normal(self, case: Case, code: int, parsed: Any) -> Any:
        parsed = _recorded_part(case, code, parsed)
        self._generated.update(generated_names(parsed))
        response = normal(parsed, self._generated)
        if case.get("anyOrder") and isinstance(response, dict):
            response = without_order(response)
        prefix = dig(case.get("body"), "metadata.generateName")
        if isinstance(prefix, str) and prefix not in ("", "x-"):
            response = without_generated_suffix(response, prefix)
        if isinstance(response, list) and "watch" in case["path"]:
            response = without_repeated_bookmarks(response)
        return response


def filled(value: Any, saved: dict[str, Any]) -> Any:
    """Replaces `${name}` by what an earlier case saved under that name."""
    if isinstance(value, str):
        whole = re.fullmatch(r"\$\{(\w+)\}", value)
        if whole and whole.group(1) in saved:
            return saved[whole.group(1)]
        return re.sub(r"\$\{(\w+)\}", lambda match: str(saved.get(match.group(1), match.group(0))), value)
    if isinstance(value, dict):
        return {key: filled(member, saved) for key, member in value.items()}
    if isinstance(value, list):
        return [filled(item, saved) for item in value]
    return value


def _is_watch(path: str) -> bool:
    return re.search(r"[?&]watch=|/watch/", path) is not None


def _parse(text: str, *, is_watch: bool) -> Any:
    """Returns JSON, the list of a watch's events, {"text": …} of anything else, or None of an empty body."""
    try:
        parsed = json.loads(text) if text else None
    except ValueError:
        try:
            parsed = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            parsed = {"text": text}
    if is_watch and parsed is None:
        return []
    if is_watch and isinstance(parsed, dict) and set(parsed) == {"type", "object"}:
        return [parsed]
    return parsed


def _recorded_part(case: Case, code: int, parsed: Any) -> Any:
    """Returns the part of an answer that the case records."""
    if "keysOf" in case and isinstance(parsed, dict):
        parsed = sorted(dig(parsed, case["keysOf"]) or {})
    if "listOf" in case and isinstance(parsed, dict):
        parsed = [[dig(item, where) for where in case["listOf"]] for item in parsed.get("items") or []]
    if "only" in case and isinstance(parsed, (dict, list)) and code < 400:
        parsed = {where: dig(parsed, where) for where in case["only"]}
    if "without" in case and isinstance(parsed, dict) and "items" in parsed:
        left_out = case["without"]
        parsed["items"] = [
            item for item in parsed["items"] if not any(text in item["metadata"]["name"] for text in left_out)
        ]
    for where in case.get("sort") or ():
        items = dig(parsed, where)
        if isinstance(items, list):
            items.sort(key=lambda item: json.dumps(item, sort_keys=True))
    return parsed


def dig(value: Any, path: str) -> Any:
    """Returns the member at a path such as "items.0.metadata.name"; None where there is none."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def differences(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Yields a line for each place where they differ: ".response.spec.replicas: expected 1, not 2"."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in sorted(expected.keys() | actual.keys()):
            if key not in actual:
                yield f"{path}.{key}: misses {_short(expected[key])}"
            elif key not in expected:
                yield f"{path}.{key}: {_short(actual[key])} is too much"
            else:
                yield from differences(expected[key], actual[key], f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif expected != actual or type(expected) is not type(actual):
        if path.endswith(".message") and isinstance(expected, str) and QUOTES_GO.search(expected) and actual:
            return
        yield f"{path}: expected {_short(expected)}, not {_short(actual)}"


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 400 else f"{text[:399]}…"
