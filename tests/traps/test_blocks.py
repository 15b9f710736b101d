"""Section B: the life of blocks and their order, where the target is Anthropic above all."""

import pytest

from ccproxy import collect

from .outputs import Frame, Said, deltas, split
from .streams import (
    Json,
    anthropic,
    begin,
    call,
    call_item,
    chat,
    chunk,
    delta,
    each_source,
    each_target,
    end,
    frames_of,
    item_delta,
    losses,
    message,
    message_delta,
    message_item,
    message_start,
    one_call,
    reasoning_item,
    response,
    run,
    said,
    steps,
    text_block,
    texts,
    thinking_block,
    thought,
    tool_block,
    tool_delta,
    usage_chunk,
)

STOP = chunk(finish="stop")
TOOL_CALLS = chunk(finish="tool_calls")
CALL: Said = ("tool", "call_1", "f", '{"x":1}')
CALL_CHUNK = chunk(call(0, *CALL[1:]))


def outline(frames: list[Frame]) -> list[str]:
    """Anthropic events in short: `start 0 text`, `text_delta 0`, `stop 0`, or the event's name."""
    out: list[str] = []
    for event, data in frames:
        if event == "content_block_start":
            out.append(f"start {data['index']} {data['content_block']['type']}")
        elif event == "content_block_delta":
            out.append(f"{data['delta']['type']} {data['index']}")
        elif event == "content_block_stop":
            out.append(f"stop {data['index']}")
        else:
            out.append(event)
    return out


# -- 25-27: the beginning ---------------------------------------------------------------------------------------------


@each_source
def test_trap_25_message_start_comes_before_a_call(source: str) -> None:
    """Chat and Responses may begin with the call; Chat has no other beginning than its first chunk."""
    data = chat(CALL_CHUNK, TOOL_CALLS) if source == "openai-chat" else one_call(source, CALL[3])
    out = run(source, "anthropic", data)
    assert outline(out.frames) == [
        "message_start",
        "start 0 tool_use",
        "input_json_delta 0",
        "stop 0",
        "message_delta",
        "message_stop",
    ]


@each_target
def test_trap_26_a_second_message_start_is_not_passed_on(target: str) -> None:
    first, rest = message_start(), text_block(0, "Hel", "lo")
    data = anthropic(first, *rest[:2], first, *rest[2:], message_delta("end_turn", {"output_tokens": 9}))
    out = run("anthropic", target, data)
    assert out.said == [("text", "Hello")]
    assert out.error is None


@each_target
def test_trap_26_a_second_message_start_of_another_message_is_an_error(target: str) -> None:
    data = message(*text_block(0, "Hi"), message_start(id="msg_other"))
    out = run("anthropic", target, data)
    assert out.said == [("text", "Hi")]
    assert out.error is not None and out.finish is None


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param(
            [*reasoning_item(0, ["a"], ["b"]), *message_item(1, "c"), *call_item(2, *CALL[1:])],
            [("reasoning", "a"), ("reasoning", "b"), ("text", "c"), CALL],
            id="an item of two parts",
        ),
        pytest.param([*message_item(2, "a"), *call_item(5, *CALL[1:])], [("text", "a"), CALL], id="gaps"),
        pytest.param([*reasoning_item(0), *call_item(1, *CALL[1:])], [CALL], id="an empty item"),
        pytest.param(
            [*message_item(0, "a"), *call_item(0, *CALL[1:])], [("text", "a"), CALL], id="the same index twice"
        ),
    ],
)
def test_trap_26_block_indexes_are_not_output_indexes(items: list[Json], expected: list[Said]) -> None:
    """That the indexes are 0, 1, 2 and the deltas fit their blocks, `run` sees to."""
    assert run("openai-responses", "anthropic", response(*items)).said == expected


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        pytest.param([thought("Hm.")], "thinking", id="thinking"),
        pytest.param([call(0, *CALL[1:])], "tool_use", id="tool"),
        pytest.param(
            [{"content": ""}, {"content": None}, thought("Hm.")], "thinking", id="thinking after empty content"
        ),
        pytest.param([{"content": ""}, call(0, *CALL[1:])], "tool_use", id="tool after empty content"),
    ],
)
def test_trap_27_no_empty_text_block_comes_first(first: list[Json], kind: str) -> None:
    data = chat(chunk({"role": "assistant", "content": ""}), *map(chunk, first), STOP)
    out = run("openai-chat", "anthropic", data)
    assert [event["content_block"]["type"] for event in out.events("content_block_start")] == [kind]


