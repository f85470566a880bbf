"""`completion`: prints a script that makes a shell complete command lines, by asking `mini-kubectl __complete`."""

from __future__ import annotations

import argparse

from kubectl.invocation.command import Candidates, Command, CommandContext, Cursor, UsageError

_SEE = "\nSee 'mini-kubectl completion -h' for help and examples"

# Bash cuts words at ":" and "=" as well; the answer is about whole ones, of which only the end is replaced.
BASH = r"""# bash completion for mini-kubectl
__mini_kubectl_complete() {
    local line="${COMP_LINE:0:COMP_POINT}" word answer directive last="${COMP_WORDS[COMP_CWORD]}"
    local -a words lines
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    word="${words[${#words[@]}-1]}"
    COMPREPLY=()
    mapfile -t lines < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    (( ${#lines[@]} )) || return 0
    directive="${lines[${#lines[@]}-1]#:}"
    unset "lines[${#lines[@]}-1]"
    [[ "$last" == "=" || "$last" == ":" ]] && last=""
    for answer in "${lines[@]}"; do
        COMPREPLY+=("${answer#"${word%"$last"}"}")
    done
    (( directive & 2 )) && compopt -o nospace
    (( directive & 4 )) || compopt -o default
    return 0
}
complete -F __mini_kubectl_complete mini-kubectl
"""
ZSH = r"""#compdef mini-kubectl
# zsh completion for mini-kubectl
_mini_kubectl() {
    local -a lines
    local directive
    lines=("${(@f)$(${words[1]} __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    (( ${#lines} )) || return 1
    directive=${lines[-1]#:}
    lines=("${(@)lines[1,-2]}")
    if (( ${#lines} )); then
        if (( directive & 2 )); then compadd -S '' -- "${(@)lines}"; else compadd -- "${(@)lines}"; fi
    fi
    (( directive & 4 )) || _files
}
if [[ "${funcstack[1]}" == _mini_kubectl ]]; then _mini_kubectl "$@"; else compdef _mini_kubectl mini-kubectl; fi
"""
FISH = r"""# fish completion for mini-kubectl
function __mini_kubectl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] __complete $words[2..-1] 2>/dev/null)
    test (count $lines) -gt 0; or return
    set -l directive (string sub -s 2 -- $lines[-1])
    set -e lines[-1]
    printf '%s\n' $lines
    if test (math "floor($directive / 4) % 2") -eq 0
        __fish_complete_path (commandline -ct)
    end
end
complete -c mini-kubectl -f -a '(__mini_kubectl_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shells", nargs="*", metavar="bash|zsh|fish")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if not args.shells:
        raise UsageError("Shell not specified." + _SEE)
    if len(args.shells) > 1:
        raise UsageError("Too many arguments. Expected only the shell type." + _SEE)
    if args.shells[0] not in SCRIPTS:
        raise UsageError(f'Unsupported shell type "{args.shells[0]}".{_SEE}')
    context.out.write(SCRIPTS[args.shells[0]])


def _complete(cursor: Cursor) -> Candidates:
    return Candidates(() if cursor.words else SCRIPTS)


COMMAND = Command(
    "completion",
    "Print a script with which a shell completes command lines",
    configure,
    run,
    completes=_complete,
    examples="""\
  # In this bash, and in every one to come
  source <(mini-kubectl completion bash)
  echo 'source <(mini-kubectl completion bash)' >> ~/.bashrc
  # zsh
  source <(mini-kubectl completion zsh)
  # fish
  mini-kubectl completion fish | source""",
)
