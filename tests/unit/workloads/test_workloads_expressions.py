"""Expressions of code: which texts and names stand in them, where they end, and what is exact."""

import pytest

from trustkit.workloads.expressions import LONGEST, NO_END, arguments, expression, texts_in


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("'org/name'", "org/name"),
        ('"org/name"', "org/name"),
        ("'''org/name'''", "org/name"),
        ('"""org/"name" """', 'org/"name" '),
        ("r'org\\name'", "org\\name"),
        ("U'org/name'", "org/name"),
        ("('org/name')", "org/name"),
        ("(('org/name')  # mine\n)", "org/name"),
        ('\\"org/name\\"', "org/name"),
        ("''", ""),
    ],
)
def test_one_plain_text_is_exact(source, text):
    found = texts_in(source)
    assert (found.exact, found.names) == (True, ())
    assert found.texts == ((text, True),)


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("'org/name'.strip()", [("org/name", True)]),
        ("'org/' 'name'", [("org/name", True)]),
        ("'org/' + 'na' + 'me'", [("org/name", True)]),
        ("'a/b' if 1 else 'c/d'", [("a/b", True), ("c/d", False)]),
        ("['a/b', 'c/d'][0]", [("a/b", True), ("c/d", False)]),
        ("{'k': 'a/b'}", [("k", False), ("a/b", False)]),
        ("('a/b',)", [("a/b", True)]),
        ("b'a/b'", [("a/b", True)]),
        ("f'a/b'", [("a/b", True)]),
        ("f'a/{b}'", [("a/{b}", True)]),
        ("f'{a}/b'", []),
        ("'%s/%s' % 1", []),
        ("'a\\x2fb'", [("a\\x2fb", True)]),
        ("'/'.join(1)", []),
        ("1 + '/b'", []),
        ("1 + 'a/b'", [("a/b", False)]),
        ("if'a/b'", [("a/b", True)]),
        ("(" * 9 + "'a/b'" + ")" * 9, [("a/b", True)]),
        ("('a/b'", [("a/b", True)]),
        ("", []),
    ],
)
def test_texts_of_another_expression_are_not_all_it_may_be(source, texts):
    found = texts_in(source)
    assert found.exact is False
    assert list(found.texts) == texts


def test_names_are_those_that_are_neither_called_nor_keywords():
    assert texts_in("f(a, b.c(), d if e else None, g=1) + 1 + .h").names == ("a", "b", "d", "e")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("'a', b=[1, (2, 3)], c={4: 5})", ["'a'", "b=[1, (2, 3)]", "c={4: 5}"]),
        ("'a'  # it's :)\n  , 'b')", ["'a'", "'b'"]),
        ("'a'\\\n)", ["'a'"]),
        ("'x\\\\', m='y')", ["'x\\\\'", "m='y'"]),
        ("'''a)\n'b''', c)", ["'''a)\n'b'''", "c"]),
        (")", [""]),
        ("'a', b", ["'a'", "b", NO_END]),
        ("'a', 'b", ["'a'", "", NO_END]),
        ("[" + "1, " * LONGEST, ["[" + ("1, " * LONGEST)[: LONGEST - 1].rstrip(), NO_END]),
    ],
)
def test_arguments_end_where_the_call_does(source, found):
    assert list(arguments(f"f({source}", 2)) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("'a'  # b\nc", "'a'"),
        ("('a'\n 'b')\nc", "('a'\n 'b')"),
        ("'a'; b", "'a'"),
        ("'a', b", "'a'"),
        ("'a') b", "'a'"),
        ("'a' \\\n + 'b'\n", "'a'   + 'b'"),
        ("'a", NO_END),
        ("('a'", NO_END),
        ("a + " * LONGEST, NO_END),
    ],
)
def test_an_expression_ends_with_its_line_or_what_it_stands_in(source, found):
    assert expression(f"x={source}", 2) == found
