"""Where a document is at fault: a line and a column, counted from 1, or neither."""

import pytest
import yaml

from trustkit.verifying.strictyaml import Fault, fault_in


def fault_of(raw):
    try:
        yaml.safe_load(raw.decode("utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        return fault_in(raw, error)
    raise AssertionError("it is sound")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"), "a lone surrogate is no text"),
        (ValueError("of the library"), "a number in it is too large or too long"),
        (yaml.MarkedYAMLError(problem="of the library"), "a number in it is too large or too long"),
        (yaml.YAMLError(), "a number in it is too large or too long"),
        (yaml.reader.ReaderError("x", 1, 0, "x", "x"), "it has a character that YAML does not allow"),
    ],
)
def test_what_has_no_place(error, why):
    assert fault_in(b"a: b", error) == Fault(0, 0, why)


def test_what_has_one():
    assert fault_of(b"a: b\nc: \xff") == Fault(2, 4, "it is not UTF-8")
    assert fault_of(b"a: b\nc: x\x00") == Fault(2, 5, "it has a character that YAML does not allow")
    found = fault_of(b"a: b\n c: d")
    assert (found.line, found.column) == (2, 3)
