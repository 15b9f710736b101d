"""Section D: usage and counts."""

import pytest

from ccproxy import collect

from .outputs import Output
from .streams import (
    CHAT_USAGE,
    DIALECTS,
    RESPONSES_USAGE,
    Json,
    anthropic,
    call,
    chat,
    chunk,
    each_source,
    each_target,
    failed,
    frames_of,
    message,
    message_delta,
    message_item,
    message_start,
    opening,
    response,
    responses,
    run,
    said,
    sse,
    steps,
    text_block,
    texts,
    usage_chunk,
    usage_of,
)

STOP = chunk(finish="stop")


def counts(output: Output) -> tuple[int, int, int, int]:
    """(input neither read from nor written to the cache, cache read, cache write, output)."""
    usage = usage_of(output)
    if "prompt_tokens" in usage or "total_tokens" in usage:
        whole = usage.get("prompt_tokens", usage.get("input_tokens"))
        spent = usage.get("completion_tokens", usage.get("output_tokens"))
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
        assert usage["total_tokens"] == whole + spent
        read, write = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
        return whole - read - write, read, write, spent
    read, write = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    return usage["input_tokens"], read, write, usage["output_tokens"]


# -- 48: where it comes -----------------------------------------------------------------------------------------------

PLACES: dict[str, list[Json]] = {
    "a chunk without choices": [chunk(said("Hi")), STOP, usage_chunk()],
    "a chunk with null choices": [chunk(said("Hi")), STOP, usage_chunk() | {"choices": None}],
    "a chunk with an empty choice": [chunk(said("Hi")), STOP, chunk({}, usage=CHAT_USAGE)],
    "the finish": [chunk(said("Hi")), chunk(finish="stop", usage=CHAT_USAGE)],
    "the finish with text": [chunk(said("Hi"), "stop", usage=CHAT_USAGE)],
    "the text": [chunk(said("Hi"), usage=CHAT_USAGE), STOP],
    "before the finish": [chunk(said("Hi")), usage_chunk(), STOP],
    "every chunk": [
        chunk(said("Hi"), usage=CHAT_USAGE | {"completion_tokens": 1}),
        chunk(finish="stop", usage=CHAT_USAGE),
    ],
    "every chunk, null first": [chunk(said("Hi"), usage=None), chunk(finish="stop", usage=CHAT_USAGE)],
    "x_groq": [chunk(said("Hi")), chunk(finish="stop", x_groq={"id": "r", "usage": CHAT_USAGE})],
}


@each_target
@pytest.mark.parametrize("place", PLACES)
def test_trap_48_usage_wherever_it_comes(place: str, target: str) -> None:
    out = run("openai-chat", target, chat(*PLACES[place]))
    assert out.said == [("text", "Hi")]
    assert counts(out) == (21, 0, 0, 9)


@each_source
def test_trap_48_chat_ends_with_the_finish_the_usage_and_done(source: str) -> None:
    data = texts(source, "Hi") if source != "openai-chat" else chat(*PLACES["the finish with text"])
    frames = run(source, "openai-chat", data).frames
    finish, usage, done = (frame.data for frame in frames[-3:])
    assert finish["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    assert finish["usage"] is None
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] == 9
    assert done == "[DONE]"


@each_source
def test_trap_48_no_usage_chunk_unless_wanted(source: str) -> None:
    frames = run(source, "openai-chat", texts(source, "Hi"), include_usage=False).frames
    assert all("usage" not in frame.data and frame.data["choices"] for frame in frames[:-1])


@each_target
def test_trap_48_no_usage_is_invented(target: str) -> None:
    """Anthropic must write two numbers; the others say that they know none."""
    out = run("openai-chat", target, chat(chunk(said("Hi")), STOP))
    assert out.usage == ({"input_tokens": 0, "output_tokens": 0} if target == "anthropic" else None)


@pytest.mark.parametrize("target", ["anthropic", "openai-responses"])
def test_trap_48_the_end_waits_for_usage_the_text_does_not(target: str) -> None:
    frames = frames_of(chat(chunk(said("Hi")), STOP, usage_chunk()))
    hi, stop, usage, done, _ = steps("openai-chat", target, frames)
    assert b"Hi" in hi
    assert not any(word in stop + usage for word in (b"message_delta", b"response.completed"))
    assert b"message_stop" in done or b"response.completed" in done


# -- 51-53: which numbers ---------------------------------------------------------------------------------------------


def started_with(output: Output) -> Json:
    usage: Json = output.events("message_start")[0]["message"]["usage"]
    return usage


