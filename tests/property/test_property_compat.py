"""The reference's command line, read from anything: a command, a text, or one kind of refusal."""

from hypothesis import given
from hypothesis import strategies as st

from trustkit.compat.model_signing.command import Command, read
from trustkit.compat.model_signing.flags import METHODS, spellings
from trustkit.errors import UsageError

WORDS = [
    *METHODS,
    *METHODS["sign"],
    *(
        spelling
        for methods in METHODS.values()
        for flags in methods.values()
        for flag in flags or ()
        for name in (flag.name, flag.off)
        if name
        for spelling in spellings(name)
    ),
    *(
        "--",
        "-h",
        "--help",
        "--version",
        "--log-level",
        "--log-level=info",
        "info",
        "model",
        "",
        "=",
        "-",
        "\0",
    ),
]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=14))
def test_any_words_are_a_command_a_text_or_refused(words):
    try:
        found = read(words)
    except UsageError:
        return  # anything else fails the test
    assert isinstance(found, Command | str)
    if isinstance(found, Command):
        assert METHODS[found.verb][found.method] is not None
        assert str(found.given.model_path)


@given(
    st.permutations(
        [["--private_key", "k"], ["--signature=s"], ["--ignore-paths", "a"], ["--ignore_paths", "b"], ["m"]]
    )
)
def test_the_order_of_words_after_the_method_means_nothing(parts):
    command = read(["sign", "key", *(word for part in parts for word in part)])
    given_here = command.given
    assert (str(given_here.private_key), str(given_here.signature), str(given_here.model_path)) == (
        "k",
        "s",
        "m",
    )
    assert {str(path) for path in given_here.ignore_paths} == {"a", "b"}
