"""Section H: the bytes of server-sent events."""

import re
from collections.abc import Callable

import pytest

from ccproxy import Translator

from .outputs import deltas
from .streams import (
    Json,
    call,
    call_item,
    chat,
    chunk,
    each_source,
    each_target,
    frames_of,
    message,
    message_item,
    response,
    run,
    said,
    steps,
    text_block,
    texts,
    thought,
    tool_block,
    usage_chunk,
)

STOP = chunk(finish="stop")
STREAMS: dict[str, bytes] = {
    "anthropic": message(
        {"type": "ping"}, *text_block(0, "Hé", "llo 😀"), *tool_block(1, "call_1", "f", '{"x"', ":1}"), stop="tool_use"
    ),
    "openai-chat": chat(
        chunk({"role": "assistant", "content": ""}),
        chunk(said("Hé")),
        chunk(said("llo 😀")),
        chunk(call(0, "call_1", "f", "")),
        chunk(call(0, arguments='{"x"')),
        chunk(call(0, arguments=":1}")),
        chunk(finish="tool_calls"),
        usage_chunk(),
    ),
    "openai-responses": response(*message_item(0, "Hé", "llo 😀"), *call_item(1, "call_1", "f", '{"x"', ":1}")),
}

# -- 83, 84: spaces and line ends -------------------------------------------------------------------------------------


@each_target
@each_source
def test_trap_83_no_space_after_the_colon(source: str, target: str) -> None:
    data = STREAMS[source]
    bare = re.sub(rb"(?m)^(data|event): ", rb"\1:", data)
    assert bare != data
    assert run(source, target, bare).raw == run(source, target, data).raw


LINE_ENDS: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "CR": lambda data: data.replace(b"\n", b"\r"),
    "CRLF and LF": lambda data: data.replace(b"\n\n", b"\r\n\n"),
    "LF and CRLF": lambda data: data.replace(b"\n\n", b"\n\r\n"),
    "LF and CR": lambda data: data.replace(b"\n\n", b"\n\r"),
    "blank lines": lambda data: data.replace(b"\n\n", b"\n\n\n\n"),
    "blank lines before": lambda data: b"\r\n\n" + data,
    "BOM": lambda data: b"\xef\xbb\xbf" + data,
    "BOM and CRLF": lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
    "id and retry": lambda data: re.sub(rb"(?m)^data", b"id: 7\nretry: 10\ndata", data),
}


@each_target
@each_source
@pytest.mark.parametrize("name", LINE_ENDS)
def test_trap_84_line_ends(source: str, target: str, name: str) -> None:
    """No event is missed, none is seen twice; `run` cuts every CRLF in two."""
    data = STREAMS[source]
    assert run(source, target, LINE_ENDS[name](data)).raw == run(source, target, data).raw


@each_target
@each_source
def test_trap_84_a_crlf_in_two_reads(source: str, target: str) -> None:
    data = STREAMS[source].replace(b"\n", b"\r\n")
    expected = run(source, target, STREAMS[source]).raw
    translator = Translator(source, target, normalize=True)
    assert b"".join(map(translator.feed, re.findall(rb"\n?[^\n]+|\n", data))) + translator.close() == expected


@each_source
def test_trap_84_a_frame_that_ends_in_crlf_leaves_at_once(source: str) -> None:
    """It does not wait for the next one to begin."""
    for frame, step in zip(
        frames_of(STREAMS[source]),
        steps(source, source, [frame.replace(b"\n", b"\r\n") for frame in frames_of(STREAMS[source])]),
        strict=False,
    ):
        assert deltas(step) == deltas(frame)


@each_target
@each_source
def test_trap_84_other_line_separators_are_text(source: str, target: str) -> None:
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    assert run(source, target, texts(source, text, text)).said == [("text", text * 2)]


# -- 85, 87: cuts -----------------------------------------------------------------------------------------------------


@each_target
@each_source
def test_trap_85_a_character_in_two_reads(source: str, target: str) -> None:
    """Characters of two, three and four bytes, cut after each byte."""
    text = "é€😀"
    data = texts(source, text)
    expected = run(source, target, data)
    assert expected.said == [("text", text)]
    start = data.index(text.encode())
    for cut in range(start, start + len(text.encode()) + 1):
        translator = Translator(source, target, normalize=True)
        out = translator.feed(data[:cut]) + translator.feed(data[cut:]) + translator.close()
        assert out == expected.raw


@each_target
@each_source
def test_trap_85_a_surrogate_pair_in_two_deltas(source: str, target: str) -> None:
    r"""Some upstreams cut the escapes `😀` between two events."""
    data = texts(source, "left", "right").replace(b'"left"', b'"\\ud83d"').replace(b'"right"', b'"\\ude00"')
    translator = Translator(source, target, normalize=True)
    out = translator.feed(data) + translator.close()
    assert translator.error is None
    assert "".join(deltas(out)).encode("utf-16", "surrogatepass").decode("utf-16") == "😀"
    assert translator.message.text() == "😀"


