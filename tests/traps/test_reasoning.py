"""Section C: thinking, signatures, reasoning."""

import re
from itertools import pairwise

import pytest

from ccproxy import Translator, collect, translate_response
from ccproxy.core.signatures import unseal

from .outputs import Output, Said, deltas
from .streams import (
    Json,
    call,
    call_item,
    chat,
    chunk,
    each_target,
    frames_of,
    item_delta,
    item_event,
    message,
    message_item,
    reasoning_item,
    redacted_block,
    response,
    run,
    said,
    steps,
    text_block,
    thinking_block,
    thought,
    tool_block,
    usage_chunk,
)

STOP = chunk(finish="stop")
SIGNATURE = "c2lnbmF0dXJl+/=="


def opened(signature: str) -> tuple[str, str]:
    """Whose signature it is, if it is in an envelope, and the signature."""
    sealed = unseal(signature)
    return ("", signature) if sealed is None else (sealed.scheme, sealed.value)


def relay(data: bytes, *dialects: str) -> Output:
    """Translate through several dialects in turn."""
    out = None
    for source, target in pairwise(dialects):
        out = run(source, target, data)
        data = out.raw
    assert out is not None
    return out


# -- 38: signatures ---------------------------------------------------------------------------------------------------


def openrouter(*, signed: bool = True) -> list[Json]:
    entry = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    last = [chunk({"reasoning_details": [entry | {"signature": SIGNATURE}]})] if signed else []
    return [
        *(chunk({"reasoning": text, "reasoning_details": [entry | {"text": text}]}) for text in ("Think", " once.")),
        *last,
    ]


def litellm(*blocks: tuple[str, str | None], plain: bool) -> list[Json]:
    """Chunks with `thinking_blocks`: (text, signature); `plain` repeats the text of unsigned ones in a field."""
    return [
        chunk(
            {
                "thinking_blocks": [
                    {"type": "thinking", "thinking": text} | ({"signature": signature} if signature else {})
                ]
            }
            | ({"reasoning_content": text} if plain and not signature else {})
        )
        for text, signature in blocks
    ]


SIGNED_BY: dict[str, str] = {"anthropic": "", "openrouter": "openai-chat/anthropic-claude-v1"}
BLOCKS = "openai-chat/thinking_blocks"
SIGNED: dict[str, tuple[str, bytes]] = {
    "anthropic": (
        "anthropic",
        message(*thinking_block(0, "Think", " once.", signature=SIGNATURE), *text_block(1, "So.")),
    ),
    "openrouter": ("openai-chat", chat(*openrouter(), chunk(said("So.")), STOP)),
    "litellm": (
        "openai-chat",
        chat(*litellm(("Think", None), (" once.", None), ("", SIGNATURE), plain=True), chunk(said("So.")), STOP),
    ),
    "litellm, blocks alone": (
        "openai-chat",
        chat(*litellm(("Think", None), (" once.", None), ("", SIGNATURE), plain=False), chunk(said("So.")), STOP),
    ),
    "all the text again with the signature": (
        "openai-chat",
        chat(
            *litellm(("Think", None), (" once.", None), ("Think once.", SIGNATURE), plain=True),
            chunk(said("So.")),
            STOP,
        ),
    ),
    "all the text again with the signature, blocks alone": (
        "openai-chat",
        chat(
            *litellm(("Think", None), (" once.", None), ("Think once.", SIGNATURE), plain=False),
            chunk(said("So.")),
            STOP,
        ),
    ),
}


@each_target
@pytest.mark.parametrize("case", SIGNED)
def test_trap_38_the_signature_comes_once_and_no_text_twice(case: str, target: str) -> None:
    """`run` sees to it that it is the last of its block, where the target is Anthropic.

    What a Chat server sent is never taken for Anthropic's own, though its format is named after Anthropic.
    """
    source, data = SIGNED[case]
    out = run(source, target, data)
    assert out.said == [("reasoning", "Think once."), ("text", "So.")]
    assert len(out.signatures) == 1 and out.signatures[0]
    if target == "anthropic":
        assert [opened(signature) for signature in out.signatures] == [(SIGNED_BY.get(case, BLOCKS), SIGNATURE)]
        assert [e["delta"]["type"] for e in out.events("content_block_delta")] == [
            "thinking_delta",
            "thinking_delta",
            "signature_delta",
            "text_delta",
        ]