def test_trap_51_the_start_tells_what_is_known() -> None:
    usage = {
        "input_tokens": 21,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 2,
        "output_tokens": 1,
    }
    out = run("anthropic", "anthropic", message(*text_block(0, "Hi"), start=usage))
    assert started_with(out) == usage
    assert counts(out) == (21, 3, 2, 9)


def test_trap_51_the_start_tells_what_the_first_chunk_said() -> None:
    """Perplexity and others count on every chunk."""
    first = chunk(said("Hi"), usage={"prompt_tokens": 21, "completion_tokens": 1, "total_tokens": 22})
    out = run("openai-chat", "anthropic", chat(first, chunk(finish="stop", usage=CHAT_USAGE)))
    assert started_with(out)["input_tokens"] == 21
    assert counts(out) == (21, 0, 0, 9)


@pytest.mark.parametrize("source", ["openai-chat", "openai-responses"])
def test_trap_51_the_end_tells_all_that_the_start_did_not(source: str) -> None:
    if source == "openai-chat":
        usage = CHAT_USAGE | {"prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2}}
        data = chat(chunk(said("Hi")), STOP, usage_chunk(usage))
    else:
        usage = RESPONSES_USAGE | {"input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2}}
        data = response(*message_item(0, "Hi"), usage=usage)
    out = run(source, "anthropic", data)
    assert started_with(out) == {"input_tokens": 0, "output_tokens": 0}
    assert counts(out) == (16, 3, 2, 9)


@pytest.mark.parametrize("source", ["openai-chat", "openai-responses"])
def test_trap_51_the_start_may_be_given_an_estimate(source: str) -> None:
    data = texts(source, "Hi") if source == "openai-responses" else chat(chunk(said("Hi")), STOP, usage_chunk())
    out = run(source, "anthropic", data, input_tokens=17)
    assert started_with(out)["input_tokens"] == 17
    assert counts(out) == (21, 0, 0, 9)


CACHED = {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3}


@each_target
@pytest.mark.parametrize(
    ("start", "updates", "expected"),
    [
        pytest.param(CACHED, [CACHED | {"output_tokens": 9}], (10, 5, 3, 9), id="the same again"),
        pytest.param(
            CACHED,
            [CACHED | {"output_tokens": 4}, CACHED | {"output_tokens": 9}],
            (10, 5, 3, 9),
            id="the same twice again",
        ),
        pytest.param({"input_tokens": 0}, [CACHED | {"output_tokens": 9}], (10, 5, 3, 9), id="only at the end"),
        pytest.param(CACHED, [{"output_tokens": 9}], (10, 5, 3, 9), id="only at the start"),
        pytest.param(
            CACHED,
            [{"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 9}],
            (10, 5, 3, 9),
            id="null at the end",
        ),
        pytest.param({"input_tokens": 43}, [{"input_tokens": 61, "output_tokens": 9}], (61, 0, 0, 9), id="rises"),
        pytest.param({"input_tokens": 600}, [{"input_tokens": 6, "output_tokens": 9}], (6, 0, 0, 9), id="falls"),
    ],
)
def test_trap_52_cumulative_counts_overwrite(
    start: Json, updates: list[Json], expected: tuple[int, ...], target: str
) -> None:
    data = anthropic(
        message_start(start | {"output_tokens": 1}),
        *text_block(0, "Hi"),
        *(message_delta("end_turn", update) for update in updates),
        {"type": "message_stop"},
    )
    assert counts(run("anthropic", target, data)) == expected


@each_target
def test_trap_52_cumulative_counts_of_chat_overwrite(target: str) -> None:
    counted = ({"prompt_tokens": 21, "completion_tokens": n, "total_tokens": 21 + n} for n in (3, 6, 9))
    out = run("openai-chat", target, chat(*(chunk(said("x"), usage=usage) for usage in counted), STOP))
    assert counts(out) == (21, 0, 0, 9)


DETAILS = {"cached_tokens": 30, "cache_write_tokens": 10}


@each_target
@each_source
def test_trap_53_cached_tokens_are_counted_once(source: str, target: str) -> None:
    """60 + 30 + 10: Anthropic's three fields are disjoint, the others' total holds the cached tokens."""
    whole = {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109, "prompt_tokens_details": DETAILS}
    usage = RESPONSES_USAGE | {"input_tokens": 100, "input_tokens_details": DETAILS, "total_tokens": 109}
    parts = {"input_tokens": 60, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 10}
    streams = {
        "anthropic": message(*text_block(0, "Hi"), start=parts | {"output_tokens": 1}),
        "openai-chat": chat(chunk(said("Hi")), STOP, usage_chunk(whole)),
        "openai-responses": response(*message_item(0, "Hi"), usage=usage),
    }
    assert counts(run(source, target, streams[source])) == (60, 30, 10, 9)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109, "prompt_cache_hit_tokens": 30},
            (70, 30, 0, 9),
            id="DeepSeek",
        ),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109, "cached_tokens": 30},
            (70, 30, 0, 9),
            id="Moonshot",
        ),
        pytest.param(
            {
                "prompt_tokens": 12,
                "completion_tokens": 1,
                "total_tokens": 303,
                "completion_tokens_details": {"reasoning_tokens": 290},
            },
            (12, 0, 0, 291),
            id="reasoning left out (xAI)",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "completion_tokens": 9,
                "total_tokens": 19,
                "prompt_tokens_details": {"cached_tokens": 40},
            },
            (0, 40, 0, 9),
            id="more cached than sent (xAI)",
        ),
    ],
)
def test_trap_53_vendors_count_differently(usage: Json, expected: tuple[int, ...]) -> None:
    assert counts(run("openai-chat", "anthropic", chat(chunk(said("Hi")), STOP, usage_chunk(usage)))) == expected


