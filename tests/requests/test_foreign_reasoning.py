"""Reasoning of another provider or model, in a request that stays in its dialect.

It is not sent on, though the body would pass untouched without it, and each piece is a declared loss. What may be the
server's own goes on to the byte.
"""

import copy
import json
from typing import Any

import pytest

from ccproxy import translate_count_request, translate_request
from ccproxy.core.errors import RequestRefused
from ccproxy.core.events import Signature
from ccproxy.core.signatures import PREFIX, seal
from ccproxy.requests import TranslatedRequest

Json = dict[str, Any]

CLAUDE = "claude-sonnet-4-5"


def envelope(scheme: str, model: str = "", value: str = "c2ln", redacted: bool = False, signs: Any = "part") -> str:
    return seal(Signature(0, scheme, value, model, signs), redacted)


BROKEN = envelope("openai")[:-8] + "AAAA"


def sent(body: Json, dialect: str, **options: Any) -> TranslatedRequest:
    """The request, untouched and written anew: the same goes out and the same is lost."""
    before = copy.deepcopy(body)
    out = translate_request(body, dialect, dialect, **options)
    anew = translate_request(body, dialect, dialect, normalize=True, **options)
    assert body == before
    assert (out.body, out.losses) == (anew.body, anew.losses)
    assert not out.untouched
    assert PREFIX not in json.dumps(out.body)
    return out


def passed(body: Json, dialect: str, **options: Any) -> None:
    """The request goes on as it came, untouched and written anew."""
    out = translate_request(body, dialect, dialect, **options)
    assert (out.body, out.untouched, out.losses) == (body, True, ())
    anew = translate_request(body, dialect, dialect, normalize=True, **options)
    assert (anew.body, anew.losses) == (body, ())


def lost(out: TranslatedRequest) -> list[tuple[str, str]]:
    return [(loss.kind, loss.path) for loss in out.losses]


# Chat Completions: whose a signature is says the model beside it


CALL: Json = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT: Json = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
ON_CALL = "messages[1].tool_calls[0].extra_content.google.thought_signature"


def chat(model: str = "vendor/model-1", **answer: Any) -> Json:
    message = {"role": "assistant", "content": "Done.", **answer}
    results = [RESULT] if "tool_calls" in answer else []
    return {"model": model, "messages": [{"role": "user", "content": "hi"}, message, *results]}


def google(model: str = "", **beside: Any) -> Json:
    return {"google": {"thought_signature": "c2ln", **({"model": model} if model else {})}, **beside}


def detail(model: str = "", **fields: Any) -> Json:
    entry = {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
    return {**entry, **({"model": model} if model else {}), **fields}


def test_a_signature_of_another_model_on_a_call() -> None:
    out = sent(chat(tool_calls=[CALL | {"extra_content": google("gemini-3-pro")}]), "openai-chat")
    assert out.body == chat(tool_calls=[CALL])
    assert lost(out) == [("part", ON_CALL)]


def test_what_stands_beside_the_signature_stays() -> None:
    content = google("gemini-3-pro", other={"a": 1})
    content["google"]["more"] = 2
    out = sent(chat(tool_calls=[CALL | {"extra_content": content}]), "openai-chat")
    assert out.body == chat(tool_calls=[CALL | {"extra_content": {"other": {"a": 1}, "google": {"more": 2}}}])
    assert lost(out) == [("part", ON_CALL)]


@pytest.mark.parametrize("model", ["", "vendor/model-1", "model-1-20260101"])
def test_a_signature_on_a_call_that_may_be_the_servers(model: str) -> None:
    passed(chat(tool_calls=[CALL | {"extra_content": google(model, other={"a": 1})}]), "openai-chat")


def test_each_call_for_itself() -> None:
    calls = [CALL | {"extra_content": google(CLAUDE)}, CALL | {"id": "call_2", "extra_content": google("model-1")}]
    body = chat(tool_calls=calls)
    body["messages"].append(RESULT | {"tool_call_id": "call_2"})
    out = sent(body, "openai-chat")
    assert out.body["messages"][1]["tool_calls"] == [CALL, calls[1]]
    assert lost(out) == [("part", ON_CALL)]


@pytest.mark.parametrize("calls", [{}, {"tool_calls": [CALL]}], ids=["text", "call"])
def test_a_signature_of_another_model_on_the_message(calls: Json) -> None:
    content = google("gemini-3-pro", other=1)
    out = sent(chat(extra_content=content, **calls), "openai-chat")
    assert out.body == chat(extra_content={"other": 1}, **calls)
    assert lost(out) == [("part", "messages[1].extra_content.google.thought_signature")]
    passed(chat(extra_content=google(other=1), **calls), "openai-chat")


@pytest.mark.parametrize(
    "entry",
    [
        detail(CLAUDE),
        detail(CLAUDE, format="any-v1"),
        {"type": "reasoning.encrypted", "data": "c2ln", "format": "openai-responses-v1", "model": "gpt-5", "index": 0},
    ],
    ids=["text", "format", "encrypted"],
)
def test_an_entry_of_another_model(entry: Json) -> None:
    out = sent(chat(reasoning_details=[entry]), "openai-chat")
    assert out.body == chat()
    assert lost(out) == [("part", "messages[1].reasoning_details[0]")]


def test_an_entry_of_another_model_with_all_that_says_it_again() -> None:
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]
    said = {"reasoning_content": "Hm.", "reasoning": "Hm, in other words.", "thinking_blocks": blocks}
    signed = CALL | {"extra_content": google(CLAUDE)}
    out = sent(chat(reasoning_details=[detail(CLAUDE)], tool_calls=[signed], **said), "openai-chat")
    assert out.body == chat(tool_calls=[CALL])
    assert set(lost(out)) == {
        ("part", "messages[1].reasoning_details[0]"),
        ("part", "messages[1].reasoning"),
        ("part", "messages[1].thinking_blocks"),
        ("part", ON_CALL),
    }