@pytest.mark.parametrize("case", SIGNED)
def test_trap_38_the_signature_is_in_the_body(case: str) -> None:
    source, data = SIGNED[case]
    block = collect(data, source, "anthropic")["content"][0]
    assert block["type"] == "thinking" and block["thinking"] == "Think once."
    assert opened(block["signature"]) == (SIGNED_BY.get(case, BLOCKS), SIGNATURE)


@pytest.mark.parametrize("case", [case for case in SIGNED if case != "anthropic"])
def test_trap_38_the_chat_server_gets_back_what_it_sent(case: str) -> None:
    """In the form that it came in, and through Anthropic and back too."""
    source, data = SIGNED[case]
    for out in (run(source, "openai-chat", data, normalize=True), relay(data, source, "anthropic", "openai-chat")):
        assert out.signatures == [SIGNATURE]
        chunks: list[Json] = [frame.data for frame in out.frames if isinstance(frame.data, dict)]
        sent = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
        entries = [entry for delta in sent for entry in delta.get("reasoning_details", [])]
        blocks = [block for delta in sent for block in delta.get("thinking_blocks", [])]
        if case == "openrouter":
            assert [entry["format"] for entry in entries] == ["anthropic-claude-v1"] and not blocks
        else:
            assert blocks == [{"type": "thinking", "thinking": "Think once.", "signature": SIGNATURE}] and not entries


RELAYED = {"openai-chat": "openai-chat/anthropic-claude-v1#model"}
"""A stream of Chat is a Chat server's, so it gets the signature back; that of another dialect is unsealed."""


@pytest.mark.parametrize("via", ["openai-chat", "openai-responses"])
@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([*thinking_block(0, "a", signature=SIGNATURE), *text_block(1, "b")], id="thinking"),
        pytest.param([*thinking_block(0, signature=SIGNATURE), *text_block(1, "b")], id="signature without text"),
        pytest.param(
            [
                *thinking_block(0, "a", signature=SIGNATURE),
                *tool_block(1, "call_1", "f", "{}"),
                *thinking_block(2, "b", signature="other"),
            ],
            id="two, each with its own",
        ),
    ],
)
def test_trap_38_the_signature_survives_a_foreign_dialect(via: str, blocks: list[Json]) -> None:
    direct = run("anthropic", "anthropic", message(*blocks))
    there = relay(message(*blocks), "anthropic", via, "anthropic")
    signatures = [s for s in there.signatures if s] + [part[1] for part in there.said if part[0] == "redacted"]
    assert [opened(s) for s in signatures] == [(RELAYED.get(via, ""), s) for s in direct.signatures if s]


# -- 40: thinking without signatures ----------------------------------------------------------------------------------

FIELDS: dict[str, list[Json]] = {
    "reasoning_content": [thought("Think"), thought(" once.")],
    "reasoning": [{"reasoning": "Think"}, {"reasoning": " once."}],
    "reasoning_text": [{"reasoning_text": "Think"}, {"reasoning_text": " once."}],
    "both at once": [{"reasoning_content": text, "reasoning": text} for text in ("Think", " once.")],
    "with null content": [{"content": None, "reasoning_content": text} for text in ("Think", " once.")],
    "with empty content": [{"content": "", "reasoning_content": text} for text in ("Think", " once.")],
    "reasoning_details": [
        {"reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]} for text in ("Think", " once.")
    ],
    "a list (Mistral)": [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}
        for text in ("Think", " once.")
    ],
    "a list (Databricks)": [
        {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}]}
        for text in ("Think", " once.")
    ],
}


