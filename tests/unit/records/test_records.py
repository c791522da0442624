"""Records mean what dataclasses of the same text mean: made, shown, compared, changed and carried."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle
import subprocess
import sys
from typing import ClassVar, get_type_hints

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trustkit import records
from trustkit.records import KW_ONLY, InitVar, dataclass, field, replace

MANY = records.FEW + 2
NAMES = ("a", "b", "c", "d")
VALUES = st.sampled_from([None, 0, 1, -1, "", "x", (1, 2), 1.5])


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A record that can be carried."""

    x: int
    y: int = 2
    _: KW_ONLY
    asked: InitVar[int] = 0
    seen: ClassVar[list[int]] = []

    def __post_init__(self, asked):
        self.seen.append(asked)


@dataclass(slots=True)
class Basket:
    """A record that can be changed."""

    things: list[object] = field(default_factory=list)
    _hidden: str = field(default="hidden", repr=False)


@dataclass(slots=True)
class Labelled(Basket):
    """A record with fields of another."""

    label: str = field(kw_only=True)


@dataclass(frozen=True)
class Open:
    """A record without slots."""

    x: int
    y: int = 5


def made(maker, shape, options):
    """Make a class of a shape with one of the two."""
    space = {"__annotations__": {}, "__qualname__": "Shape", "__module__": "dataclasses"}
    for name, kind in shape:
        space["__annotations__"][name] = "InitVar[object]" if kind == "passing" else "object"
        if kind == "passing":
            space["__post_init__"] = lambda self, *given: log(self, given)
        match kind:
            case "default":
                space[name] = 7
            case "factory":
                space[name] = maker.field(default_factory=list)
            case "hidden":
                space[name] = maker.field(repr=False)
            case "named":
                space[name] = maker.field(kw_only=True)
            case "named default":
                space[name] = maker.field(default="d", kw_only=True)
    return maker.dataclass(**options)(type("Shape", (), space))


def log(record, given):
    """Keep what was handed on where a test can see it."""
    LOGGED.append((type(record), given))


LOGGED = []


def outcome(work):
    """Return what came out, or the kind of error and what it says."""
    try:
        return work()
    except (TypeError, ValueError, AttributeError) as error:
        return type(error), str(error)


KINDS = st.sampled_from(
    ["plain", "default", "factory", "hidden", "named", "named default", "passing", "passing"]
)
SHAPES = st.lists(KINDS, max_size=4).map(lambda kinds: list(zip(NAMES, kinds, strict=False)))
OPTIONS = st.fixed_dictionaries(
    {"frozen": st.booleans(), "slots": st.booleans(), "eq": st.just(True), "order": st.booleans()}
) | st.just({"frozen": True, "eq": False})
ARGUMENTS = st.tuples(st.lists(VALUES, max_size=5), st.dictionaries(st.sampled_from([*NAMES, "z"]), VALUES))


@pytest.fixture(scope="module")
def pair():
    """Make the same class twice, or see both refused."""

    def make(shape, options):
        found = [outcome(lambda maker=maker: made(maker, shape, options)) for maker in (dataclasses, records)]
        if not isinstance(found[0], type):
            assert found[0][0] is found[1][0]  # the words differ from one Python to the next
            assume(False)
        return found

    return make


