"""Reads a command line as kubectl does, and words its mistakes as kubectl does.

argparse differs in what users notice: flags may stand between words (`get pod -n shop web`), switches take a value
behind "=" (`--watch=false`), and short flags run together with their values (`-owide`, `-it`).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TextIO

WORDS, FLAGS = "Words", "Flags"  # sections of a verb's help
CONNECTION = "Connection"  # the section of the flags that every verb has; only `options` shows it


_COLOURS = {"red": "31", "green": "32", "yellow": "33"}


def colour(text: str, name: str, stream: TextIO) -> str:
    """Colours `text` where `stream` is a terminal."""
    return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m" if stream.isatty() else text


def boolean(text: str) -> bool:
    """Reads true or false. Raises: argparse.ArgumentTypeError."""
    if text.lower() in ("true", "1", "t"):
        return True
    if text.lower() in ("false", "0", "f"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


class NotAChoice(argparse.ArgumentTypeError):
    """The flag does not take this value; the message is complete."""


def choice(*values: str, refusal: str) -> Callable[[str], str]:
    """The type of a flag that takes few values; in `refusal` "%s" stands for the refused one."""

    def check(text: str) -> str:
        if text not in values:
            raise NotAChoice(refusal.replace("%s", text))
        return text

    return check


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors end the program with `failure_code`."""

    def __init__(self, **options: Any) -> None:
        self.sections: dict[str, list[argparse.Action]] = {WORDS: [], FLAGS: []}  # title -> its arguments
        self.flags: dict[str, argparse.Action] = {}  # by each of its names
        self.verbs: dict[str, Parser] | None = None  # the sub-verbs by name, where there are any
        self.verb_required = False
        self.failure_code = 1
        self.overview: Callable[[], str] | None = None  # instead of the help that argparse words
        super().__init__(**{"allow_abbrev": False, "exit_on_error": False, **options})

    @property
    def words(self) -> list[argparse.Action]:
        """The arguments that are not flags."""
        return [action for action in self.sections[WORDS] if self.verbs is None or action.choices is not self.verbs]

    def add_argument(self, *names: Any, section: str = "", **options: Any) -> argparse.Action:
        """Adds an argument; `section` is the heading in the help, if not that of all flags."""
        action = super().add_argument(*names, **options)
        default = FLAGS if action.option_strings else WORDS
        self.sections.setdefault(section or default, []).append(action)
        self.flags.update(dict.fromkeys(action.option_strings, action))
        return action

    def add_subparsers(self, **options: Any) -> Any:
        verbs = super().add_subparsers(**options)
        self.verbs, self.verb_required = verbs.choices, bool(options.get("required"))
        self.sections[WORDS].append(verbs)
        return verbs

    def format_help(self) -> str:
        """The description, examples and flags; those that every verb has are left to `options`."""
        if self.overview is not None:
            return self.overview()
        formatter = self.formatter_class(prog=self.prog)
        formatter.add_text(self.description)
        formatter.add_text(self.epilog)
        for title, actions in self.sections.items():
            if title != CONNECTION:
                formatter.start_section(title)
                formatter.add_arguments(actions)
                formatter.end_section()
        return formatter.format_help() + f"\n{self._words_usage()}"

    def _words_usage(self) -> str:
        forms = {"*": "[{} ...]", "?": "[{}]"}
        words = [
            forms.get(str(word.nargs), "{}").format(word.metavar)
            for word in self.words
            if word.help != argparse.SUPPRESS
        ]
        line = " ".join([self.prog, *words, "[flags]"])
        return f"Usage:\n  {line}\n\nUse `mini-kubectl options` for the flags that every verb has.\n"

    def error(self, message: str) -> NoReturn:
        """Prints its own line, without the usage that argparse adds."""
        self.exit(self.failure_code, f"{colour('error:', 'red', sys.stderr)} {message}\n")

    def _unknown(self, message: str) -> NoReturn:
        self.error(f"{message}\nSee '{self.prog} --help' for usage.")

    def misused(self, message: str) -> NoReturn:
        """Ends the program because the words do not fit the verb."""
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
        flags, words = self._split(args, only_first=self.verbs is not None)
        if self.verbs is None:
            self._check(flags, words)
        elif words:
            if words[0] not in self.verbs:
                if not self.verb_required:
                    self.misused(f"Unexpected args: [{' '.join(words)}]")
                if " " not in self.prog:
                    self.error(f'unknown command "{words[0]}" for "{self.prog}"')
                self.misused(f'unknown command "{" ".join(words)}"')
        elif self.verb_required and "--help" not in flags:
            self.print_help(sys.stderr)
            self.exit(1)
        return super().parse_known_args([*flags, *words], namespace)

    def _split(self, rest: list[str], *, only_first: bool) -> tuple[list[str], list[str]]:
        """Flags, each with its value behind "=", and words; `only_first` keeps all behind the first word as it is."""
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
        action = self.flags.get(name)
        if action is None:
            self._unknown(f"unknown flag: {name}")
        if not equals and action.nargs is None and not rest:
            self._unknown(f"flag needs an argument: {name}")
        return _flag(action, value if equals else None, rest)

    def _short(self, word: str, rest: list[str]) -> list[str]:
        flags: list[str] = []
        letters = word[1:]
        while letters:
            action = self.flags.get("-" + letters[0])
            if action is None:
                self._unknown(f"unknown shorthand flag: '{letters[0]}' in -{letters}")
            letters = letters[1:]
            if letters.startswith("="):
                return flags + _flag(action, letters[1:], rest)
            if action.nargs is None:
                if not letters and not rest:
                    self._unknown(f"flag needs an argument: '{word[-1]}' in {word}")
                return flags + _flag(action, letters or None, rest)
            flags += _flag(action, None, rest)
        return flags

    def _check(self, flags: Sequence[str], words: Sequence[str]) -> None:
        if "--help" in flags:
            return
        names = {flag.partition("=")[0] for flag in flags}
        required = [action for action in self.flags.values() if action.required]
        missing = [action.dest.replace("_", "-") for action in required if names.isdisjoint(action.option_strings)]
        if missing:
            self.error("required flag(s) " + ", ".join(f'"{name}"' for name in dict.fromkeys(missing)) + " not set")
        if any(action.nargs in ("*", "?") for action in self.words):
            return
        if self.words and len(words) != len(self.words):
            self.misused(f"exactly one {self.words[0].metavar} is required, got {len(words)}")
        if words and not self.words:
            self.misused(f"unexpected arguments: [{' '.join(words)}]")


def is_switch(action: argparse.Action) -> bool:
    """True of a flag that argparse takes no value for."""
    return action.nargs == 0


def _flag(action: argparse.Action, value: str | None, rest: list[str]) -> list[str]:
    """Writes a flag so that argparse cannot misread it; takes its value from `rest` where it must have one."""
    name = action.option_strings[-1]
    if is_switch(action):
        return [name] if value is None or action.const is not True or _true(action, value) else []
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