@each_target
@pytest.mark.parametrize("name", FIELDS)
def test_trap_40_reasoning_is_surfaced(name: str, target: str) -> None:
    out = run("openai-chat", target, chat(*map(chunk, FIELDS[name]), chunk(said("So.")), STOP))
    assert out.said == [("reasoning", "Think once."), ("text", "So.")]
    assert deltas(out.raw) == ["Think", " once.", "So."]


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("anthropic", message(*thinking_block(0, "Hm."))),
        ("openai-chat", chat(chunk(thought("Hm.")), STOP)),
        ("openai-responses", response(*reasoning_item(0, ["Hm."]))),
    ],
)
def test_trap_40_no_signature_is_invented(source: str, data: bytes) -> None:
    """The block starts with an empty signature and no signature_delta follows."""
    out = run(source, "anthropic", data)
    assert out.events("content_block_start")[0]["content_block"] == {
        "type": "thinking",
        "thinking": "",
        "signature": "",
    }
    assert [event["delta"]["type"] for event in out.events("content_block_delta")] == ["thinking_delta"]


def test_trap_40_a_foreign_signature_is_sealed() -> None:
    """What another provider signed never looks like Anthropic's own, and comes back unchanged."""
    data = response(*reasoning_item(0, ["Hm."], encrypted="gAAAA-theirs"), *message_item(1, "So."))
    out = run("openai-responses", "anthropic", data)
    assert out.signatures[0] and out.signatures != ["gAAAA-theirs"]
    assert relay(data, "openai-responses", "anthropic", "openai-responses").signatures == ["gAAAA-theirs"]
    relayed = relay(data, "openai-responses", "openai-chat", "openai-responses").signatures
    assert [opened(signature) for signature in relayed] == [("openai-chat/openai-responses-v1#model", "gAAAA-theirs")]


# -- 43: redacted thinking --------------------------------------------------------------------------------------------

REDACTED: list[tuple[str, list[Json], list[Said]]] = [
    ("alone", redacted_block(0, "ZGF0YQ=="), [("redacted", "ZGF0YQ==")]),
    (
        "before text",
        [*redacted_block(0, "ZGF0YQ=="), *text_block(1, "So.")],
        [("redacted", "ZGF0YQ=="), ("text", "So.")],
    ),
    (
        "two between thinking",
        [
            *thinking_block(0, "a", signature="s1"),
            *redacted_block(1, "Zmlyc3Q="),
            *redacted_block(2, "c2Vjb25k"),
            *thinking_block(3, "b", signature="s2"),
            *text_block(4, "So."),
        ],
        [
            ("reasoning", "a"),
            ("redacted", "Zmlyc3Q="),
            ("redacted", "c2Vjb25k"),
            ("reasoning", "b"),
            ("text", "So."),
        ],
    ),
    (
        "before a call",
        [*redacted_block(0, "ZGF0YQ=="), *tool_block(1, "call_1", "f", '{"x":1}')],
        [("redacted", "ZGF0YQ=="), ("tool", "call_1", "f", '{"x":1}')],
    ),
]
each_redacted = pytest.mark.parametrize(
    ("blocks", "expected"), [case[1:] for case in REDACTED], ids=[c[0] for c in REDACTED]
)


@each_redacted
def test_trap_43_redacted_thinking_is_kept_verbatim_and_in_order(blocks: list[Json], expected: list[Said]) -> None:
    assert run("anthropic", "anthropic", message(*blocks)).said == expected
    content = collect(message(*blocks), "anthropic")["content"]
    assert [block["data"] for block in content if block["type"] == "redacted_thinking"] == [
        part[1] for part in expected if part[0] == "redacted"
    ]


@pytest.mark.parametrize("via", ["openai-chat", "openai-responses"])
@each_redacted
def test_trap_43_redacted_thinking_survives_a_foreign_dialect(
    blocks: list[Json], expected: list[Said], via: str
) -> None:
    assert [part[0] for part in run("anthropic", via, message(*blocks)).said] == [part[0] for part in expected]
    said = relay(message(*blocks), "anthropic", via, "anthropic").said
    assert [(part[0], opened(part[1])[1], *part[2:]) for part in said] == expected