@pytest.mark.parametrize("delta", [thought("Hm."), call(0, *CALL[1:])], ids=["reasoning", "call"])
def test_trap_27_no_empty_message_item_comes_first(delta: Json) -> None:
    out = run("openai-chat", "openai-responses", chat(chunk({"role": "assistant", "content": ""}), chunk(delta), STOP))
    assert len(out.events("response.output_item.added")) == 1
    assert out.events("response.output_item.added")[0]["item"]["type"] != "message"


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("anthropic", message(*text_block(0), *tool_block(1, *CALL[1:]), stop="tool_use")),
        ("openai-responses", response(*message_item(0), *call_item(1, *CALL[1:]))),
    ],
)
def test_trap_27_an_empty_text_block_of_the_source_goes_no_further(source: str, data: bytes) -> None:
    """Anthropic refuses it when the client sends it back."""
    out = run(source, "anthropic", data)
    assert [event["content_block"]["type"] for event in out.events("content_block_start")] == ["tool_use"]


@each_target
def test_trap_27_an_answer_without_content_has_no_block(target: str) -> None:
    out = run("openai-chat", target, chat(chunk({"role": "assistant", "content": ""}), STOP))
    assert out.said == []
    assert not out.events("content_block_start") and not out.events("response.output_item.added")


# -- 28-31: one block at a time, of the right kind --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        pytest.param([said("a"), thought("b")], [("text", "a"), ("reasoning", "b")], id="thinking into text"),
        pytest.param([thought("a"), said("b")], [("reasoning", "a"), ("text", "b")], id="text into thinking"),
        pytest.param([call(0, *CALL[1:]), said("b")], [CALL, ("text", "b")], id="text into tool"),
        pytest.param([call(0, *CALL[1:]), thought("b")], [CALL, ("reasoning", "b")], id="thinking into tool"),
    ],
)
def test_trap_28_a_delta_fits_its_block(deltas: list[Json], expected: list[Said]) -> None:
    assert run("openai-chat", "anthropic", chat(*map(chunk, deltas), STOP)).said == expected


@each_target
@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [
                begin(0, type="text", text=""),
                delta(0, "thinking_delta", thinking="a"),
                delta(0, "text_delta", text="b"),
                end(0),
            ],
            [("reasoning", "a"), ("text", "b")],
            id="thinking into text",
        ),
        pytest.param(
            [
                begin(0, type="thinking", thinking="", signature=""),
                delta(0, "thinking_delta", thinking="a"),
                delta(0, "text_delta", text="b"),
                end(0),
            ],
            [("reasoning", "a"), ("text", "b")],
            id="text into thinking",
        ),
    ],
)
def test_trap_28_a_server_that_sends_the_wrong_delta(target: str, events: list[Json], expected: list[Said]) -> None:
    out = run("anthropic", target, message(*events))
    assert [part for part in out.said if part[1]] == expected


THINKING = ["start 0 thinking", "thinking_delta 0", "stop 0"]
TEXT = ["start 0 text", "text_delta 0", "stop 0"]
TOOL = ["start 0 tool_use", "input_json_delta 0", "stop 0"]


def second(events: list[str]) -> list[str]:
    return [event.replace("0", "1") for event in events]


@pytest.mark.parametrize(
    ("deltas", "blocks"),
    [
        pytest.param([thought("a"), call(0, *CALL[1:])], THINKING + second(TOOL), id="thinking to tool"),
        pytest.param([said("a"), thought("b")], TEXT + second(THINKING), id="text to thinking"),
        pytest.param([call(0, *CALL[1:]), said("b")], TOOL + second(TEXT), id="tool to text"),
        pytest.param([call(0, *CALL[1:]), call(1, "call_2", "g", "{}")], TOOL + second(TOOL), id="tool to tool"),
    ],
)
def test_trap_29_a_block_is_closed_before_the_next_one_starts(deltas: list[Json], blocks: list[str]) -> None:
    out = run("openai-chat", "anthropic", chat(*map(chunk, deltas), STOP))
    assert outline(out.frames) == ["message_start", *blocks, "message_delta", "message_stop"]


