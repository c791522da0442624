"""Shell scripts: what is known of them is what shells do, and what is not known says so."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.workloads import shell
from trustkit.workloads.names import Names
from trustkit.workloads.variables import Variables

KNOWN = {"M": "v1 v2", "N": "", "K": "k/x", "G": "*"}


def read(script, **known):
    """Every command of a script as its words; an unknown word is None."""
    script = shell.parse(script)
    names = Names(script, Variables(known={**KNOWN, **known}, places=dict.fromkeys({**KNOWN, **known}, "p")))
    return [
        [
            None if found.missing else found.text
            for word in command.words
            for found in names.fields(word, index)
        ]
        for index, command in enumerate(script.commands)
    ]


WORDS = [
    # (script, words of its last command)
    ("a 'b c' \"d e\" f\\ g", ["a", "b c", "d e", "f g"]),
    ("a $M", ["a", "v1", "v2"]),
    ('a "$M"', ["a", "v1 v2"]),
    ("a '$M'", ["a", "$M"]),
    ("a \\$M", ["a", "$M"]),
    ("a $N", ["a"]),
    ('a "$N"', ["a", ""]),
    ("a ''", ["a", ""]),
    ("a $G", ["a", None]),
    ('a "$G"', ["a", "*"]),
    ("a ${K}/y", ["a", "k/x/y"]),
    ("a ${K:-d} ${K-d} ${K:=d} ${K:?no}", ["a", None, None, None, None]),  # := sets it
    ("a ${K:-d} ${K-d} ${K:?no}", ["a", "k/x", "k/x", "k/x"]),
    ("a ${N:-d} ${N-d}", ["a", "d"]),
    ("a ${K+d} ${K:+d} ${N+d} ${N:+d}", ["a", "d", "d", "d"]),
    ('a "${N:-$M}"', ["a", "v1 v2"]),
    ("a ${Q}", ["a", None]),
    ("a ${Q:-d} ${Q-d} ${Q+d} ${Q:+d}", ["a", None, None, None, None]),
    ("a ${K%x} ${#K} ${!K} ${K:0:1} ${K/x/y} ${K[0]}", ["a"] + [None] * 6),
    ("a $1 $@ $* $# $? $$ $! $0 $-", ["a"] + [None] * 9),
    ('a "$1" "$@"', ["a", None, None]),
    ("a $(b) `b` $((1))", ["a", None, None, None]),
    ('a "$(b "c d")" e', ["a", None, "e"]),
    ("a *.x b?c [ab]", ["a", None, None, None]),
    ("a {b,c} x{1..3}", ["a", None, None]),
    ("a ~ ~/x b=~/x b~", ["a", None, None, None, "b~"]),
    ("a b#c # d", ["a", "b#c"]),
    ("a b \\\n c", ["a", "b", "c"]),
    ("a >out b 2>&1 c", ["a", "b", "c"]),
    ("a <(b) c", ["a", None, "c"]),
    ("[ -f x ]", ["[", "-f", "x", "]"]),
    ("M=z; a $M", ["a", "z"]),
    ("export M=z; a $M", ["a", "z"]),
    ("readonly M=z; a $M", ["a", "z"]),
    ('Z=$K/$M\na "$Z"', ["a", "k/x/v1 v2"]),
    ("a $M; M=z", ["M=z"]),
]


@pytest.mark.parametrize(("script", "words"), WORDS, ids=[row[0] for row in WORDS])
def test_words(script, words):
    commands = read(script)
    commands = [command for command in commands if command[:1] not in (["<"], [">"], [">&"])]
    assert commands[-1] == words


UNKNOWN = [
    "M=y; M=z; a $M",
    "a $M; M=z",
    "for M in x y; do a $M; done",
    "for i in 1 2; do a $M; M=z; done",
    "while read M; do a $M; done",
    "read -r X M; a $M",
    'read "M"; a $M',
    "read $X; a $M",
    "IFS=x; a $M",
    "if true; then M=z; fi; a $M",
    "false && M=z; a $M",
    "false ||\nM=z; a $M",
    "M=z | b; a $M",
    "b | M=z; a $M",
    "M=z & a $M",
    "(M=z); a $M",
    "{ M=z; }; a $M",
    "case x in x) M=z;; esac; a $M",
    "case x in y) b;; fi) M=z;; esac; a $M",
    "case x in (fi) M=z;; esac; a $M",
    "f() { M=z; }; f; a $M",
    "function f { M=z; }; f; a $M",
    "M=z a $M; a $M",
    "M=z >/nowhere/x; a $M",
    "M+=z; a $M",
    "M[0]=z; a $M",
    "M=(z); a $M",
    "declare M=z; a $M",
    "local M=z; a $M",
    "declare -n M=K; a $M",
    "export $(b); a $M",
    'export "M=z"; a $M',
    "export M=$(b); a $M",
    "M=`b`; a $M",
    "M=$X; a $M",
    "M=$M$1; a $M",
    "unset M; a $M",
    "printf -v M z; a $M",
    "getopts x M; a $M",
    ". file; a $M",
    "source file; a $M",
    "command . file; a $M",
    "builtin source file; a $M",
    "\\. file; a $M",
    '"eval" x; a $M',
    "eval M=z; a $M",
    "E=eval; $E M=z; a $M",
    "$X M=z; a $M",
    '"$X" M=z; a $M',
    "$N read M; a $M",
    "mapfile M; a $M",
    "readarray M; a $M",
    "let M=1; a $M",
    "trap 'M=z' EXIT; a $M",
    "alias a=b; a $M",
    "set -- x; a $1",
    ": ${M:=z}; a $M",
    ": ${M=z}; a $M",
]


@pytest.mark.parametrize("script", UNKNOWN)
def test_what_a_shell_may_have_set_is_unknown(script):
    commands = [command for command in read(script) if command[:1] == ["a"] or "a" in command[:2]]
    assert None in commands[-1], commands


def test_a_program_at_a_path_sets_nothing():
    assert read('"$X/bin/b" c; a $K')[-1] == ["a", "k/x"]
    assert read("$X/bin/b c; a $K")[-1] == ["a", None]


@pytest.mark.parametrize("name", ["PWD", "RANDOM", "_", "IFS", "REPLY", "UID"])
def test_what_the_shell_itself_keeps_is_unknown(name):
    assert read(f"a ${name}", **{name: "x"}) == [["a", None]]


@pytest.mark.parametrize("name", ["BASH_ENV", "BASH_FUNC_a%%", "SHELLOPTS"])
def test_a_variable_that_runs_code_makes_all_unknown(name):
    assert read("a $K", **{name: "x"}) == [["a", None]]


def test_assignments_together_are_kept_within_a_limit():
    doubled = "A=" + "x" * 40_000 + "\n" + "".join(f"B{n}=$A$A\nC{n}=$A\n" for n in range(20))
    assert read(doubled + "a $B0")[-1] == ["a", None]
    assert read(doubled + "a $C0")[-1] == ["a", "x" * 40_000]
    assert read(doubled + "a $C19")[-1] == ["a", None]


OPAQUE = [
    "a $'b'",
    'a $"b"',
    "a $[1]",
    "a @(b|c)",
    "a $(case x in y) b;; esac)",
    "a $(cat <<E\nE\n)",
    "a &\\\n& b",
    "a $\\\nM",
    "a ${\\\nM}",
    "a $M\\\nN",
    "a 'b",
    'a "b',
    "a $(b",
    "a ${b",
    "a `b",
    'a "${Q:-it\'s}"',
    "a " + "$(" * 40 + ")" * 40,
    "a " + "${Q-" * 40 + "}" * 40,
]


@pytest.mark.parametrize("script", OPAQUE)
def test_what_shells_read_differently_is_opaque(script):
    assert shell.parse(script).opaque


@pytest.mark.parametrize(
    "script", ["a \\\n  b", "a &&\\\n  b", "a $M \\\n b", 'a "$(b "c")" ${M:-"d"}', "cat <<E\nit's\nE\na"]
)
def test_what_every_shell_reads_alike_is_not(script):
    assert not shell.parse(script).opaque


def test_here_documents_are_no_commands_and_are_kept():
    script = shell.parse("cat <<'E' <<-F >out; a b\nit's $(x)\nE\n\tmore\n\tF\nc d\n")
    assert script.documents == ["it's $(x)", "\tmore"]
    assert read("cat <<E\nit's\nE\na b")[-1] == ["a", "b"]


def test_scripts_inside_are_kept():
    script = shell.parse('a $(b c) `d \\`e\\`` "$(f)" <(g) M=(h) ${M:-$(i)} ${M%$(j)}')
    assert script.nested == ["b c", "d `e`", "f", "g", "h", "i", "M%$(j)"]


@pytest.mark.parametrize(
    ("words", "index"),
    [
        (["sh", "-c", "x"], 2),
        (["/bin/bash", "-lc", "x", "y"], 2),
        (["bash", "-c", "-e", "x"], 3),
        (["bash", "-c", "--", "x"], 3),
        (["bash", "-euo", "pipefail", "-c", "x"], 4),
        (["bash", "-o", "pipefail", "-c", "x"], 4),
        (["bash", "--rcfile", "f", "-c", "x"], 4),
        (["env", "bash", "+x", "-c", "x"], 4),
        (["bash", "--norc", "x"], None),
        (["bash", "x", "-c", "y"], None),
        (["sh", "-c"], None),
        (["sh", "-c", "-e"], None),
        (["ls"], None),
    ],
)
def test_where_the_script_stands(words, index):
    assert shell.script_index(words) == index


PARTS = st.sampled_from(
    [
        *(
            "a",
            "$M",
            "${M}",
            "${M:-d}",
            "${N:-$K}",
            "${K:+p}",
            "${Q:-d}",
            "$K",
            '"',
            "'",
            "\\",
            "$",
            " ",
            "\n",
        ),
        *(
            "{",
            "}",
            "#",
            "~",
            "*",
            "?",
            "[",
            "]",
            "$1",
            "$@",
            ":",
            "=",
            "x=",
            "M=z",
            "M=z;",
            "M=z\n",
            ";",
            "%",
        ),
        *(
            "export M=w;",
            "M+=q;",
            "if true; then ",
            "fi;",
            "for M in q; do ",
            "done;",
            "f(){ ",
            "};",
            "(",
            ")",
        ),
        *(
            "&& ",
            "|| ",
            "false ",
            "true;",
            "case a in ",
            "a) ",
            ";;",
            "esac;",
            "read K;",
            "unset M;",
            "<<E\n",
        ),
    ]
)


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell here")
@settings(max_examples=120, deadline=None)
@given(st.lists(PARTS, max_size=9).map("".join))
def test_what_is_known_is_what_the_shell_does(tmp_path_factory, body):
    """The judge is a real shell: what it prints is one of our readings, or is unknown there."""
    script = f"{body}\nprintf '%s\\0' END $M \"$K\"\n"
    parsed = shell.parse(script)
    if parsed.opaque:
        return
    done = subprocess.run(  # a shell without programs, in an empty folder
        [shutil.which("sh"), "-c", script],
        capture_output=True,
        check=False,
        cwd=tmp_path_factory.mktemp("empty"),
        env={**KNOWN, "PATH": "/nowhere"},
        stdin=subprocess.DEVNULL,
        timeout=20,
    )
    printed = done.stdout.decode().split("\0")[:-1]
    ours = [command for command in read(script) if command[:1] in (["printf"], [None])]
    if printed[:1] == ["END"]:
        assert any(None in command or command[2:] == printed for command in ours), (printed, ours)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab$(){}[]`'\"\\<>|&;#*?~=!@-: \n\tM", max_size=80))
def test_any_text_is_survived(text):
    read(text)