@pytest.mark.parametrize("model", ["", "vendor/model-1"])
def test_an_entry_that_may_be_the_servers(model: str) -> None:
    passed(chat(reasoning_content="Hm.", reasoning_details=[detail(model, id="rs_1")]), "openai-chat")


def test_reasoning_that_nobody_signed_goes_on() -> None:
    """Servers that sign nothing want it back: https://api-docs.deepseek.com/guides/thinking_mode"""
    passed(chat(reasoning_content="Hm.", tool_calls=[CALL]), "openai-chat")
    unsigned = {"type": "reasoning.text", "text": "Hm.", "model": CLAUDE, "index": 0}
    passed(chat(reasoning_details=[unsigned]), "openai-chat")


def test_the_model_that_is_asked_for_counts() -> None:
    body = chat(reasoning_details=[detail("vendor/model-1")])
    out = translate_request(body, "openai-chat", "openai-chat", model="else-2")
    assert out.body == chat("else-2")
    assert lost(out) == [("part", "messages[1].reasoning_details[0]")]
    body = chat("an-alias", reasoning_details=[detail("vendor/model-1")])
    assert translate_request(body, "openai-chat", "openai-chat", model="vendor/model-1").losses == ()


def test_beside_an_envelope_nothing_is_forgotten() -> None:
    content = {"google": {"thought_signature": envelope("anthropic", CLAUDE), "more": 1}, "vertex": {"a": 1}}
    out = sent(chat(tool_calls=[CALL | {"extra_content": content}]), "openai-chat")
    rest = {"google": {"more": 1}, "vertex": {"a": 1}}
    assert out.body == chat(tool_calls=[CALL | {"extra_content": rest}])
    own = {"google": {"thought_signature": envelope("openai-chat/google", "model-1", signs="call"), "more": 1}}
    out = sent(chat(tool_calls=[CALL | {"extra_content": own}]), "openai-chat")
    assert out.body == chat(tool_calls=[CALL | {"extra_content": {"google": {"thought_signature": "c2ln", "more": 1}}}])
    assert out.losses == ()


@pytest.mark.parametrize(
    "answer",
    [
        {"reasoning_details": 1},
        {"reasoning_details": ["x", {"data": 1, "model": "m"}]},
        {"tool_calls": {"extra_content": google("m")}},
        {"extra_content": [google("m")]},
    ],
)
def test_what_is_odd_is_the_servers_to_judge(answer: Json) -> None:
    body = chat()
    body["messages"][1] |= answer
    assert translate_request(body, "openai-chat", "openai-chat").untouched


