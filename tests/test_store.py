"""What is remembered of an answer, and what is put back into a history."""

import json
from typing import Any

import pytest

from ccproxy import Translator, translate_request
from ccproxy.core.events import Delta, Event, PartEnd, PartStart, Signature, StreamStart
from ccproxy.core.model import Call, Part, Request, Result, Text, Thought, Turn
from ccproxy.core.signatures import Sealed, seal
from ccproxy.core.store import MemoryStore, Recorder, Remembered, RememberedThought, key_of, restore

SIGNED = RememberedThought("Hm.", "toy", "m", "sig")


class Tape:
    """A store that shows what it has."""

    def __init__(self) -> None:
        self.calls: dict[str, Remembered] = {}

    def get(self, key: str, /) -> Remembered | None:
        return self.calls.get(key)

    def put(self, key: str, remembered: Remembered, /) -> None:
        self.calls[key] = remembered

    def of(self, id: str, arguments: str = "{}") -> list[tuple[str, str, str]]:
        remembered = self.calls.get(key_of(id, arguments))
        return [(t.text, t.value, t.signs) for t in remembered.thoughts] if remembered else []


def reasoning(part: int, text: str, signature: str = "", **fields: Any) -> list[Event]:
    out: list[Event] = [PartStart(part, "reasoning", **fields), *([Delta(part, [text])] if text else [])]
    return [*out, *([Signature(part, "toy", signature, "m")] if signature else []), PartEnd(part)]


def text(part: int, words: str) -> list[Event]:
    return [PartStart(part, "text"), Delta(part, [words]), PartEnd(part)]


def call(part: int, id: str, arguments: str = "{}", choice: int = 0) -> list[Event]:
    return [PartStart(part, "tool", choice, id, "f"), Delta(part, [arguments]), PartEnd(part)]


def recorded(*events: Event | list[Event], **options: Any) -> Tape:
    tape = Tape()
    recorder = Recorder(tape, **options)
    for event in events:
        recorder.on_events(event if isinstance(event, list) else [event])
    return tape


# Remembering


def test_the_reasoning_since_the_call_before_belongs_to_a_call() -> None:
    tape = recorded(
        reasoning(0, "a", "s0"),
        call(1, "one"),
        call(2, "two"),
        reasoning(3, "b", "s3"),
        reasoning(4, ""),
        call(5, "three"),
    )
    assert (tape.of("one"), tape.of("two"), tape.of("three")) == ([("a", "s0", "part")], [], [("b", "s3", "part")])


def test_unsigned_reasoning_is_not_remembered_but_in_a_group_with_signed() -> None:
    tape = recorded(reasoning(0, "a"), reasoning(1, "b", group=1), reasoning(2, "c", "s", group=1), call(3, "one"))
    assert tape.of("one") == [("b", "", "part"), ("c", "s", "part")]


def test_unsigned_reasoning_is_remembered_if_it_is_wanted() -> None:
    """But not where there is a signature: the text has its place beside it."""
    tape = recorded(
        StreamStart("id", "m-1"),
        reasoning(0, "a"),
        text(1, "So."),
        reasoning(2, "b"),
        call(3, "one"),
        call(4, "two"),
        reasoning(5, "c"),
        reasoning(6, "d", "s"),
        call(7, "three"),
        reasoning(8, ""),
        call(9, "four"),
        unsigned=True,
    )
    assert tape.calls[key_of("one", "{}")].thoughts == (
        RememberedThought("a", model="m-1", leads=True),
        RememberedThought("b", model="m-1"),
    )
    assert (tape.of("two"), tape.of("three"), tape.of("four")) == ([], [("d", "s", "part")], [])


def test_unsigned_reasoning_is_of_the_model_that_was_asked_for() -> None:
    tape = recorded(StreamStart("id", "m-1"), reasoning(0, "a"), call(1, "one"), unsigned=True, model="deployment")
    assert tape.calls[key_of("one", "{}")].thoughts[0].model == "deployment"


def test_text_between_is_noted() -> None:
    tape = recorded(reasoning(0, "a", "s0"), text(1, "So."), reasoning(2, "b", "s2"), call(3, "one"))
    assert [thought.leads for thought in tape.calls[key_of("one", "{}")].thoughts] == [True, False]


def test_late_signatures_count() -> None:
    """Those of reasoning that was over before the call, and those on the call itself."""
    late: list[Event] = [Signature(0, "toy", "late", "m"), Signature(1, "toy", "own", "m")]
    assert recorded(reasoning(0, "a"), call(1, "one"), late).of("one") == [("a", "late", "part"), ("", "own", "call")]


def test_a_call_that_was_cut_is_not_remembered() -> None:
    assert not recorded(reasoning(0, "a", "s"), call(1, "one")[:2]).calls


