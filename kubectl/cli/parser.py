"""Reads a command line as kubectl does, and words what is wrong with one as kubectl does.

argparse differs in what users notice: flags may stand between words (`get pod -n shop web`), switches take a value
behind "=" (`--watch=false`), and short flags run together with their values (`-owide`, `-it`).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from kubectl.cli.command import colour

CONNECTION = "connection"  # the title of the flags that every verb has


def boolean(text: str) -> bool:
    """Raises: argparse.ArgumentTypeError."""
    if text.lower() in ("true", "1", "t"):
        return True
    if text.lower() in ("false", "0", "f"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


class NotAChoice(argparse.ArgumentTypeError):
    """A value that is none of a flag's; the message says it all."""


def choice(*values: str, refusal: str) -> Callable[[str], str]:
    """The type of a flag with few values; in `refusal` "%s" stands for the given one."""

    def check(text: str) -> str:
        if text not in values:
            raise NotAChoice(refusal.replace("%s", text))
        return text

    return check


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors end the program with exit code 1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "exit_on_error": False, **options})
        self._positionals.title, self._optionals.title = "Words", "Flags"
        self.failure_code = 1
        self.overview: Callable[[], str] | None = None  # instead of the help that argparse words

    def format_help(self) -> str:
        """What it does, examples, flags; those that every verb has are left to `options`."""
        if self.overview is not None:
            return self.overview()
        formatter = self._get_formatter()
        formatter.add_text(self.description)
        formatter.add_text(self.epilog)
        for group in self._action_groups:
            if group.title != CONNECTION:
                formatter.start_section(group.title)
                formatter.add_text(group.description)
                formatter.add_arguments(group._group_actions)
                formatter.end_section()
        return formatter.format_help() + f"\n{self._words_usage()}"

    def _words_usage(self) -> str:
        places = [action for action in self._actions if not action.option_strings]
        words = [
            f"[{p.metavar} ...]" if p.nargs == "*" else f"[{p.metavar}]" if p.nargs == "?" else p.metavar
            for p in places
        ]
        line = " ".join(map(str, [self.prog, *words, "[flags]"]))
        return f"Usage:\n  {line}\n\nUse `mini-kubectl options` for the flags that every verb has.\n"

    def error(self, message: str) -> NoReturn:
        """Its own line, without the usage that argparse adds."""
        self.exit(self.failure_code, f"{colour('error:', 'red', sys.stderr)} {message}\n")

    def _unknown(self, message: str) -> NoReturn:
        self.error(f"{message}\nSee '{self.prog} --help' for usage.")

    def misused(self, message: str) -> NoReturn:
        """For words that do not fit the verb."""
        self.error(f"{message}\nSee '{self.prog} -h' for help and examples")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        try:
            return self._parse(list(args or ()), namespace)
        except argparse.ArgumentError as error:
            self.error(_wording(error, self.prog))

    def first_word(self, args: Sequence[str]) -> str:
        """The first that is neither a flag nor a flag's value; "" where there is none."""
        _, words = self._split(list(args), only_first=True)
        return words[0] if words else ""

    def _parse(self, args: list[str], namespace: Any) -> Any:
        flags, words = self._split(args, only_first=self._subparsers is not None)
        if self._subparsers is None:
            self._check(flags, words)
        elif words:
            choices: dict[str, Any] = self._verbs().choices  # type: ignore[assignment]
            if words[0] not in choices:
                if not self._verbs().required:
                    self.misused(f"Unexpected args: [{' '.join(words)}]")
                if " " not in self.prog:
                    self.error(f'unknown command "{words[0]}" for "{self.prog}"')
                self.misused(f'unknown command "{" ".join(words)}"')
        elif self._verbs().required and "--help" not in flags:
            self.print_help(sys.stderr)
            self.exit(1)
        return super().parse_known_args([*flags, *words], namespace)

    def _verbs(self) -> argparse.Action:
        return next(a for a in self._actions if isinstance(a, argparse._SubParsersAction))

    def _split(self, rest: list[str], *, only_first: bool) -> tuple[list[str], list[str]]:
        """Flags, each with its value behind "=", and words; behind the first word nothing is touched on demand."""
        flags: list[str] = []
        words: list[str] = []
        while rest:
            word = rest.pop(0)
            if word.startswith("--") and len(word) > 2:
                flags += self._long(word, rest)
            elif word.startswith("-") and len(word) > 1:
                flags += self._short(word, rest)
            elif only_first:
                return flags, [word, *rest]
            else:
                words.append(word)
        return flags, words

    def _long(self, word: str, rest: list[str]) -> list[str]:
        name, equals, value = word.partition("=")
        action = self._option_string_actions.get(name)
        if action is None:
            self._unknown(f"unknown flag: {name}")
        if not equals and action.nargs is None and not rest:
            self._unknown(f"flag needs an argument: {name}")
        return _flag(action, value if equals else None, rest)

    def _short(self, word: str, rest: list[str]) -> list[str]:
        found: list[str] = []
        letters = word[1:]
        while letters:
            action = self._option_string_actions.get("-" + letters[0])
            if action is None:
                self._unknown(f"unknown shorthand flag: '{letters[0]}' in -{letters}")
            letters = letters[1:]
            if letters.startswith("="):
                return found + _flag(action, letters[1:], rest)
            if action.nargs is None:
                if not letters and not rest:
                    self._unknown(f"flag needs an argument: '{word[-1]}' in {word}")
                return found + _flag(action, letters or None, rest)
            found += _flag(action, None, rest)
        return found

    def _check(self, flags: Sequence[str], words: Sequence[str]) -> None:
        if "--help" in flags:
            return
        given = {flag.partition("=")[0] for flag in flags}
        missing = [
            action.dest.replace("_", "-")
            for action in self._actions
            if action.required and action.option_strings and given.isdisjoint(action.option_strings)
        ]
        if missing:
            self.error("required flag(s) " + ", ".join(f'"{name}"' for name in missing) + " not set")
        places = [action for action in self._actions if not action.option_strings]
        if any(action.nargs in ("*", "?") for action in places):
            return
        if places and len(words) != len(places):
            self.misused(f"exactly one {places[0].metavar} is required, got {len(words)}")
        if words and not places:
            self.misused(f"unexpected arguments: [{' '.join(words)}]")


def _flag(action: argparse.Action, value: str | None, rest: list[str]) -> list[str]:
    """A flag as argparse cannot misread it; takes its value from `rest` where it must have one."""
    name = action.option_strings[-1]
    if isinstance(action, argparse._StoreTrueAction):
        return [name] if value is None or _true(action, value) else []
    if action.nargs == 0:
        return [name]
    if value is None:
        value = str(action.const) if action.nargs == "?" else rest.pop(0)
    return [f"{name}={value}"]


def _true(action: argparse.Action, value: str) -> bool:
    try:
        return boolean(value)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentError(action, str(error)) from error


def _wording(error: argparse.ArgumentError, program: str) -> str:
    if isinstance(error.__context__, NotAChoice):
        return error.message
    if number := re.fullmatch(r"invalid int value: '(.*)'", error.message):
        names = (error.argument_name or "").replace("/", ", ")
        why = f'strconv.ParseInt: parsing "{number[1]}": invalid syntax'
        return f'invalid argument "{number[1]}" for "{names}" flag: {why}\nSee \'{program} --help\' for usage.'
    name = (error.argument_name or "").rpartition("/")[2]
    return f'invalid argument for "{name}" flag: {error.message}'