@each_target
def test_trap_43_redacted_thinking_of_litellm(target: str) -> None:
    block = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
    data = chat(chunk({"thinking_blocks": [block]}), chunk(said("So.")), STOP)
    out = run("openai-chat", target, data)
    assert [part[0] for part in out.said] == ["redacted", "text"]
    if target == "anthropic":
        assert opened(out.said[0][1]) == (BLOCKS, "ZGF0YQ==")


@each_target
def test_trap_43_encrypted_reasoning_without_a_summary(target: str) -> None:
    out = run("openai-responses", target, response(*reasoning_item(0, encrypted="gAAAA"), *message_item(1, "So.")))
    assert [part[0] for part in out.said] == ["redacted", "text"]
    if target == "openai-responses":
        assert out.said[0] == ("redacted", "gAAAA")


# -- 44: <think> ------------------------------------------------------------------------------------------------------

THINK = ("think-tags",)
TAGGED = "<think>a<b</thin</think>c<d"


@each_target
@pytest.mark.parametrize("size", range(1, len(TAGGED) + 1))
def test_trap_44_a_tag_in_pieces(target: str, size: int) -> None:
    pieces = [TAGGED[at : at + size] for at in range(0, len(TAGGED), size)]
    out = run("openai-chat", target, chat(*(chunk(said(piece)) for piece in pieces), STOP), quirks=THINK)
    assert out.said == [("reasoning", "a<b</thin"), ("text", "c<d")]


@pytest.mark.parametrize("cut", range(1, len(TAGGED)))
def test_trap_44_a_tag_in_two_pieces(cut: int) -> None:
    data = chat(chunk(said(TAGGED[:cut])), chunk(said(TAGGED[cut:])), STOP)
    assert run("openai-chat", "anthropic", data, quirks=THINK).said == [("reasoning", "a<b</thin"), ("text", "c<d")]


@each_target
@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(["<think>", "all of ", "it"], [("reasoning", "all of it")], id="no closing tag"),
        pytest.param(["<think>hm</th"], [("reasoning", "hm</th")], id="half a closing tag"),
        pytest.param(["a <thi"], [("text", "a <thi")], id="half an opening tag"),
        pytest.param(["<think></think>", "a"], [("text", "a")], id="nothing between"),
    ],
)
@pytest.mark.parametrize("joined", [True, False], ids=["finish in the last chunk", "finish alone"])
def test_trap_44_what_was_held_is_flushed(target: str, pieces: list[str], expected: list[Said], joined: bool) -> None:
    chunks = [chunk(said(piece)) for piece in pieces]
    last = [*chunks[:-1], chunk(said(pieces[-1]), "stop")] if joined else [*chunks, STOP]
    assert run("openai-chat", target, chat(*last), quirks=THINK).said == expected


@each_target
def test_trap_44_what_was_held_is_flushed_before_the_error_of_a_cut(target: str) -> None:
    """Everything understood before the fault is delivered."""
    out = run("openai-chat", target, chat(chunk(said("1 <t")), done=False), quirks=THINK)
    assert out.error is not None
    assert "".join(deltas(out.raw)) == "1 <t"


@each_target
def test_trap_44_nothing_but_a_suffix_is_held(target: str) -> None:
    frames = frames_of(chat(*(chunk(said(text)) for text in ("<think>a", "b<", "x</think>c", "d")), STOP))
    out = [deltas(step) for step in steps("openai-chat", target, frames, quirks=THINK)]
    assert out[:4] == [["a"], ["b"], ["<x", "c"], ["d"]]


