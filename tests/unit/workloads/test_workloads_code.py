"""Code that containers run: names given in every way, calls under every name, programs that it starts."""

import pytest

from trustkit.workloads.bindings import bindings_of
from trustkit.workloads.expressions import called_in, tokens_of, told_in
from trustkit.workloads.extract import references
from trustkit.workloads.notes import Notes
from trustkit.workloads.once import Once
from trustkit.workloads.table import default_table

TRUST = "trust://store.ml:8443/acme/tiny/1@sha256:" + "a" * 64
UNREAD = "loads a model, and which one is not known"
HANDED = "loads models and is handed on, and what it loads is not known"


def subject(code):
    container = {
        "name": "c",
        "image": "python:3",
        "command": ["python", "-c", code],
        "env": [{"name": "MODEL_ID", "value": TRUST}],
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    }
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}


def beside_ours(code):
    """What a container loads beside a model of ours, and why something of it is not known."""
    found = references(subject(code))
    models = [model.reference for model in found.models if model.reference != TRUST]
    return models, [place.reason for place in found.unresolved]


def names_of(code):
    return bindings_of(tokens_of(code, Notes(default_table(), check=lambda: None).find), lambda: None)


@pytest.mark.parametrize(
    "code",
    [
        *("for(m)in[read()]:LLM(m)", "m,=read()\nLLM(m)", "[m]=read()\nLLM(m)", "(m)=read()\nLLM(m)"),
        *(
            "*m,=read()\nLLM(m)",
            "if 1: m,a=read()\nLLM(m)",
            "z=(a,m)=read()\nLLM(m)",
            "a.b, m = read()\nLLM(m)",
        ),
        *("match read():\n case m: LLM(m)", "match read():\n case {'a': [m, *_]}: LLM(m)"),
        *("def f(x: int, m): LLM(m)", "async def f(x,\n  m=1): LLM(m)", "def f[m](x): LLM(m)"),
        *("from x import *\nLLM(m)", "from x import (a,\n m)\nLLM(m)", "import m.a\nLLM(m)"),
        *("with read() as[m]: LLM(m)", "with a() as b, read() as (c, m): LLM(m)", "type m = X\nLLM(m)"),
        *("g=lambda*m:LLM(m)", "g=lambda x=(1,), m=2:LLM(m)", "[LLM(m)if 1else 0for m in read()]"),
        *("[LLM(m) for a in b for\tm in read()]", "try: f()\nexcept E as m: LLM(m)", "del m\nLLM(m)"),
        *("import __main__;__main__.m=read()\nLLM(m)", "sys.modules['a'].m=read()\nLLM(m)"),
        *("(m := read())\nLLM(m)", "LLM((m := read()))", "class m: pass\nLLM(m)", "m += read()\nLLM(m)"),
        *(
            "a.m = read()\nLLM(m)",
            "e = exec\nLLM(m)",
            "f.__globals__['m'] = 1\nLLM(m)",
            "(...if m else m)\nLLM(m)",
        ),
        *(
            "f'{(m:=read())}'\nLLM(m)",
            "f\"{'\"'}\"; m=read() #'\nLLM(m)",
            'f"{\'}"\'}"; m=read() #"\'\nLLM(m)',
        ),
        *(
            "x = ')'\n)\nLLM(m)",
            "x = [\nLLM(m)",
            "x = [1)\nLLM(m)",
            "x = [lambda]\nx = [;]\nm += 1\nLLM(m)",
            "x = '\nLLM(m)",
        ),
        *("m = n = read()\nLLM(m)", "m: str = read()\nLLM(m)", "m = read() == 1\nLLM(m)"),
    ],
)
def test_a_name_that_is_given_something_in_any_other_way_is_not_known(code):
    models, reasons = beside_ours(f"import vllm\nm = '/a'\n{code}\n")
    assert "/a" in models
    assert reasons
    assert all(UNREAD in reason for reason in reasons)