def test_trap_29_text_ends_when_the_next_kind_begins() -> None:
    """Not only at the end of the stream: the stop leaves with the chunk that switches."""
    frames = frames_of(chat(chunk(thought("a")), chunk(said("b")), CALL_CHUNK))
    out = steps("openai-chat", "anthropic", frames)
    assert [outline(split(step)[0]) for step in out[1:3]] == [
        ["stop 0", "start 1 text", "text_delta 1"],
        ["stop 1", "start 2 tool_use", "input_json_delta 2"],
    ]


@each_source
def test_trap_30_one_start_for_many_tokens(source: str) -> None:
    frames = frames_of(texts(source, "a", "b", "c"))
    out = b"".join(steps(source, "anthropic", frames))
    assert outline(split(out)[0]) == [
        "message_start",
        "start 0 text",
        *["text_delta 0"] * 3,
        "stop 0",
        "message_delta",
        "message_stop",
    ]


@each_target
@pytest.mark.parametrize(
    ("source", "data"),
    [
        pytest.param("anthropic", message(delta(0, "text_delta", text="a"), end(0)), id="anthropic text"),
        pytest.param("anthropic", message(delta(0, "thinking_delta", thinking="a"), end(0)), id="anthropic thinking"),
        pytest.param("anthropic", message(tool_delta(0, "a"), end(0), stop="tool_use"), id="anthropic tool"),
        pytest.param(
            "anthropic",
            message(*text_block(0, "a"), delta(0, "text_delta", text="a")),
            id="anthropic text after its end",
        ),
        pytest.param("openai-chat", chat(chunk(call(0, arguments="a")), TOOL_CALLS), id="chat tool"),
        pytest.param("openai-responses", response(*message_item(0, "a")[2:]), id="responses text"),
        pytest.param("openai-responses", response(*message_item(0, "a")[1:]), id="responses text with its part"),
        pytest.param("openai-responses", response(*reasoning_item(0, ["a"])[2:]), id="responses summary"),
        pytest.param(
            "openai-responses",
            response(item_delta("function_call_arguments.delta", 0, "fc_0", delta="a")),
            id="responses tool",
        ),
    ],
)
def test_trap_31_a_delta_of_a_block_that_never_started(source: str, data: bytes, target: str) -> None:
    """`run` sees to it that none goes out. What came must be there, or the stream must say what is wrong."""
    out = run(source, target, data)
    assert "a" in deltas(out.raw) or out.error is not None or out.translator.losses


@each_target
def test_trap_31_a_stop_of_a_block_that_never_started(target: str) -> None:
    out = run("anthropic", target, message(end(0), *text_block(0, "Hi"), end(0), end(7)))
    assert out.said == [("text", "Hi")]


# -- 33-37: order, the end, the frames --------------------------------------------------------------------------------

SEQUENCES: dict[str, list[Said]] = {
    "think, respond, think": [("reasoning", "a"), ("text", "b"), ("reasoning", "c")],
    "text, tool, text": [("text", "a"), CALL, ("text", "b")],
    "tool, text, tool": [CALL, ("text", "b"), ("tool", "call_2", "g", "{}")],
    "think, tool, think, text": [("reasoning", "a"), CALL, ("reasoning", "c"), ("text", "d")],
}


def stream_of(source: str, sequence: list[Said]) -> bytes:
    """A stream that says the sequence."""
    blocks: list[Json] = []
    chunks: list[Json] = []
    items: list[Json] = []
    calls = 0
    for index, part in enumerate(sequence):
        if part[0] == "tool":
            blocks += tool_block(index, *part[1:])
            chunks.append(chunk(call(calls, *part[1:])))
            items += call_item(index, *part[1:])
            calls += 1
        elif part[0] == "text":
            blocks += text_block(index, part[1])
            chunks.append(chunk(said(part[1])))
            items += message_item(index, part[1])
        else:
            blocks += thinking_block(index, part[1])
            chunks.append(chunk(thought(part[1])))
            items += reasoning_item(index, [part[1]])
    if source == "anthropic":
        return message(*blocks, stop="tool_use" if calls else "end_turn")
    return chat(*chunks, TOOL_CALLS if calls else STOP) if source == "openai-chat" else response(*items)


@each_target
@each_source
@pytest.mark.parametrize("name", SEQUENCES)
def test_trap_33_the_order_is_kept_in_the_stream(source: str, target: str, name: str) -> None:
    assert run(source, target, stream_of(source, SEQUENCES[name])).said == SEQUENCES[name]