@each_target
def test_trap_44_chunks_without_content_keep_their_place(target: str) -> None:
    """A call and the usage come after the text that was held when they came."""
    data = chat(
        chunk(said("<think>a")),
        chunk(said("</think>b")),
        chunk(call(0, "call_1", "f", "{}")),
        chunk(finish="tool_calls"),
        usage_chunk(),
    )
    out = run("openai-chat", target, data, quirks=THINK)
    assert out.said == [("reasoning", "a"), ("text", "b"), ("tool", "call_1", "f", "{}")]
    assert out.usage is not None and out.usage.get("output_tokens", out.usage.get("completion_tokens")) == 9


@each_target
def test_trap_44_held_text_comes_before_the_call_that_follows_it(target: str) -> None:
    data = chat(chunk(said("a <")), chunk(call(0, "call_1", "f", "{}")), chunk(finish="tool_calls"))
    out = run("openai-chat", target, data, quirks=THINK)
    assert out.said == [("text", "a <"), ("tool", "call_1", "f", "{}")]


@each_target
def test_trap_44_tags_are_text_unless_asked_for(target: str) -> None:
    """The repair is a quirk, off by default: a model may well write about tags."""
    data = chat(chunk(said("<think>a</th")), chunk(said("ink>b")), STOP)
    assert run("openai-chat", target, data).said == [("text", "<think>a</think>b")]


# -- 45, 47: reasoning of Responses, several texts --------------------------------------------------------------------


def reasoning_text(*texts: str) -> list[Json]:
    """An item with the reasoning itself (LM Studio)."""
    where: Json = {"index": 0, "item": "rs_0", "content_index": 0}
    part = {"type": "reasoning_text", "text": "".join(texts)}
    item = {"id": "rs_0", "type": "reasoning", "summary": []}
    return [
        item_event("added", 0, item | {"content": []}),
        item_delta("content_part.added", **where, part=part | {"text": ""}),
        *(item_delta("reasoning_text.delta", **where, delta=text) for text in texts),
        item_delta("reasoning_text.done", **where, text=part["text"]),
        item_delta("content_part.done", **where, part=part),
        item_event("done", 0, item | {"content": [part]}),
    ]


SUMMARY = reasoning_item(0, ["Think", " once."])
FULL = reasoning_text("Think", " once.")
REASONING: dict[str, list[Json]] = {
    "summary": SUMMARY,
    "summary in one done event": [e for e in SUMMARY if not e["type"].endswith("delta")],
    "summary in item.done alone": [SUMMARY[0], SUMMARY[-1]],
    "summary in item.done alone, never added": [SUMMARY[-1]],
    "reasoning_text": FULL,
    "reasoning_text in one done event": [e for e in FULL if not e["type"].endswith("delta")],
    "reasoning_text in item.done alone": [FULL[0], FULL[-1]],
    "reasoning_text without its part": [e for e in FULL if "content_part" not in e["type"]],
}


@each_target
@pytest.mark.parametrize("name", REASONING)
def test_trap_45_reasoning_of_responses(name: str, target: str) -> None:
    out = run("openai-responses", target, response(*REASONING[name], *message_item(1, "So.")))
    assert out.said == [("reasoning", "Think once."), ("text", "So.")]


@each_target
def test_trap_45_several_summaries(target: str) -> None:
    """In Chat's one string a blank line sets them apart."""
    out = run("openai-responses", target, response(*reasoning_item(0, ["a", "b"], ["c"]), *message_item(1, "So.")))
    chat_has: list[Said] = [("reasoning", "ab\n\nc"), ("text", "So.")]
    assert out.said == (
        chat_has if target == "openai-chat" else [("reasoning", "ab"), ("reasoning", "c"), ("text", "So.")]
    )


SEVERAL = [*text_block(0, "a", "b"), *text_block(1, "c"), *tool_block(2, "call_1", "f", "{}"), *text_block(3, "d")]
SEVERAL_ITEMS = [
    *message_item(0, "a", "b"),
    *message_item(1, "c"),
    *call_item(2, "call_1", "f", "{}"),
    *message_item(3, "d"),
]