@pytest.mark.parametrize(
    "code",
    [
        *(
            "LLM(m)",
            "if m == 'x': pass\nLLM(m)",
            "print(m, f'{m}', f'{{x}} {m!r:>5}')\nLLM(model=m)",
            "LLM(m)  # m += 1",
        ),
        *(
            "x = m\nLLM(x)",
            "x: str = m\nLLM(x)",
            "if a: m = '/a'\nelse: m = '/a'\nLLM(m)",
            "self.m = m\nLLM(m)",
        ),
        *("a[m] = {m: 1}\nLLM(m)", "x = f(m=1)\nLLM(m)", "model.eval()\nLLM(m)", "for x in [m]: LLM(m)"),
        *("def f(x=m):\n  return LLM(m)", "x = lambda y: y if m else 1\nLLM(m)", "x = a <= m\nLLM(m)"),
        *("x = 0x1f + 1e5 + 10_000 + 1.5j\nLLM(m)", "with a(m) as b: LLM(m)", "y = x[m:1]\nLLM(m)"),
        *(
            "llm = LLM(\n    model=m,\n    seed=1,\n)",
            "case = 1\nLLM(m)",
            "if __name__ == '__main__': LLM(m)",
        ),
    ],
)
def test_a_name_that_is_only_read_elsewhere_is_known(code):
    assert beside_ours(f"import vllm\nm = '/a'\n{code}\n") == (["/a"], [])


def test_where_names_are_given_something():
    found = names_of("m = 1\nf(n=2)\no: int = 3\np, q = 4\n")
    assert found.plain == {"m": [3], "o": [21]}
    assert found.others == {"n": [10], "q": [30]}
    assert (found.open, found.anything) == ({"p", "q"}, False)


def test_values_beyond_the_limit_of_one_name_are_not_known_and_soon_read():
    given = "".join(f"b='/x{number}'\n" for number in range(3000))
    looks = []
    references(subject(f"import x\n{given}LLM({'+'.join(['b'] * 900)})\n"), check=lambda: looks.append(1))
    models, reasons = beside_ours(f"import x\n{given}LLM(b)\n")
    assert len(models) == 64
    assert reasons == [f"LLM(...) {UNREAD}"]
    assert len(looks) < 20_000


def test_values_beyond_the_limit_of_one_expression_are_not_told():
    given = "".join(f"b{number}='/x{number}'\n" for number in range(80))
    models, reasons = beside_ours(f"import x\n{given}LLM({'+'.join(f'b{number}' for number in range(80))})\n")
    assert len(models) == 64
    assert reasons == [f"LLM(...) {UNREAD}"]


@pytest.mark.parametrize(
    "call",
    [
        *(
            "LLM(None)",
            "LLM(True)",
            "LLM(...)",
            "LLM(1j)",
            "LLM(model=None)",
            "LLM()",
            "LLM(seed=1)",
            "EngineArgs()",
        ),
        *("AsyncEngineArgs(dtype=x())", "LLM(tokenizer='/a')", "pipeline('x')", "pipeline(sys.argv[1])"),
        *("pipeline('x', tokenizer='/a')", "TextEmbedding()"),
    ],
)
def test_a_call_that_loads_a_model_of_its_own_is_not_known(call):
    models, reasons = beside_ours(f"import transformers\n{call}\n")
    assert (models in ([], ["/a"]), [UNREAD in reason for reason in reasons]) == (True, [True])


def test_any_word_is_a_model_where_a_call_would_load_one_of_its_own():
    assert beside_ours("import x\nLLM('auto')\n") == (["auto"], [])