def test_choices_are_kept_apart() -> None:
    tape = recorded(
        reasoning(0, "a", "s0"), reasoning(1, "b", "s1", choice=1), call(2, "two", choice=1), call(3, "one")
    )
    assert (tape.of("one"), tape.of("two")) == ([("a", "s0", "part")], [("b", "s1", "part")])


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ('{ "b": [1, {"y": null, "x": "é"}], "a": 1.0 }', True),
        ('{"a":1,"b":[1,{"x":"\\u00e9","y":null}]}', True),
        ('{"a":2,"b":[1,{"x":"é","y":null}]}', False),
        ("{", False),
    ],
)
def test_the_same_id_with_other_arguments_is_another_call(written: str, same: bool) -> None:
    """Some servers number their calls anew in each conversation; clients write arguments anew."""
    tape = recorded(reasoning(0, "a", "s"), call(1, "one", '{"a":1,"b":[1,{"x":"é","y":null}]}'))
    assert bool(tape.of("one", written)) is same


def test_no_arguments_are_an_empty_object() -> None:
    assert recorded(reasoning(0, "a", "s"), [PartStart(1, "tool", 0, "one", "f"), PartEnd(1)]).of("one", "{}")


# The memory


def test_the_memory_is_bounded_by_calls() -> None:
    store = MemoryStore(max_calls=2)
    for key in "abc":
        store.put(key, Remembered((SIGNED,)))
    assert [key for key in "abc" if store.get(key)] == ["b", "c"]


def test_the_memory_is_bounded_by_characters() -> None:
    """Counted once, also where a call is put again."""
    store = MemoryStore(max_characters=20)
    for key in "aaabc":
        store.put(key, Remembered((RememberedThought("x" * 6, "toy", "m", "sig"),)))
    assert [key for key in "abc" if store.get(key)] == ["b", "c"]
    store.put("d", Remembered((RememberedThought("x" * 21, "toy", "m", "sig"),)))
    assert not any(map(store.get, "abcd"))


def test_what_is_asked_for_stays() -> None:
    store = MemoryStore(max_calls=2)
    store.put("a", Remembered((SIGNED,)))
    store.put("b", Remembered((SIGNED,)))
    store.get("a")
    store.put("c", Remembered((SIGNED,)))
    assert [key for key in "abc" if store.get(key)] == ["a", "c"]


# Putting it back


def history(*parts: Part) -> Request:
    calls = [part for part in parts if isinstance(part, Call)]
    results: list[Part] = [Result(id=call.id) for call in calls]
    return Request(source="other", turns=[Turn(role="assistant", parts=list(parts)), Turn(role="user", parts=results)])


def restored(
    request: Request, *thoughts: RememberedThought, scheme: str = "toy", model: str = "m", unsigned: bool = False
) -> list[Any]:
    tape = Tape()
    tape.put(key_of("one", "{}"), Remembered(thoughts))
    restore(request, tape, scheme, model, unsigned=unsigned)
    parts = [part for turn in request.turns for part in turn.parts if not isinstance(part, Result)]
    return [part.text if isinstance(part, Thought | Text) else "call" for part in parts]


def one() -> Call:
    return Call(id="one", name="f", arguments="{ }")


def test_a_thought_goes_in_front_of_its_call() -> None:
    request = history(Call(id="none", name="f"), Text(text="So."), one())
    assert restored(request, SIGNED) == ["call", "So.", "Hm.", "call"]
    thought = request.turns[0].parts[2]
    assert isinstance(thought, Thought) and thought.signature == Sealed("toy", "m", "sig")


def test_before_the_text_if_it_was_there() -> None:
    leads = RememberedThought("First.", "toy", "m", "s0", leads=True)
    assert restored(history(Text(text="So."), Text(text="Now."), one()), leads, SIGNED) == [
        "First.",
        "So.",
        "Now.",
        "Hm.",
        "call",
    ]


def test_also_where_the_text_is_a_turn_of_its_own() -> None:
    request = history(one())
    request.turns.insert(0, Turn(role="assistant", parts=[Text(text="So.")]))
    assert restored(request, RememberedThought("First.", "toy", "m", "s0", leads=True)) == ["First.", "So.", "call"]


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (Sealed("toy", "m", "kept"), ["Kept.", "call"]),
        (Sealed("other", "m", "kept"), ["Kept.", "Hm.", "call"]),
        (Sealed("toy", "else", "kept"), ["Kept.", "Hm.", "call"]),
    ],
)
def test_what_the_client_kept_is_enough(signature: Sealed, expected: list[str]) -> None:
    assert restored(history(Thought(text="Kept.", signature=signature), one()), SIGNED) == expected


def test_the_same_text_without_its_signature_gives_way() -> None:
    assert restored(history(Thought(text="Hm."), Thought(text="Else."), one()), SIGNED) == ["Else.", "Hm.", "call"]


PLAIN = RememberedThought("Hm. So.", model="m")


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([], ["Hm. So.", "call"]),
        ([Thought(text="Hm. So.")], ["Hm. So.", "call"]),
        ([Thought(text="Hm."), Thought(text=" So.")], ["Hm. So.", "call"]),
        ([Thought(text="Mine.")], ["Mine.", "call"]),
        ([Thought(text="Kept.", signature=Sealed("toy", "m", "kept"))], ["Kept.", "call"]),
    ],
    ids=["nothing", "all", "pieces", "else", "signed"],
)
def test_unsigned_reasoning_comes_back_once(kept: list[Part], expected: list[str]) -> None:
    assert restored(history(*kept, one()), PLAIN, unsigned=True) == expected