@pytest.mark.parametrize(
    ("source", "data"),
    [("anthropic", message(*SEVERAL, stop="tool_use")), ("openai-responses", response(*SEVERAL_ITEMS))],
)
def test_trap_47_several_texts_in_a_body(source: str, data: bytes) -> None:
    content = collect(data, source, "anthropic")["content"]
    assert [block.get("text", block["type"]) for block in content] == ["ab", "c", "tool_use", "d"]
    choice = collect(data, source, "openai-chat")["choices"][0]["message"]
    assert choice["content"] == "abcd" and len(choice["tool_calls"]) == 1
    output = collect(data, source, "openai-responses")["output"]
    assert [item["content"][0]["text"] if item["type"] == "message" else item["type"] for item in output] == [
        "ab",
        "c",
        "function_call",
        "d",
    ]


@each_target
@pytest.mark.parametrize(
    ("source", "data"),
    [("anthropic", message(*SEVERAL, stop="tool_use")), ("openai-responses", response(*SEVERAL_ITEMS))],
)
def test_trap_47_several_texts_in_a_stream(source: str, data: bytes, target: str) -> None:
    out = run(source, target, data)
    assert out.joined("text") == "abcd"
    assert [part[0] for part in out.said if part[0] == "tool"] == ["tool"]


# -- 42: signatures that are not of reasoning -------------------------------------------------------------------------


def google(signature: str, **more: Json) -> Json:
    return {"extra_content": {"google": {"thought_signature": signature, **more}}}


def called(index: int, id: str, **more: Json) -> Json:
    function = {"name": "f", "arguments": "{}"}
    return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": function, **more}]}


def carried(out: Output) -> list[tuple[str, str, str]]:
    """(scheme, value, what it signs) of each signature, and the calls between."""
    parts = out.translator.message.parts
    return [
        (part.signature.scheme, part.signature.value, part.signature.signs)
        if part.signature
        else (part.start.kind, part.start.id, part.text)
        for part in parts
    ]


CALLS = chat(
    chunk(called(0, "call_1", **google("c2lnMQ=="))),
    chunk(called(1, "call_2")),
    chunk({"tool_calls": [{"index": 1, "function": {"arguments": ""}, **google("bGF0ZQ==")}]}),
    chunk(called(2, "call_3", **google("c2lnMw=="))),
    chunk(finish="tool_calls"),
)


@each_target
def test_trap_42_the_signature_of_a_call_comes_before_it(target: str) -> None:
    """On a reasoning part without text, which every dialect can carry; one that comes later stays with its call."""
    out = run("openai-chat", target, CALLS)
    assert carried(out) == [
        ("openai-chat/google", "c2lnMQ==", "call"),
        ("tool", "call_1", "{}"),
        ("openai-chat/google", "bGF0ZQ==", "part"),
        ("openai-chat/google", "c2lnMw==", "call"),
        ("tool", "call_3", "{}"),
    ]
    losses = [(loss.kind, loss.part) for loss in out.translator.losses]
    assert losses == ([] if target == "openai-chat" else [("signature", 2)])


@pytest.mark.parametrize("via", ["anthropic", "openai-responses", "openai-chat"])
def test_trap_42_it_goes_back_onto_its_call(via: str) -> None:
    data = chat(
        chunk(called(0, "call_1", **google("c2lnMQ=="))), chunk(called(1, "call_2")), chunk(finish="tool_calls")
    )
    out = relay(data, "openai-chat", via, "openai-chat")
    chunks: list[Json] = [frame.data for frame in out.frames if isinstance(frame.data, dict)]
    calls = [call for c in chunks if c["choices"] for call in c["choices"][0]["delta"].get("tool_calls", [])]
    first = [call.get("extra_content") for call in calls if call.get("id")]
    assert first == [google("c2lnMQ==")["extra_content"], None]


@each_target
def test_trap_42_the_signature_of_a_text_comes_after_it(target: str) -> None:
    data = chat(chunk(thought("Hm.")), chunk(said("So.")), chunk({"content": "", **google("c2ln")}), STOP)
    out = run("openai-chat", target, data)
    assert carried(out) == [
        ("reasoning", "", "Hm."),
        ("text", "", "So."),
        ("openai-chat/google", "c2ln", "text"),
    ]
    assert not [loss for loss in out.translator.losses if loss.kind == "order"]
    assert carried(relay(data, "openai-chat", target, target))[-1] == ("openai-chat/google", "c2ln", "text")


