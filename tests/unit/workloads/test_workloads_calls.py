"""Limits of reading calls in code: more than they allow is unresolved, never passed over."""

import pytest

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


TRUST = "trust://store.ml:8443/acme/tiny/1@sha256:" + "a" * 64
UNREAD = "loads a model, and which one is not known"


def beside_ours(code):
    """What a container loads beside a model of ours in a variable, and what of it is not known."""
    container = {
        "name": "c",
        "image": "python:3",
        "command": ["python", "-c", code],
        "env": [{"name": "MODEL_ID", "value": TRUST}],
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    }
    found = references({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}})
    models = [model.reference for model in found.models if model.reference != TRUST]
    return models, [place.reason for place in found.unresolved]


@pytest.mark.parametrize(
    "call",
    [
        *("whisper.load_model(name='org/a', device='cpu')", "a.load_model(device='cpu', name='org/a')"),
        *("A.from_pretrained(path='org/a', torch_dtype='auto')", "A.from_pretrained(foo='org/a', x=1)"),
        *("A.from_pretrained(name_or_path='org/a', token='x')", "A.from_pretrained(checkpoint='org/a', x=1)"),
        *(
            "CrossEncoder(model_name_or_id='org/a', max_length=5)",
            "snapshot_download(repo='org/a', revision='x')",
        ),
        *(
            "A.from_pretrained(None, 'org/a')",
            "A . from_pretrained (\n'org/a')",
            "A.from_pretrained(r'org/a')",
        ),
        *(
            "(A.from_pretrained)('org/a')",
            "A.__dict__['from_pretrained']('org/a')",
            "LLM(seed=1, model='org/a')",
        ),
        *("pipeline('text-generation', 'org/a')", "pipeline('text-generation', model='org/a')"),
        *("torch.hub.load('org/a', x)", "WhisperModel(model_size_or_path='org/a', device='cuda')"),
        *("AsyncEngineArgs(model='org/a', seed=1)", "load_model(name='org/a', label='hf')"),
    ],
)
def test_a_model_is_found_under_any_keyword_and_place(call):
    assert beside_ours(f"import transformers\n{call}\n") == (["org/a"], [])


@pytest.mark.parametrize(
    "call", ["torch.load(f='/a', weights_only=True)", "joblib.load(filename='/a', mmap_mode='r')"]
)
def test_a_folder_is_found_under_any_keyword_where_no_other_names_a_model(call):
    assert beside_ours(f"import a\n{call}\n") == (["/a"], [])


@pytest.mark.parametrize(
    "call",
    [
        *(
            "'org/a'.strip()",
            "'org/' + 'a'",
            "'org/' 'a'",
            "b'org/a'",
            "f'org/a'",
            "str('org/a')",
            "m.strip()",
        ),
        *("*['org/a']", "**{'name': 'org/a'}", "**dict(name='org/a')", "m := 'org/a'", "x or 'org/a'"),
    ],
)
def test_a_text_in_an_expression_is_noted_and_is_not_all(call):
    models, reasons = beside_ours(f"import a\nm = 'org/a'\nA.from_pretrained({call})\n")
    assert (models, len(reasons)) == (["org/a"], 1)
    assert reasons[0].endswith(UNREAD)


@pytest.mark.parametrize(
    "code",
    [
        *("for m in read():\n  LLM(m)", "m, n = read()\nLLM(m)", "(n, m) = read()\nLLM(m)"),
        *("with read() as m:\n  LLM(m)", "from b import m\nLLM(m)", "m += read()\nLLM(m)"),
        *("def f(m):\n  LLM(m)", "f = lambda m: LLM(m)", "def f(n, *m):\n  LLM(m)"),
        *("globals()['m'] = read()\nLLM(m)", "exec(read())\nLLM(m)"),
    ],
)
def test_a_name_that_is_given_something_in_another_way_is_not_known(code):
    models, reasons = beside_ours(f"import a\nm = 'org/a'\n{code}\n")
    assert models == ["org/a"]
    assert reasons == [f"LLM(...) {UNREAD}"]


@pytest.mark.parametrize(
    "call",
    [
        *("a.load_model(device=device())", "a.load_model(verbose=1)", "a.load_model()", "a.load_model(None)"),
        *("a.load_model(revision='main', device='cpu')", "a.load_model('none')", "pipeline('summarization')"),
        *("pipeline(task(), device=0)", "make_pipeline('org/a', x)"),
    ],
)
def test_what_says_only_how_it_is_loaded_names_no_model(call):
    assert beside_ours(f"import a\n{call}\n") == ([], [])


def test_settings_beside_a_model_are_none():
    settings = "max_model_len=n, download_dir='/m', log_dir='/l', api_url='http://h:1/v1', x=y"
    assert beside_ours(f"import a\nLLM('org/a', {settings})\n") == (["org/a"], [])
    assert beside_ours("import a\nc = read('a/b')\nLLM(c.model, c['x'])\n")[0] == []
    assert beside_ours("import a\nLLM('org/a', offload_to='/m')\n")[0] == ["org/a", "/m"]
    assert beside_ours("import a\nLLM('org/a', draft_model_name=chosen())\n") == (
        ["org/a"],
        [f"LLM(...) {UNREAD}"],
    )


def test_what_a_text_says_beyond_the_limit_of_what_is_read_is_not_known():
    given = "".join(f"m = ('org/a', {'1, ' * 150})\n" for _ in range(80))
    assert beside_ours(f"import a\n{given}LLM(m)\n")[1] == [f"LLM(...) {UNREAD}"]
    many = f"LLM('org/a', [{'1, ' * 400}])\n" * 40
    models, reasons = beside_ours(f"import a\n{many}")
    assert (models, reasons) == (["org/a"], [f"LLM(...) {UNREAD}"])