@pytest.mark.parametrize(
    ("value", "models", "known"),
    [
        ("{'model': 'small', 'num_speculative_tokens': 3}", ["small"], True),
        ('\'{"model": "small"}\'', ["small"], True),
        ("None", [], True),
        ("dict(model='org/a')", ["org/a"], False),
        ("config", [], False),
        ("{'model': chosen()}", [], False),
        ("[" * 900, [], False),
        ("{'model': 'org\\/a'}", [], False),
        ("{'model': 'org/2b', 'x': 1if 1else 2}", ["org/2b"], False),
        ("{'model': {'org/a'}}", ["org/a"], False),
        ("{'model': 'org/2b', 'x': [1, 2.5, None, True]}", ["org/2b"], True),
    ],
)
def test_a_keyword_that_holds_json_is_read_or_is_not_known(value, models, known):
    code = f"import x\nc = {value}\nLLM({TRUST!r}, speculative_config=c)\n"
    if value.startswith(("{", "dict", "[", "None")):
        code = f"import x\nLLM({TRUST!r}, model_loader_extra_config={value})\n"
    found, reasons = beside_ours(code)
    assert [model for model in models if model in found] == models
    assert bool(reasons) is not known


def test_json_in_code_that_nobody_runs_is_noted_where_it_looks_like_a_reference():
    data = {"a.py": "LLM('/a', speculative_config={'model': 'org/a', 'method': read()})\n"}
    found = references({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data})
    assert [model.reference for model in found.models] == ["/a", "org/a"]
    assert found.unresolved == ()


@pytest.mark.parametrize(
    "code",
    [
        *("import torch as t\nt.load('/a')", "from torch import load\nload('/a')", "torch . load('/a')"),
        *("from torch import load as l\nl('/a')", "import torch.hub as h\nh.load('/a', 'x')"),
        *(
            "from torch import hub\nhub.load('/a')",
            "from torch import *\nload('/a')",
            "l = torch.load\nl('/a')",
        ),
        *("getattr(torch, 'load')('/a')", "__import__('torch').load('/a')", "partial(torch.load, '/a')()"),
        *(
            "import_module('torch').load('/a')",
            "t = torch\nt.load('/a')",
            "import joblib as j, os\nj.load('/a')",
        ),
        *("import keras\nkeras.models.load_model('/a')", "from spacy import (\n  load,\n)\nload('/a')"),
        *(
            "import transformers as t\nt.pipeline('x', '/a')",
            "from transformers.pipelines import pipeline as p\np('x', '/a')",
        ),
        *(
            "import mlx_lm\nmlx_lm.load('/a')",
            "Llama('/a')",
            "X.from_single_file('/a')",
            "m.load_adapter('/a')",
        ),
        *(
            "import timm\ntimm.create_model('/a')",
            "ctranslate2.Translator('/a')",
            "LoRARequest('x', 1, '/a')",
        ),
    ],
)
def test_a_call_of_a_module_is_found_under_any_name(code):
    assert beside_ours(f"import os\n{code}\n") == (["/a"], [])


@pytest.mark.parametrize(
    "code",
    [
        *(
            "json.load('/a')",
            "from numpy import load\nload('/a')",
            "load('/a')",
            "x().load('/a')",
            "np . load('/a')",
        ),
        *(
            "redis.pipeline('/a')",
            "pipeline('x', '/a')",
            "torch.Generator('/a')",
            "import torch\nself.load('/a')",
        ),
    ],
)
def test_a_call_of_that_name_in_another_module_is_none(code):
    assert beside_ours(f"import os\n{code}\n") == ([], [])


@pytest.mark.parametrize(
    "code",
    [
        *(
            "f=(LLM)\nf(x)",
            "f=LLM if 1 else 0",
            "f,g=LLM,1",
            "f:object=LLM\nf(x)",
            "f=g=LLM",
            "class X(LLM): pass",
        ),
        *(
            "map(LLM, x)",
            "(LLM\n)(x)",
            "LLM.__call__(x)",
            "d={'a':LLM}",
            "def f(x={'a': LLM}): pass",
            "lambda: LLM",
        ),
        *("getattr(A, 'from_pretrained', None)(x)", "f = getattr(torch, 'load')", "map(torch.load, x)"),
        *("methodcaller('LLM', x)", "from torch import load\nmap(load, x)", "d['from_pretrained']"),
        *("if x: LLM", "print(LLM)", "from x import *\ndef LLM(x): pass\nmap(LLM, y)"),
    ],
)
def test_a_call_that_is_handed_on_is_not_known(code):
    models, reasons = beside_ours(f"import torch\n{code}\ny()\n")
    assert models == []
    assert [HANDED in reason for reason in reasons] == [True]