# -- 54, 56: of streams that end otherwise, and late ------------------------------------------------------------------


@each_target
@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_trap_54_usage_of_an_incomplete_response(reason: str, target: str) -> None:
    data = response(
        *message_item(0, "Hi", status="incomplete"), end="incomplete", incomplete_details={"reason": reason}
    )
    assert counts(run("openai-responses", target, data)) == (21, 0, 0, 9)


@each_target
def test_trap_54_usage_of_a_failed_response(target: str) -> None:
    """The target's terminal carries it if it can; the translator tells it in any case."""
    error = {"code": "server_error", "message": "Oops"}
    data = responses(*opening(), *message_item(0, "Hi"), failed(error, RESPONSES_USAGE))
    out = run("openai-responses", target, data)
    assert out.error is not None and out.error["message"] == "Oops"
    usage = out.translator.usage
    assert usage is not None and (usage.input, usage.output) == (21, 9)
    if target == "openai-responses":
        assert counts(out) == (21, 0, 0, 9)


@pytest.mark.parametrize("source", ["anthropic", "openai-chat"])
def test_trap_54_usage_of_what_fails_for_a_responses_client(source: str) -> None:
    if source == "anthropic":
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Oops"}}
        data = anthropic(message_start(), *text_block(0, "Hi"), error)
        expected = (21, 0, 0, 1)
    else:
        data = chat(chunk(said("Hi"), usage=CHAT_USAGE), done=False) + sse({"error": {"message": "Oops"}})
        expected = (21, 0, 0, 9)
    out = run(source, "openai-responses", data)
    assert out.error is not None
    assert counts(out) == expected


@each_target
@pytest.mark.parametrize("done", [True, False], ids=["with [DONE]", "without"])
def test_trap_56_usage_after_the_finish(target: str, done: bool) -> None:
    """Some send the last text, the finish and the usage in three chunks, some end right after."""
    data = chat(chunk(said("Hi")), STOP, usage_chunk(), done=done)
    assert counts(run("openai-chat", target, data)) == (21, 0, 0, 9)


@each_target
def test_trap_56_usage_after_the_finish_of_a_call(target: str) -> None:
    data = chat(chunk(call(0, "call_1", "f", "{}")), chunk(finish="tool_calls"), usage_chunk())
    out = run("openai-chat", target, data)
    assert counts(out) == (21, 0, 0, 9)
    assert out.finish == {"anthropic": "tool_use", "openai-chat": "tool_calls", "openai-responses": "completed"}[target]


@each_target
def test_trap_56_the_last_usage_counts(target: str) -> None:
    first = usage_chunk(CHAT_USAGE | {"completion_tokens": 4, "total_tokens": 25})
    assert counts(run("openai-chat", target, chat(chunk(said("Hi")), STOP, first, usage_chunk()))) == (21, 0, 0, 9)


@each_source
def test_trap_56_usage_in_the_body(source: str) -> None:
    data = chat(chunk(said("Hi")), STOP, usage_chunk()) if source == "openai-chat" else texts(source, "Hi")
    for target in DIALECTS:
        usage = collect(data, source, target)["usage"]
        assert usage.get("input_tokens", usage.get("prompt_tokens")) == 21
        assert usage.get("output_tokens", usage.get("completion_tokens")) == 9