@each_source
@pytest.mark.parametrize("name", SEQUENCES)
def test_trap_33_the_order_is_kept_in_the_body(source: str, name: str) -> None:
    sequence = SEQUENCES[name]
    data = stream_of(source, sequence)
    kinds = {"reasoning": "thinking", "text": "text", "tool": "tool_use"}
    blocks = collect(data, source, "anthropic")["content"]
    assert [block["type"] for block in blocks] == [kinds[part[0]] for part in sequence]
    kinds = {"reasoning": "reasoning", "text": "message", "tool": "function_call"}
    items = collect(data, source, "openai-responses")["output"]
    assert [item["type"] for item in items] == [kinds[part[0]] for part in sequence]


@each_source
@pytest.mark.parametrize("name", SEQUENCES)
def test_trap_33_an_order_that_chat_cannot_keep_is_a_loss(source: str, name: str) -> None:
    out = run(source, "openai-chat", stream_of(source, SEQUENCES[name]))
    assert "order" in losses(out)


def test_trap_34_stop_reason_and_usage_share_one_message_delta() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    out = run("openai-chat", "anthropic", chat(chunk(said("Hi")), STOP, usage_chunk(usage)))
    assert [(event["delta"]["stop_reason"], event["usage"]) for event in out.events("message_delta")] == [
        ("end_turn", {"input_tokens": 10, "output_tokens": 5})
    ]


@pytest.mark.parametrize("stop_first", [True, False])
def test_trap_34_two_message_deltas_become_one(stop_first: bool) -> None:
    stop = message_delta("end_turn", {"output_tokens": 3})
    counted = message_delta(None, {"output_tokens": 5})
    data = anthropic(
        message_start(),
        *text_block(0, "Hi"),
        *([stop, counted] if stop_first else [counted, stop | {"usage": {"output_tokens": 5}}]),
        {"type": "message_stop"},
    )
    out = run("anthropic", "anthropic", data)
    assert [
        (event["delta"]["stop_reason"], event["usage"]["output_tokens"]) for event in out.events("message_delta")
    ] == [("end_turn", 5)]


@each_target
@each_source
def test_trap_36_every_part_has_a_place_of_its_own(source: str, target: str) -> None:
    """Text, then three calls: no two share a block index, an output_index or a tool index (`run` sees to the rest)."""
    sequence: list[Said] = [("text", "Hi"), *(("tool", f"call_{n}", "f", f'{{"n":{n}}}') for n in range(3))]
    out = run(source, target, stream_of(source, sequence))
    assert out.said == sequence
    assert [event["index"] for event in out.events("content_block_start")] in ([], [0, 1, 2, 3])
    assert [event["output_index"] for event in out.events("response.output_item.added")] in ([], [0, 1, 2, 3])


@each_target
def test_trap_36_a_server_that_gives_every_part_the_same_place(target: str) -> None:
    sequence: list[Said] = [("text", "Hi"), CALL, ("tool", "call_2", "g", '{"y":1}')]
    blocks = [*text_block(0, "Hi"), *tool_block(0, *CALL[1:]), *tool_block(0, *sequence[2][1:])]
    assert run("anthropic", target, message(*blocks, stop="tool_use")).said == sequence
    items = [*message_item(0, "Hi"), *call_item(0, *CALL[1:]), *call_item(0, *sequence[2][1:])]
    assert run("openai-responses", target, response(*items)).said == sequence


@each_source
@pytest.mark.parametrize("target", ["anthropic", "openai-responses"])
def test_trap_37_every_frame_has_its_event_line(source: str, target: str) -> None:
    """Errors and pings too."""
    data = texts(source, "Hi") if source != "anthropic" else message({"type": "ping"}, *text_block(0, "Hi"))
    for stream in (data, b"".join(frames_of(data)[:-3])):
        out = run(source, target, stream)
        assert all(frame.event == frame.data["type"] for frame in out.frames)


@each_target
@pytest.mark.parametrize("source", ["anthropic", "openai-responses"])
def test_trap_37_event_lines_that_were_stripped_are_not_missed(source: str, target: str) -> None:
    data = one_call(source, '{"x"', ":1}")
    bare = b"".join(frame.split(b"\n", 1)[1] for frame in frames_of(data))
    assert b"event:" not in bare
    assert run(source, target, bare).raw == run(source, target, data).raw