@pytest.mark.parametrize(
    "code",
    [
        *(
            "x: LLM",
            "x: Optional[LLM] = None",
            "def f(x: LLM, *, y: list[LLM] = ()) -> LLM: pass",
            "isinstance(x, LLM)",
        ),
        *(
            "from vllm import (LLM,\n  A)",
            "def load_model(): pass\nThread(target=load_model)",
            "'LLM'",
            "x = {'LLM': 1}",
        ),
        *(
            "def f(x: dict[str, 'LLM']): pass",
            "f(load_model=1)",
            "class LLM(Base): pass",
            "subprocess.run",
            "# LLM",
        ),
        *("getattr(subprocess, 'run')", "print('from_pretrained', x)[0] if isinstance(x, LLM) else 1"),
    ],
)
def test_a_call_that_is_only_spoken_of_is_not_handed_on(code):
    models, reasons = beside_ours(f"import torch\n{code}\ny()\n")
    assert (models, [reason for reason in reasons if "from_pretrained" not in reason]) == ([], [])


def test_names_beyond_the_limit_are_handed_on():
    names = "x: LLM\n" * 256
    assert beside_ours(f"import x\n{names}y()\n") == ([], [])
    assert beside_ours(f"import x\n{names}x: LLM\ny()\n")[1] == [f"... {HANDED}"]
    far = f"import x\ny = [{'1, ' * 200}LLM]\ny()\n"
    assert beside_ours(far)[1] == [f"LLM {HANDED}"]


@pytest.mark.parametrize(
    "code",
    [
        *(
            "'''LLM(x)'''",
            "print('LLM(x)')",
            "raise ValueError('LLM(x)')",
            "log.info('LLM(x)')",
            "x = 1  # LLM(x)",
        ),
        *("def f():\n  'LLM(x)'\n  return 1", "# os.system('vllm serve org/a')"),
    ],
)
def test_a_call_in_a_text_that_is_only_told_is_none(code):
    assert beside_ours(f"import x\n{code}\n") == ([], [])


@pytest.mark.parametrize(
    "code", ["f'''{LLM(x)}'''", "run('LLM(x)')", "exec('LLM(x)')", "print('LLM(x)'); exec(y)"]
)
def test_a_call_in_a_text_that_may_run_is_not_known(code):
    assert beside_ours(f"import x\n{code}\n") == ([], [f"LLM(...) {UNREAD}"])


@pytest.mark.parametrize("letters", ["\uff2c\uff2c\uff2d", "\U0001d40b" * 3, "\uff2c" * 300])
def test_names_that_are_spelled_with_other_letters_are_not_known(letters):
    _, reasons = beside_ours(f"import vllm\nvllm.{letters}(x)\n")
    assert reasons == ["names in the code are spelled with letters that are read as others"]
    assert beside_ours(f"import vllm\nx = '{letters} …'  # {letters}\nprüfen(LLM('/a'))\n") == (["/a"], [])