@settings(deadline=None)
@given(shape=SHAPES, options=OPTIONS, arguments=ARGUMENTS, number=st.sampled_from([0, MANY]))
def test_they_are_made_and_refused_alike(pair, shape, options, arguments, number):
    theirs, ours = pair(shape, options)
    fitting = {name: 1 for name, _ in shape}
    for _ in range(number):
        ours(**fitting)
    LOGGED.clear()
    one, other = (outcome(lambda cls=cls: cls(*arguments[0], **arguments[1])) for cls in (theirs, ours))
    assert [seen for _, seen in LOGGED[: len(LOGGED) // 2]] == [
        seen for _, seen in LOGGED[len(LOGGED) // 2 :]
    ]
    if not isinstance(one, theirs):
        assert one == other
        return
    assert isinstance(other, ours)
    kept = [name for name, kind in shape if kind != "passing"]
    assert [repr(getattr(one, name)) for name in kept] == [repr(getattr(other, name)) for name in kept]
    if options["eq"]:
        assert outcome(lambda: hash(one)) == outcome(lambda: hash(other))
    assert repr(one) == repr(other)


@settings(deadline=None)
@given(shape=SHAPES, options=OPTIONS, values=st.tuples(VALUES, VALUES))
def test_they_are_compared_alike(pair, shape, options, values):
    found = []
    for cls in pair(shape, options):
        few, many = (cls(**{name: value for name, _ in shape}) for value in values)
        work = [
            lambda a, b: a == b,
            lambda a, b: a != b,
            lambda a, b: a < b,
            lambda a, b: a <= b,
            lambda a, b: a > b,
            lambda a, b: a >= b,
            lambda a, b: a == 7,
            lambda a, b: a < 7,
            lambda a, b: len({a, b}),
        ]
        found.append(
            [
                outcome(lambda each=each, a=a, b=b: each(a, b))
                for each, (a, b) in itertools.product(work, [(few, many), (many, few), (few, few)])
            ]
        )
    assert found[0] == found[1]


@settings(deadline=None)
@given(shape=SHAPES, options=OPTIONS, name=st.sampled_from([*NAMES, "z"]), value=VALUES)
def test_they_are_written_to_alike(pair, shape, options, name, value):
    # Of a frozen record with slots, Python 3.11 refuses what is no field with the words of another error.
    kept = [known for known, kind in shape if kind != "passing"]
    assume(name in kept or not (options["frozen"] and options.get("slots")))
    found = []
    for cls in pair(shape, options):
        record = cls(**{field: 1 for field, _ in shape})
        written = outcome(lambda record=record: setattr(record, name, value))
        found.append(
            (
                written,
                outcome(lambda record=record: repr(getattr(record, name))),
                outcome(lambda record=record: delattr(record, name)),
                repr(record) if written is None and options["frozen"] else "",
            )
        )
    assert found[0] == found[1]


@settings(deadline=None)
@given(shape=SHAPES, options=OPTIONS, changes=st.dictionaries(st.sampled_from([*NAMES, "z"]), VALUES))
def test_they_are_replaced_alike_by_either(pair, shape, options, changes):
    theirs, ours = pair(shape, options)
    one, other = (cls(**{name: 1 for name, _ in shape}) for cls in (theirs, ours))
    told = [
        outcome(lambda: repr(dataclasses.replace(one, **changes))),
        outcome(lambda: repr(dataclasses.replace(other, **changes))),
        outcome(lambda: repr(replace(other, **changes))),
    ]
    assert told[0] == told[1] == told[2]


@settings(deadline=None)
@given(shape=SHAPES, options=OPTIONS)
def test_they_tell_dataclasses_the_same(pair, shape, options):
    told = []
    for cls in pair(shape, options):
        record = cls(**{name: 1 for name, _ in shape})
        assert dataclasses.is_dataclass(cls)
        told.append(
            (
                [(f.name, f.type, repr(f.default), f.repr, f.kw_only) for f in dataclasses.fields(cls)],
                dataclasses.asdict(record),
                cls.__match_args__,
                getattr(cls, "__slots__", None),
                [name for name, _ in shape if name in vars(cls)],
            )
        )
    assert told[0] == told[1]


# -- what no generated shape has -------------------------------------------------------------------------


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize(
    "record",
    [Point(1), Basket([1], "x"), Labelled([2], label="l"), Open(1)],
    ids=lambda it: type(it).__name__,
)
def test_they_are_carried_whole(record, again):
    other = again(record)
    assert other == record
    assert other is not record
    assert type(other) is type(record)


def test_state_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        Point(1).__setstate__([1])


def test_what_is_handed_on_is_kept_by_nobody():
    Point.seen.clear()
    point = Point(1, asked=5)
    assert Point.seen == [5]
    assert (Point.__slots__, dataclasses.asdict(point)) == (("x", "y"), {"x": 1, "y": 2})
    assert replace(point, x=3) == Point(3)
    assert Point.seen == [5, 0, 0]


def test_match_and_type_hints_know_the_fields():
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)
    assert get_type_hints(Point)["x"] is int
    assert get_type_hints(Point)["asked"] is int


def test_a_factory_makes_a_thing_of_its_own_for_each():
    baskets = [Basket() for _ in range(MANY)]
    baskets[0].things.append(1)
    assert [basket.things for basket in baskets[1:]] == [[]] * (MANY - 1)
    assert repr(baskets[0]) == "Basket(things=[1])"


def test_fields_of_the_record_above_come_first_and_have_one_slot():
    one = Labelled([1], label="l")
    assert repr(one) == "Labelled(things=[1], label='l')"
    assert Labelled.__slots__ == ("label",)
    assert not hasattr(one, "__dict__")
    assert one != Basket([1])


def test_what_is_no_field_of_a_frozen_record_is_refused_too():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'z'"):
        Point(1).z = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'z'"):
        del Point(1).z


def test_below_a_frozen_record_only_its_fields_are_frozen():
    class Below(Open):
        pass

    below = Below(1)
    below.more = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        below.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del below.x
    del below.more
    assert (below.x, vars(below)) == (1, {"x": 1, "y": 5})


def test_what_a_class_defines_itself_stays():
    @dataclass(frozen=True, slots=True)
    class Own:  # noqa: PLW1641 - the hash that it gets is what is tested
        x: int

        def __init__(self, x):
            object.__setattr__(self, "x", x + 1)

        def __repr__(self):
            return "own"

        def __eq__(self, other):
            return True

    @dataclass(frozen=True)
    class Hashed:
        x: int

        def __hash__(self):
            return 5

    assert (repr(Own(1)), Own(1).x, Own(1) == Own(2), hash(Own(1))) == ("own", 2, True, hash((2,)))
    assert (hash(Hashed(1)), Hashed(1) == Hashed(1)) == (5, True)


def test_a_record_in_itself_is_shown_once():
    basket = Basket()
    basket.things.append(basket)
    assert repr(basket) == "Basket(things=[...])"


@pytest.mark.parametrize("option", ["order", "frozen"])
def test_a_method_is_not_overwritten_in_silence(option):
    name = {"order": "__le__", "frozen": "__delattr__"}[option]
    both = [
        outcome(lambda maker=maker: maker.dataclass(**{option: True})(type("Shape", (), {name: None})))
        for maker in (dataclasses, records)
    ]
    assert both[0][0] is both[1][0] is TypeError
    assert both[1][1] == f"Cannot overwrite attribute {name} in class Shape"


@pytest.mark.parametrize(
    ("space", "error", "words"),
    [
        ({"__annotations__": {"x": int}}, TypeError, "from __future__ import annotations"),
        ({"__annotations__": {"x": "list"}, "x": []}, ValueError, "mutable default .* for field x"),
        ({"__annotations__": {"x": "int", "y": "int"}, "x": 1}, TypeError, "non-default argument 'y'"),
    ],
)
def test_a_text_that_would_mean_something_else_is_refused(space, error, words):
    with pytest.raises(error, match=words):
        records.dataclass()(type("Shape", (), space))


def test_only_records_are_replaced():
    with pytest.raises(TypeError, match="int is no record"):
        replace(5, x=1)


def test_from_the_first_to_the_last_all_are_equal():
    points = [Open(1, y=3) for _ in range(MANY)]
    assert set(points) == {Open(1, 3)}
    assert Open.__init__.__qualname__ == "Open.__init__"


LIGHT = """
from __future__ import annotations
import sys
from trustkit.records import dataclass, field, replace

@dataclass(frozen=True, slots=True, order=True)
class Light:
    x: int
    y: list[int] = field(default_factory=list, repr=False)

lights = [Light(number) for number in range(COUNT)]
assert replace(lights[0], x=1) == lights[1] > lights[0]
repr(lights)
print(*sorted({"ast", "dataclasses", "inspect", "trustkit.records.rarely"} & set(sys.modules)))
"""


@pytest.mark.parametrize(("count", "loaded"), [(4, ""), (MANY, "trustkit.records.rarely")])
def test_nothing_is_loaded_that_takes_long(count, loaded):
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path[:] = {sys.path!r}\nexec({LIGHT.replace('COUNT', str(count))!r})",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (loaded, "")
