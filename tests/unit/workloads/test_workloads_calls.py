"""Limits of reading calls in code: more than they allow is unresolved, never passed over."""

from trustkit.workloads.extract import references


def read(code):
    container = {"name": "c", "image": "python:3", "command": ["python", "-c", code]}
    found = references({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}})
    return [model.reference for model in found.models], [place.reason for place in found.unresolved]


def test_calls_beyond_the_limit_are_unresolved():
    code = "from vllm import LLM\n" + "LLM('org/a')\n" * 64
    assert read(code) == (["org/a"], [])
    assert read(f"{code}LLM('org/b')\n")[1] == ["more than 64 calls that load models"]


def test_names_that_are_given_to_one_another_are_followed_to_a_limit():
    def chain(count):
        names = "".join(f"a{number} = a{number + 1}\n" for number in range(count))
        return f"from vllm import LLM\n{names}a{count} = 'org/a'\nLLM(a0)\n"

    assert read(chain(6)) == (["org/a"], [])
    assert read(chain(4000))[1] == ["LLM(...) loads a model, and which one is not known"]


def test_brackets_and_quotes_inside_arguments_are_no_ends_of_them():
    code = "from vllm import LLM\nLLM(tags=[f(')', 'x'), {'a': 1}], model='org/a')\n"
    assert read(code) == (["org/a"], [])


def test_arguments_that_are_too_long_are_unresolved():
    code = f"from vllm import LLM\nLLM(tags=[{'1, ' * 900}], model='org/'+'a')\n"
    assert read(code)[1] == ["LLM(...) loads a model, and which one is not known"]