def test_trap_42_a_signature_whose_call_does_not_come_is_sealed() -> None:
    """It was for a call that the stream did not live to make."""
    data = chat(chunk(called(0, "call_1", **google("c2ln"))), chunk(finish="tool_calls"))
    translator = Translator("openai-chat", "anthropic")
    blocks = translator.feed(data) + translator.close()
    cut = blocks[: blocks.index(b"event: content_block_start", blocks.index(b"content_block_stop"))]
    for end in (b"", b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'):
        again = Translator("anthropic", "openai-chat")
        out = again.feed(cut + end) + again.close()
        assert unseal_in(out) == [("openai-chat/google", "c2ln", "call")]


def unseal_in(data: bytes) -> list[tuple[str, str, str]]:
    found = re.findall(rb'"signature":"([^"]+)"', data)
    sealed = [unseal(value.decode()) for value in found]
    return [(one.scheme, one.value, one.signs) for one in sealed if one is not None]


@pytest.mark.parametrize("plain", [True, False])
def test_trap_38_a_signature_ends_its_reasoning(plain: bool) -> None:
    """What follows is another block with a signature of its own, however the text goes on."""

    def entry(index: int, text: str) -> Json:
        detail = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": index, "text": text}
        return {"reasoning_details": [detail], **({"reasoning": text} if plain else {})}

    def sign(index: int, signature: str) -> Json:
        return {"reasoning_details": [{"type": "reasoning.text", "index": index, "signature": signature}]}

    words = [chunk(entry(0, word)) for word in "ab" * 20]
    data = chat(
        *words, chunk(sign(0, "czA=")), chunk(entry(1, "c")), chunk(entry(1, "d")), chunk(sign(1, "czE=")), STOP
    )
    out = run("openai-chat", "anthropic", data)
    assert out.said == [("reasoning", "ab" * 20), ("reasoning", "cd")]
    scheme = "openai-chat/anthropic-claude-v1"  # said by the first entry of each index
    assert [opened(signature) for signature in out.signatures] == [(scheme, "czA="), (scheme, "czE=")]


def test_trap_38_each_thinking_block_of_a_body_keeps_its_text() -> None:
    blocks = [{"type": "thinking", "thinking": text, "signature": f"sig-{text}"} for text in ("one", "two")]
    message: Json = {"role": "assistant", "content": "So.", "reasoning_content": "onetwo", "thinking_blocks": blocks}
    body = {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    content = translate_response(body, "openai-chat", "anthropic").body["content"]
    assert [(block["thinking"], opened(block["signature"])) for block in content[:2]] == [
        ("one", (BLOCKS, "sig-one")),
        ("two", (BLOCKS, "sig-two")),
    ]
    assert translate_response(body, "openai-chat", "openai-chat", normalize=True).body["choices"][0]["message"] == {
        "refusal": None,
        **message,
    }


def test_trap_38_a_chat_client_is_told_whose_words_a_second_signature_signs() -> None:
    """Its message has one reasoning for all: without that it could not be taken apart again."""
    data = message(*thinking_block(0, "one", signature="czE="), *thinking_block(1, "two", signature="czI="))
    out = run("anthropic", "openai-chat", data)
    chunks: list[Json] = [frame.data for frame in out.frames if isinstance(frame.data, dict)]
    details = [d for c in chunks if c["choices"] for d in c["choices"][0]["delta"].get("reasoning_details", [])]
    assert [(detail["signature"], detail.get("text"), detail["model"]) for detail in details] == [
        ("czE=", None, "model-1"),
        ("czI=", "two", "model-1"),
    ]
    assert run("openai-chat", "anthropic", out.raw).said == [("reasoning", "one"), ("reasoning", "two")]