# Anthropic: without a signature it is nobody's


UNSIGNED: Json = {"type": "thinking", "thinking": "Hm.", "signature": ""}
SIGNED: Json = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
TEXT: Json = {"type": "text", "text": "Done."}
USE: Json = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
THINKING: Json = {"type": "enabled", "budget_tokens": 2000}


def claude(*blocks: Json, model: str = CLAUDE, **fields: Any) -> Json:
    messages: list[Json] = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": list(blocks)}]
    results = [{"type": "tool_result", "tool_use_id": b["id"], "content": "ok"} for b in blocks if "id" in b]
    messages.append({"role": "user", "content": results or "go on"})
    return {"model": model, "max_tokens": 4000, "messages": messages, **fields}


@pytest.mark.parametrize(
    "block",
    [
        UNSIGNED,
        {"type": "thinking", "thinking": "Hm."},
        {"type": "thinking", "thinking": "Hm.", "signature": None},
        SIGNED | {"signature": envelope("openai", "gpt-5")},
        SIGNED | {"signature": envelope("anthropic", "claude-opus-4-1")},
        SIGNED | {"signature": BROKEN},
        {"type": "redacted_thinking", "data": envelope("gemini", redacted=True)},
    ],
    ids=["empty", "absent", "null", "provider", "model", "broken", "redacted"],
)
def test_a_block_that_claude_refuses(block: Json) -> None:
    out = sent(claude(SIGNED, block, TEXT), "anthropic")
    assert out.body == claude(SIGNED, TEXT)
    assert lost(out) == [("part", "messages[1].content[1]")]
    counted = translate_count_request(claude(SIGNED, block, TEXT), "anthropic", "anthropic")
    assert counted.body["messages"] == out.body["messages"]
    assert [(loss.kind, loss.path) for loss in counted.losses] == lost(out)


def test_an_envelope_of_claudes_own_is_opened() -> None:
    out = sent(claude(SIGNED | {"signature": envelope("anthropic", CLAUDE)}, TEXT), "anthropic")
    assert (out.body, out.losses) == (claude(SIGNED, TEXT), ())


def test_signed_blocks_pass() -> None:
    passed(claude(SIGNED, {"type": "redacted_thinking", "data": "c2ln"}, TEXT), "anthropic")


def test_a_message_that_nothing_is_left_of_is_left_out() -> None:
    out = sent(claude(UNSIGNED), "anthropic")
    assert out.body["messages"] == [{"role": "user", "content": "hi"}, {"role": "user", "content": "go on"}]
    body = claude(UNSIGNED)
    del body["messages"][0], body["messages"][1]
    with pytest.raises(RequestRefused) as refused:
        translate_request(body, "anthropic", "anthropic")
    assert refused.value.path == "messages[0]"


def test_no_budget_for_an_answer_that_goes_on_without_its_reasoning() -> None:
    """Which is refused, and so is then the clearing of old reasoning: router-for-me/CLIProxyAPI#4957."""
    edits = [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}]
    body = claude(UNSIGNED, USE, thinking=THINKING, context_management={"edits": edits, "more": 1})
    out = sent(body, "anthropic")
    assert out.body == claude(USE, context_management={"edits": edits[1:], "more": 1})
    assert lost(out) == [
        ("part", "messages[1].content[0]"),
        ("repair", "thinking"),
        ("repair", "context_management"),
    ]


@pytest.mark.parametrize(
    ("blocks", "thinking"),
    [([SIGNED, UNSIGNED, USE], THINKING), ([UNSIGNED, USE], {"type": "adaptive"}), ([UNSIGNED, TEXT], THINKING)],
    ids=["reasoned", "adaptive", "over"],
)
def test_otherwise_it_goes_on_to_reason(blocks: list[Json], thinking: Json) -> None:
    management = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    out = sent(claude(*blocks, thinking=thinking, context_management=management), "anthropic")
    left = [block for block in blocks if block is not UNSIGNED]
    assert out.body == claude(*left, thinking=thinking, context_management=management)


