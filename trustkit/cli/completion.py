"""Completion scripts for bash, zsh and fish, written from the parsers themselves.

The law of this file: a script knows what the parsers know and nothing else, so
that it cannot promise a flag that does not exist. All words in it are ours, and
quoted all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from trustkit.cli.dispatch import parser_of
from trustkit.cli.parser import Flag
from trustkit.cli.verbs import VERBS

GROUP = "has verbs of its own"
"""What a first word such as ``key`` is described as."""


def script_for(shell: str) -> str:
    """Return the completion script of one of the three shells."""
    scripts: dict[str, Callable[[dict[str, list[Flag]]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    return scripts[shell]({name: parser_of(name).flags for name in VERBS})


def first_words() -> dict[str, str]:
    """Return the first words of all verbs with what they are for."""
    found: dict[str, str] = {}
    for name, verb in VERBS.items():
        first, _, second = name.partition(" ")
        found[first] = GROUP if second else verb.summary
    return found


def second_words(first: str) -> dict[str, str]:
    """Return the second words of a group with what they are for."""
    return {
        name.split(" ", 1)[1]: verb.summary for name, verb in VERBS.items() if name.startswith(f"{first} ")
    }


def _groups() -> list[str]:
    return [first for first in first_words() if second_words(first)]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _joined(words: Sequence[str]) -> str:
    return _quoted(" ".join(words))


def _dashed(flags: Sequence[Flag]) -> list[str]:
    return [flag.name for flag in flags if flag.name.startswith("--")]


def _bash(verbs: dict[str, list[Flag]]) -> str:
    values, flags, places = _bash_cases(verbs)
    seconds = "".join(
        f"        {group}) words={_joined(list(second_words(group)))} ;;\n" for group in _groups()
    )
    return f"""\
# bash completion for trustkit, written by: trustkit completion bash
_trustkit() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    local verb="${{COMP_WORDS[1]}}" place=2 words="" index
    COMPREPLY=()
    case "$verb" in {"|".join(_groups())}) place=3; verb="$verb ${{COMP_WORDS[2]}}" ;; esac
    for ((index = place; index < COMP_CWORD; index++)); do
        if [[ "${{COMP_WORDS[index]}}" == -- ]]; then return 0; fi
    done
    if ((COMP_CWORD == 1)); then
        words={_joined([*first_words(), "--help", "--version"])}
    elif ((COMP_CWORD < place)); then
        case "${{COMP_WORDS[1]}}" in
{seconds}        esac
    else
        case "$verb $previous" in
{values}        esac
        if [[ -z "$words" && "$current" == -* ]]; then
            case "$verb" in
{flags}            esac
        elif [[ -z "$words" ]]; then
            case "$verb" in
{places}            esac
        fi
    fi
    if [[ -n "$words" ]]; then COMPREPLY=($(compgen -W "$words" -- "$current")); fi
}}
complete -o default -o bashdefault -F _trustkit trustkit
"""


def _bash_cases(verbs: dict[str, list[Flag]]) -> tuple[str, str, str]:
    """Write the branches for values of flags, for flags, and for words by position."""
    values, flags, places = "", "", ""
    for name, known in verbs.items():
        flags += f"            {_quoted(name)}) words={_joined(_dashed(known))} ;;\n"
        for flag in known:
            choose = f"words={_joined(flag.choices)}"
            if not flag.name.startswith("--"):
                places += f"            {_quoted(name)}) {choose} ;;\n" if flag.choices else ""
            elif flag.choices:
                values += f"        {_quoted(f'{name} {flag.name}')}) {choose} ;;\n"
            elif flag.metavar:
                values += f"        {_quoted(f'{name} {flag.name}')}) return 0 ;;\n"
    return values, flags, places


def _zsh(verbs: dict[str, list[Flag]]) -> str:
    cases = "".join(f"    {_quoted(name)})\n{_zsh_arguments(known)}" for name, known in verbs.items())
    seconds = "".join(
        f"      {group}) words_of=({_zsh_described(second_words(group))}) ;;\n" for group in _groups()
    )
    return f"""\
#compdef trustkit
# zsh completion for trustkit, written by: trustkit completion zsh
_trustkit() {{
  local -a words_of
  local verb=$words[2]
  if (( CURRENT == 2 )); then
    words_of=({_zsh_described(first_words())})
    _describe -t verbs verb words_of
    return
  fi
  if [[ $verb == ({"|".join(_groups())}) ]]; then
    if (( CURRENT == 3 )); then
      case $verb in
{seconds}      esac
      _describe -t verbs verb words_of
      return
    fi
    verb="$verb $words[3]"
    shift words
    (( CURRENT-- ))
  fi
  shift words
  (( CURRENT-- ))
  case $verb in
{cases}  esac
}}
compdef _trustkit trustkit
"""


def _zsh_described(words: dict[str, str]) -> str:
    return " ".join(_quoted(f"{word}:{text}") for word, text in words.items())


def _zsh_arguments(flags: Sequence[Flag]) -> str:
    return (
        "      _arguments -s " + " \\\n        ".join(_quoted(spec) for spec in _zsh_specs(flags)) + " ;;\n"
    )


def _zsh_specs(flags: Sequence[Flag]) -> Iterator[str]:
    for flag in flags:
        text = flag.text.replace("[", "(").replace("]", ")").replace(":", ",")
        action = f"({' '.join(flag.choices)})" if flag.choices else "_files" if flag.files else ""
        if not flag.name.startswith("--"):
            yield f":{flag.name}:{action}"
        elif flag.choices or flag.metavar:
            yield f"*{flag.name}=[{text}]:{flag.metavar or 'choice'}:{action or ' '}"
        else:
            yield f"{flag.name}[{text}]"


def _fish(verbs: dict[str, list[Flag]]) -> str:
    lines = [
        "# fish completion for trustkit, written by: trustkit completion fish",
        "complete -c trustkit -f",
    ]
    start = "complete -c trustkit -n "
    lines += [
        f"{start}__fish_use_subcommand -a {_quoted(word)} -d {_quoted(text)}"
        for word, text in first_words().items()
    ]
    for group in _groups():
        unset = " ".join(second_words(group))
        condition = _quoted(
            f"__fish_seen_subcommand_from {group}; and not __fish_seen_subcommand_from {unset}"
        )
        lines += [
            f"{start}{condition} -a {_quoted(word)} -d {_quoted(text)}"
            for word, text in second_words(group).items()
        ]
    for name, known in verbs.items():
        condition = _quoted("; and ".join(f"__fish_seen_subcommand_from {word}" for word in name.split()))
        lines += [f"{start}{condition}{_fish_flag(flag)} -d {_quoted(flag.text)}" for flag in known]
    return "\n".join(lines) + "\n"


def _fish_flag(flag: Flag) -> str:
    words = f" -a {_joined(flag.choices)}" if flag.choices else ""
    if not flag.name.startswith("--"):
        return words or " -F"
    value = " -r" if flag.choices or flag.metavar else ""
    return f" -l {flag.name[2:]}{value}{' -F' if flag.files else ''}{words}"