@pytest.mark.parametrize(
    "code",
    [
        *(
            "subprocess.run(['vllm', 'serve', 'org/a'])",
            "os.system('vllm serve org/a')",
            "from os import system\nsystem('vllm serve org/a')",
        ),
        *("os.execvp('vllm', ['vllm', 'serve', 'org/a'])", "os.execlp('vllm', 'vllm', 'serve', 'org/a')"),
        *(
            "os.spawnvp(os.P_WAIT, 'vllm', ['vllm', 'serve', 'org/a'])",
            "c = 'vllm serve org/a'\nsubprocess.run(c, shell=True)",
        ),
        *(
            "c = ['vllm', 'serve', 'org/a']\nsubprocess.run(c)",
            "subprocess.Popen('vllm serve org/a'.split())",
        ),
        *(
            "subprocess.call(args=('bash', '-c', 'vllm serve org/a'), cwd='/x')",
            "p = 'org/a'\nos.system(f'vllm serve {p} --port 1')",
        ),
        *("subprocess.run([sys.executable, '-m', 'vllm.entrypoints.api_server', '--model', 'org/a'])",),
        *("subprocess.run(['python', '-c', \"from vllm import LLM; LLM('org/a')\"])",),
    ],
)
def test_what_a_program_loads_that_code_starts_is_found(code):
    assert beside_ours(f"import os, subprocess\n{code}\n") == (["org/a"], [])


@pytest.mark.parametrize(
    "code",
    [
        *(
            "subprocess.run(['vllm', 'serve', m])",
            "subprocess.run(['vllm', 'serve'] + m)",
            "os.system('vllm serve ' + m)",
        ),
        *(
            "os.system(f'vllm serve {m}')",
            "c = ['vllm', 'serve']\nc.append(m)\nsubprocess.run(c)",
            "subprocess.run([python, 'vllm', 'serve', *m])",
        ),
        *("c = ['vllm', 'serve']\nc += m\nsubprocess.run(c)", "os.system('vllm serve %s' % m)"),
    ],
)
def test_a_program_of_the_table_that_code_starts_with_what_is_not_known_is_unresolved(code):
    assert beside_ours(f"import os, subprocess\n{code}\n")[1]


@pytest.mark.parametrize(
    "code",
    [
        *(
            "subprocess.run(c)",
            "subprocess.run(['nvidia-smi'])",
            "subprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])",
        ),
        *(
            "os.system(f'ls {d} | wc -l')",
            "subprocess.check_call(['python', 'train.py', '--lr', lr], env=e)",
            "subprocess.run(sys.executable)",
        ),
        *("subprocess.run()", "asyncio.run(main())", "subprocess.run(shlex.split(c), cwd='/a')"),
    ],
)
def test_other_programs_that_code_starts_name_no_model(code):
    assert beside_ours(f"import os, subprocess\n{code}\n") == ([], [])


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        *(
            ("A.load('x')", "A.load"),
            ("A . load('x')", "A.load"),
            ("f(')')", "f"),
            ("f(x).to('a').eval()", "f"),
        ),
        *(
            ("f(x).replace('a')", ""),
            ("f(x) or 1", ""),
            ("f(x)(y)", ""),
            ("f(x", ""),
            ("'f(x)'", ""),
            ("f(x).to", ""),
        ),
    ],
)
def test_an_expression_that_is_nothing_but_a_call(expression, name):
    assert called_in(expression)[0] == name


def test_an_expression_as_it_is_written():
    assert told_in("'serve ' + name + x.y if 1 else .z", "?") == ["serve ", "?", "?", "?"]


@pytest.mark.parametrize(
    "code",
    [
        *("os.environ['MODEL_ID'] = 'org/a'", "os.environ.update({'MODEL_ID': 'org/a'})", "os.putenv(k, v)"),
        *("os.environ[k] = v", "os.environ |= {'MODEL_ID': 'org/a'}", "del x; os.environ.pop('MODEL_ID')"),
    ],
)
def test_a_variable_that_code_sets_itself_is_not_known(code):
    models, reasons = beside_ours(f"import os\n{code}\nLLM(os.environ.get('MODEL_ID', 'org/b'))\n")
    assert models == (["org/a"] if "] = 'org" in code else [])
    assert reasons == [f"LLM(...) {UNREAD}"]


@pytest.mark.parametrize(
    "code", ["os.environ['A'] = 'b'", "x = os.environ['A'] == 'b'", "f(env={**os.environ})"]
)
def test_a_variable_beside_others_that_code_sets_is_known(code):
    assert beside_ours(f"import os\n{code}\nLLM(os.environ['MODEL_ID'])\n") == ([], [])