def test_unsigned_reasoning_comes_back_to_its_model_where_it_is_wanted() -> None:
    assert restored(history(one()), PLAIN, unsigned=True, model="m-2") == ["Hm. So.", "call"]
    assert restored(history(one()), PLAIN, unsigned=True, model="else") == ["call"]
    assert restored(history(one()), PLAIN) == ["call"]


def test_reasoning_beside_a_signature_is_not_told_without_it() -> None:
    thoughts = (RememberedThought("a", group="7"), RememberedThought("b", "other", "m", "s", group="7"))
    assert restored(history(one()), *thoughts, unsigned=True) == ["call"]


@pytest.mark.parametrize(("scheme", "model"), [("other", "m"), ("toy", "else"), ("to", "m")])
def test_nobody_elses(scheme: str, model: str) -> None:
    assert restored(history(one()), SIGNED, scheme=scheme, model=model) == ["call"]


def test_a_scheme_that_ends_in_a_slash_is_a_family() -> None:
    family = RememberedThought("Hm.", "toy/format", "m", "sig")
    assert restored(history(one()), family, scheme="toy/") == ["Hm.", "call"]


def test_a_group_comes_back_as_a_group() -> None:
    request = history(one())
    first = RememberedThought("a", group="7", channel="summary")
    assert restored(request, first, RememberedThought("b", "toy", "m", "s", group="7")) == ["a", "b", "call"]
    groups = [part.group for part in request.turns[0].parts if isinstance(part, Thought)]
    assert groups[0] == groups[1] != ""


# With a translator

THINKING = [{"type": "thinking_delta", "thinking": word} for word in "ab"]
BLOCKS: list[list[dict[str, Any]]] = [
    [{"type": "thinking", "thinking": ""}, *THINKING, {"type": "signature_delta", "signature": "c2ln"}],
    [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}],
]
FRAMES: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": []}},
    *(
        {"type": "content_block_start", "index": index, "content_block": given}
        if given is block[0]
        else {"type": "content_block_delta", "index": index, "delta": given}
        for index, block in enumerate(BLOCKS)
        for given in block
    ),
    *({"type": "content_block_stop", "index": index} for index, _ in enumerate(BLOCKS)),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
    {"type": "message_stop"},
]
STREAM = "".join(f"event: {frame['type']}\ndata: {json.dumps(frame)}\n\n" for frame in FRAMES).encode()


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("target", ["openai-chat", "anthropic"])
def test_a_translator_remembers_however_the_stream_is_cut(size: int, target: str) -> None:
    tape = Tape()
    translator = Translator("anthropic", target, store=tape)
    for at in range(0, len(STREAM), size):
        translator.feed(STREAM[at : at + size])
    translator.close()
    assert tape.of("toolu_1") == [("ab", "c2ln", "part")]


def test_one_event_a_read_keeps_its_lane() -> None:
    """The recorder reads parts when they end, so deltas need not be shown to it."""
    translator = Translator("anthropic", "openai-chat", store=Tape())
    for frame in STREAM.split(b"\n\n")[:3]:
        translator.feed(frame + b"\n\n")
    assert translator._may_lane()  # pyright: ignore[reportPrivateUsage]


def test_an_untouched_request_stays_untouched() -> None:
    tape = Tape()
    tape.put(key_of("toolu_1", "{}"), Remembered((RememberedThought("a", "anthropic", "", "c2ln"),)))
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
    messages = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    body = {"model": "claude-x", "max_tokens": 9, "messages": messages}
    assert translate_request(body, "anthropic", "anthropic", store=tape).body == body


def test_what_comes_back_in_its_own_dialect_is_an_item_of_its_own() -> None:
    """A request of the same dialect is written anew if it holds an envelope of another provider."""
    tape = Tape()
    summary = RememberedThought("a", "openai", "m", "s0", channel="summary", leads=True)
    tape.put(key_of("c1", "{}"), Remembered((summary, RememberedThought("", "openai", "m", "s1"))))
    foreign = seal(Signature(0, "gemini", "c2ln", "g"), redacted=False)
    items: list[dict[str, Any]] = [
        {"type": "reasoning", "summary": [], "encrypted_content": foreign},
        {"role": "user", "content": "hi"},
        {"type": "message", "id": "msg_1", "role": "assistant", "phase": "commentary", "content": "So."},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "x"},
    ]
    body = {"model": "m", "input": items}
    there = translate_request(body, "openai-responses", "openai-responses", store=tape)
    assert there.body["input"] == [
        items[1],
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "s0"},
        items[2],
        {"type": "reasoning", "summary": [], "encrypted_content": "s1"},
        *items[3:],
    ]