@each_target
@each_source
def test_trap_87_an_event_in_two_reads(source: str, target: str) -> None:
    """Cut everywhere in the events that matter."""
    data = STREAMS[source]
    expected = run(source, target, data).raw
    for cut in range(data.index(b"H"), data.index(b":1}") + 3):
        translator = Translator(source, target, normalize=True)
        assert translator.feed(data[:cut]) + translator.feed(data[cut:]) + translator.close() == expected


@each_source
def test_trap_87_an_event_in_two_reads_passes_untouched(source: str) -> None:
    data = STREAMS[source]
    for cut in range(0, len(data), 3):
        translator = Translator(source, source)
        assert translator.feed(data[:cut]) + translator.feed(data[cut:]) + translator.close() == data
        assert translator.error is None


@each_target
@each_source
def test_trap_87_several_events_in_one_read(source: str, target: str) -> None:
    frames = frames_of(STREAMS[source])
    expected = run(source, target, STREAMS[source]).raw
    for size in range(2, len(frames) + 1):
        translator = Translator(source, target, normalize=True)
        reads = (b"".join(frames[at : at + size]) for at in range(0, len(frames), size))
        assert b"".join(map(translator.feed, reads)) + translator.close() == expected


# -- 88: what every Chat chunk has ------------------------------------------------------------------------------------

ROLES: dict[str, list[Json]] = {
    "none": [said("Hel"), said("lo")],
    "empty": [{"role": "", "content": "Hel"}, {"role": "", "content": "lo"}],
    "null": [{"role": None, "content": "Hel"}, {"role": None, "content": "lo"}],
    "on every chunk": [{"role": "assistant", "content": "Hel"}, {"role": "assistant", "content": "lo"}],
    "late": [said("Hel"), {"role": "assistant", "content": "lo"}],
}


@each_target
@pytest.mark.parametrize("name", ROLES)
def test_trap_88_roles(name: str, target: str) -> None:
    """Whatever the source does, the target's first chunk has the role and no other one (which `run` sees to)."""
    out = run("openai-chat", target, chat(*map(chunk, ROLES[name]), STOP))
    assert out.said == [("text", "Hello")]
    if target == "openai-chat":
        chunks = [frame.data for frame in out.frames[:-1]]
        assert [data["choices"][0]["delta"].get("role") for data in chunks] == ["assistant", None, None, None]


@each_source
def test_trap_88_all_chunks_agree(source: str) -> None:
    """One id, one `created`, one model (Perplexity and others change them), and `finish_reason` null but at the end."""
    data = texts(source, "Hel", "lo")
    if source == "openai-chat":
        count = iter(range(100))
        data = re.sub(rb'"chatcmpl-trap"', lambda _: b'"chatcmpl-%d"' % next(count), data)
        data = re.sub(rb"1700000000", lambda _: b"17%08d" % next(count), data)
        data = re.sub(rb'"model-1"', lambda _: b'"model-%d"' % next(count), data)
    chunks = [frame.data for frame in run(source, "openai-chat", data).frames if frame.data != "[DONE]"]
    assert len({(data["id"], data["created"], data["model"]) for data in chunks}) == 1
    finishes = [choice["finish_reason"] for data in chunks for choice in data["choices"]]
    assert finishes == [None, None, None, "stop"]


@each_target
@pytest.mark.parametrize(
    "last", [said("lo"), thought("lo"), call(0, "call_1", "f", "{}")], ids=["text", "reasoning", "call"]
)
def test_trap_88_the_finish_has_its_own_chunk(last: Json, target: str) -> None:
    """Also where the source put it on the last piece, as Mistral does."""
    out = run("openai-chat", target, chat(chunk(said("Hel")), chunk(last, "stop", usage=usage_chunk()["usage"])))
    assert deltas(out.raw)[-1] == ("{}" if "tool_calls" in last else "lo")
    if target == "openai-chat":
        finish = [f.data for f in out.frames[:-1] if f.data["choices"] and f.data["choices"][0]["finish_reason"]]
        assert [data["choices"][0]["delta"] for data in finish] == [{}]


@each_source
def test_trap_88_the_created_of_a_chunk_is_the_streams(source: str) -> None:
    """Anthropic has none: the option `created` says it, and it stays 0 where nobody does."""
    for created in (None, 1_234):
        out = run(source, "openai-chat", texts(source, "Hi"), created=created)
        expected = (created or 0) if source == "anthropic" else 1_700_000_000
        assert {frame.data["created"] for frame in out.frames[:-1]} == {expected}