@pytest.mark.parametrize("model", ["deepseek-v4-pro", "kimi-k2-thinking", "glm-5", "MiniMax-M3", "qwen3:8b"])
@pytest.mark.parametrize("block", [UNSIGNED, {"type": "thinking", "thinking": "Hm."}], ids=["empty", "absent"])
def test_models_that_do_not_sign_get_theirs_back(model: str, block: Json) -> None:
    """DeepSeek answers 400 without: NousResearch/hermes-agent#17510, can1357/oh-my-pi#908."""
    passed(claude(block, USE, model=model, thinking=THINKING), "anthropic")
    body = claude(block, SIGNED | {"signature": envelope("openai")}, USE, model=model)
    assert sent(body, "anthropic").body == claude(block, USE, model=model)


def test_an_option_says_whether_they_get_theirs_back() -> None:
    passed(claude(UNSIGNED, TEXT), "anthropic", unsigned_thinking="keep")
    body = claude(UNSIGNED, TEXT, model="deployment-7")
    assert lost(sent(body, "anthropic", unsigned_thinking="drop")) == [("part", "messages[1].content[0]")]
    body = claude(UNSIGNED, TEXT, model="an-alias")
    assert translate_request(body, "anthropic", "anthropic", model=CLAUDE).body == claude(TEXT)


def test_they_get_it_from_clients_of_other_dialects() -> None:
    body = chat("deepseek-v4-pro", reasoning_content="Hm.", content=None, tool_calls=[CALL])
    for option, blocks in (("auto", [UNSIGNED]), ("drop", [])):
        out = translate_request(body, "openai-chat", "anthropic", unsigned_thinking=option)
        uses = [block for block in out.body["messages"][1]["content"] if block["type"] != "tool_use"]
        assert uses == blocks
    silent = chat("deepseek-v4-pro", content="Done.")
    silent["messages"][1]["reasoning_details"] = [{"type": "reasoning.summary", "summary": ""}]
    out = translate_request(silent, "openai-chat", "anthropic")
    assert out.body["messages"][1]["content"] == "Done."


# Responses: an id that was made up is known to nobody


FULL: Json = {"type": "reasoning", "id": "rs_0083938b3a28070e0068fabd84727c81a0a52c171d2568a947", "summary": []}
MADE_UP = "rs_0123456789abcdef01234567"
SAID: Json = {"type": "summary_text", "text": "Hm."}


def responses(*items: Json, **fields: Any) -> Json:
    answer = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}
    return {"model": "gpt-5", "input": [{"role": "user", "content": "hi"}, *items, answer], **fields}


@pytest.mark.parametrize("store", [{}, {"store": True}, {"store": False}], ids=["default", "stored", "stateless"])
@pytest.mark.parametrize(
    "item",
    [
        {"id": MADE_UP, "summary": [SAID]},
        {"id": MADE_UP, "summary": [SAID, SAID], "encrypted_content": None, "status": "completed"},
        {"id": MADE_UP, "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {"id": MADE_UP, "summary": [], "encrypted_content": ""},
        {"id": MADE_UP, "summary": [SAID], "encrypted_content": envelope("anthropic", CLAUDE)},
        {"id": FULL["id"], "summary": [SAID], "encrypted_content": envelope("openai", "o4-mini")},
        {"id": FULL["id"], "summary": [SAID], "encrypted_content": BROKEN},
    ],
    ids=["summary", "summaries", "text", "nothing", "provider", "model", "broken"],
)
def test_an_item_that_openai_does_not_know(item: Json, store: Json) -> None:
    out = sent(responses({"type": "reasoning", **item}, **store), "openai-responses")
    assert out.body == responses(**store)
    pieces = len(item["summary"]) + len(item.get("content", ()))
    assert [kind for kind, _ in lost(out)] == ["part"] * (pieces or 1)
    assert all(path.startswith("input[1]") for _, path in lost(out))


@pytest.mark.parametrize("store", [{}, {"store": True}, {"store": False}], ids=["default", "stored", "stateless"])
@pytest.mark.parametrize(
    "item",
    [
        FULL,
        FULL | {"summary": [SAID]},
        FULL | {"encrypted_content": "gAAAA"},
        {"type": "reasoning", "id": "rs-a", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {"type": "reasoning", "summary": [SAID]},
    ],
    ids=["stored", "summary", "encrypted", "open", "without-id"],
)
def test_an_item_that_the_server_may_know(item: Json, store: Json) -> None:
    passed(responses(item, **store), "openai-responses")


def test_what_is_encrypted_goes_without_an_id_that_was_made_up() -> None:
    """It is bound to its id, and taken without one."""
    item = {"type": "reasoning", "summary": [SAID], "encrypted_content": "gAAAA"}
    out = sent(responses(item | {"id": MADE_UP}), "openai-responses")
    assert (out.body, lost(out)) == (responses(item), [("repair", "input[1]")])


def test_what_we_made_up_for_a_client_is_not_sent_to_openai() -> None:
    from ccproxy import Translator

    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "deepseek-v4-pro"}
    deltas: list[Json] = [{"reasoning_content": "Hm."}, {"content": "Done."}]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    frames = [chunk | {"choices": [c]} for c in (*choices, {"index": 0, "delta": {}, "finish_reason": "stop"})]
    translator = Translator("openai-chat", "openai-responses")
    translator.feed(b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames))
    translator.close()
    items = translator.body("openai-responses")["output"]
    out = sent({"model": "gpt-5", "input": [{"role": "user", "content": "hi"}, *items]}, "openai-responses")
    assert [item.get("type") for item in out.body["input"]] == [None, "message"]
    there = translate_request({"model": "deepseek-v4-pro", "input": items}, "openai-responses", "openai-chat")
    assert there.body["messages"][0]["reasoning_content"] == "Hm."