@pytest.mark.parametrize(
    "code",
    [
        *(
            "class A:\n  from_pretrained = x",
            "class A:\n  def from_pretrained(m): return x",
            "A = x()",
            "exec(x)",
        ),
        *("class A(B): pass", "f(from_pretrained=x)"),
    ],
)
def test_what_a_call_returns_that_the_text_defines_itself_is_not_known(code):
    found = f"import os\nfrom y import A\n{code}\nm = A.from_pretrained({TRUST!r})\nLLM(m)\n"
    assert beside_ours(found) == ([], [f"LLM(...) {UNREAD}"])
    assert beside_ours(found.replace(f"{code}\n", "")) == ([], [])


def test_another_name_of_a_call_is_handed_on_as_well():
    assert beside_ours("from vllm import LLM as L\nmap(L, x)\n")[1] == [f"L {HANDED}"]
    assert beside_ours("import vllm\nl = vllm.LLM\n[l][0](x)\n")[1] == [f"l {HANDED}"]


def test_what_names_are_given_beyond_the_limit_of_what_is_read_is_not_known():
    given = "".join(f"m{number} = ['org/a', {'1, ' * 180}]\n" for number in range(80))
    call = f"LLM([{', '.join(f'm{number}' for number in range(80))}])"
    models, reasons = beside_ours(f"import x\n{given}m80 = 'org/b'\n{call}\nLLM(m80)\n")
    assert models == ["org/a"]
    assert reasons == [f"LLM(...) {UNREAD}"]


def test_a_variable_that_code_sets_itself_is_not_known_wherever_it_is_read():
    code = (
        "import os\nos.environ['A'] = 'org/a'\nLLM(os.environ['A'])\nLLM(os.getenv('A', 'org/a'), seed=1)\n"
    )
    assert beside_ours(code) == (["org/a"], [f"LLM(...) {UNREAD}"])


def test_a_command_line_whose_program_is_not_known_is_left_unless_it_names_one_of_the_table():
    assert beside_ours("import os\nos.system(c + ' x')\nos.system(f'{c} x')\n") == ([], [])
    assert beside_ours("import os\nos.system(c + ' vllm serve org/a')\n")[0] == ["org/a"]


def test_a_text_that_code_gives_to_a_shell_is_a_script_and_a_list_of_words_is_none():
    assert beside_ours("import os\nos.system('cat x | bash')\n")[1] == [
        "the script gives bash a script that stands nowhere"
    ]
    assert beside_ours("import subprocess\nsubprocess.run(['bash', x])\n") == ([], [])


def test_the_first_word_of_a_program_that_takes_the_place_of_the_code_is_its_name():
    assert beside_ours("import os\nos.execvp('trtllm-serve', ['trtllm-serve', 'org/a'])\n") == (["org/a"], [])


def test_code_that_starts_itself_is_read_once():
    code = "import os, subprocess\nsubprocess.run(['python', '-c', os.environ['A']])\n"
    pod = subject(code)
    pod["spec"]["containers"][0].setdefault("env", []).append({"name": "A", "value": code + "LLM('org/a')"})
    found = references(pod)
    assert "org/a" in [model.reference for model in found.models]


def test_programs_beyond_the_limit_that_code_starts_are_unresolved(monkeypatch):
    monkeypatch.setattr("trustkit.workloads.notes._MOST_STARTED", 2)
    starts = "".join(f"os.system('vllm serve org/{name}')\n" for name in "abc")
    models, reasons = beside_ours(f"import os\n{starts}")
    assert sorted(models) == ["org/a", "org/b"]
    assert reasons == ["code starts more programs than are read"]


def test_the_same_program_is_started_once():
    queue = Once(2)
    assert [queue.add(key, key) for key in "aabc"] == [True, True, True, False]
    taken = []
    for piece in queue:
        taken.append(piece)
        assert queue.add("a", "again")
    assert taken == ["a", "b"]