# Gemini


PLACEHOLDER = "skip_thought_signature_validator"


def gemini(*parts: Json) -> Json:
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    results = [{"functionResponse": {"name": call["name"], "response": {"output": "ok"}}} for call in calls]
    contents = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": list(parts)}]
    return {"contents": [*contents, {"role": "user", "parts": results or [{"text": "go on"}]}]}


FUNCTION: Json = {"functionCall": {"name": "f", "args": {}}}


@pytest.mark.parametrize(
    "seal",
    [envelope("openai", "gpt-5"), envelope("gemini", "gemini-2.5-pro", signs="call"), BROKEN],
    ids=["provider", "model", "broken"],
)
def test_a_call_that_gemini_has_not_signed(seal: str) -> None:
    body = gemini(FUNCTION | {"thoughtSignature": seal}, FUNCTION)
    out = sent(body, "gemini", model="gemini-3-pro-preview")
    assert out.body == gemini(FUNCTION | {"thoughtSignature": PLACEHOLDER}, FUNCTION)
    path = "contents[1].parts[0]"
    assert lost(out) == [("part", f"{path}.thoughtSignature"), ("repair", path)]
    older = sent(body, "gemini", model="gemini-2.0-flash")
    assert older.body == gemini(FUNCTION, FUNCTION)


@pytest.mark.parametrize(
    ("part", "left"),
    [
        ({"text": "Hm.", "thought": True, "thoughtSignature": envelope("anthropic", CLAUDE)}, []),
        ({"text": "Done.", "thoughtSignature": envelope("openai-chat/google", signs="text")}, [{"text": "Done."}]),
        ({"text": "", "thoughtSignature": envelope("anthropic", redacted=True)}, []),
        ({"text": "", "thought_signature": BROKEN}, []),
        (
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": envelope("openai")},
            [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
        ),
        (
            {"executableCode": {"code": "1"}, "thoughtSignature": envelope("openai")},
            [{"executableCode": {"code": "1"}}],
        ),
    ],
    ids=["thought", "text", "redacted", "broken", "image", "code"],
)
def test_parts_that_gemini_has_not_signed(part: Json, left: list[Json]) -> None:
    out = sent(gemini(part, {"text": "So."}), "gemini", model="gemini-3-pro-preview")
    assert out.body == gemini(*left, {"text": "So."})
    assert [kind for kind, _ in lost(out)] == ["part"]


def test_geminis_own_pass() -> None:
    thought = {"text": "Hm.", "thought": True}
    passed(gemini(thought, FUNCTION | {"thoughtSignature": "c2ln"}), "gemini", model="gemini-3-pro-preview")
    own = envelope("gemini", "gemini-3-pro-preview", signs="call")
    out = sent(gemini(thought, FUNCTION | {"thoughtSignature": own}), "gemini", model="gemini-3-pro-preview")
    assert (out.body, out.losses) == (gemini(thought, FUNCTION | {"thoughtSignature": "c2ln"}), ())
