"""Whole requests: for an answer, and for a number of tokens."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict, Unpack

import msgspec

from ccproxy import dialects
from ccproxy.core.errors import MisuseError, RequestRefused, StreamFailed
from ccproxy.core.events import StreamError
from ccproxy.core.fields import FieldError
from ccproxy.core.losses import Losses, Translated
from ccproxy.core.model import Call, Request, Thought, ToolName
from ccproxy.core.request import ToolNames, join_thoughts, kinds
from ccproxy.core.signatures import PREFIX
from ccproxy.core.spi import Dialect, RequestOptions, TokenCount
from ccproxy.core.store import Store, restore
from ccproxy.wire.json import JSONError, deep_path, dumps, loads, misfit, out_of_range

_SEALED = PREFIX.encode("ascii")
_OPTIONS = frozenset(RequestOptions.__struct_fields__)


class TranslatedRequest(Translated, frozen=True):
    """A translated request, and what the translation of its answer needs to know."""

    model: str = ""
    """The model it is for; Gemini has it in the URL."""
    stream: bool = False
    """Whether the answer is to be a stream; Gemini has it in the URL."""
    include_usage: bool = True
    """Whether a Chat client asked for the usage of a stream."""
    tools: Mapping[str, ToolName] = {}
    """What names in the answer stand for, where the target has no namespaces or no custom tools."""
    untouched: bool = False
    """Whether the body is as it came."""


class RequestOptionsDict(TypedDict, total=False):
    """The options of `translate_request`, for what passes them on."""

    model: str | None
    stream: bool | None
    max_tokens: int
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"]
    thinking: Literal["auto", "adaptive", "budget"]
    reasoning: Literal["reasoning_content", "reasoning", "none"]
    reasoning_details: bool
    cache_breakpoints: bool
    custom_tools: bool
    web_search: bool
    google: Literal["any", "gemini-api", "vertex"]
    unsigned_thinking: Literal["auto", "keep", "drop"]


def translate_request(
    body: bytes | str | Mapping[str, Any],
    source: str,
    target: str,
    *,
    normalize: bool = False,
    store: Store | None = None,
    **options: Unpack[RequestOptionsDict],
) -> TranslatedRequest:
    """The request as the target dialect has it, and what that loses.

    Same dialect in and out: the body is what came, but for `model` and `stream` if they are given, unless `normalize`
    has it written anew. So is one whose history has reasoning that must not go on: of another provider or model.

    Options:
        model: the model to ask for; the source's by default. Gemini requests have none in their body.
        stream: whether the answer is to be a stream; the source's wish by default.
        max_tokens: for targets that require a limit (Anthropic) and sources that set none; 8192 by default. Reasoning
            that is asked for comes on top.
        max_tokens_field: what Chat calls the limit. OpenAI wants the default; older servers know `max_tokens` only.
        thinking: how Anthropic is asked to reason: "adaptive" with an effort, as new models want it, or with a
            "budget", as older ones do; "auto" goes by the model's name.
        reasoning: the field in which Chat gets the reasoning of earlier turns back; "none" leaves it out.
        reasoning_details: whether Chat gets signatures back in `reasoning_details`.
        cache_breakpoints: whether caching hints go to OpenAI as `prompt_cache_breakpoint`, which other servers refuse.
        custom_tools: whether the Chat server knows custom tools; else they become functions.
        web_search: whether the Chat server knows `web_search_options`, which most refuse; else the tool is left out.
        google: who is spoken to with Gemini requests. The "gemini-api" alone stores answers and runs its own tools
            beside functions, "vertex" alone takes labels; "any" of them gets what both know.
        unsigned_thinking: whether Anthropic gets reasoning back that nobody has signed ("keep", "drop"). Claude's
            servers refuse it; those of other models that speak this dialect don't sign (Z.AI, Ollama), or not always,
            and some refuse a history of calls without it (DeepSeek). "auto" goes by the model's name.
        store: where a `Translator` remembered reasoning that the client may have dropped since; it goes back in front
            of its calls.

    A mapping is never changed, and shares nothing with what comes out.

    Raises `RequestRefused` for a body that is wrong, or that the target can't serve honestly, with the path of the
    place; `MisuseError` for an unknown dialect or option.
    """
    settings = _options(options)
    reader, writer = dialects.get(source), dialects.get(target)
    payload, has_envelope = _parse(body)
    if source == target and not normalize and not (has_envelope or _has_foreign(payload, settings, reader)):
        return _untouched(payload, settings, reader)
    read, write = reader.read_request, writer.write_request
    if read is None or write is None:
        raise MisuseError(f"{source if read is None else target} has no requests")
    request = _read(read, payload, settings)
    _check_held(request, source, target)
    model = settings.model or request.model
    parts = kinds(request.turns)
    if store is not None and Call in parts:
        restore(request, store, writer.signature_scheme, model, unsigned=writer.wants_unsigned)
        parts = kinds(request.turns)
    if source != target and Thought in parts:
        join_thoughts(request, writer.signature_scheme, model)
    losses = Losses()
    written = write(request, settings, losses)
    return TranslatedRequest(
        written,
        tuple(losses),
        settings.model or request.model,
        bool(request.stream if settings.stream is None else settings.stream),
        request.include_usage is not False,
        ToolNames(request).restore if request.renamed is None else request.renamed,
    )


def translate_count_request(
    body: bytes | str | Mapping[str, Any],
    source: str,
    target: str,
    **options: Unpack[RequestOptionsDict],
) -> TranslatedRequest:
    """A request that asks for the number of tokens, as the target dialect has it.

    Options and errors are those of `translate_request`; `MisuseError` also for a dialect that counts no tokens.
    """
    settings = _options(options)
    reader, writer = dialects.get(source), dialects.get(target)
    payload, has_envelope = _parse(body)
    if source == target and not (has_envelope or _has_foreign(payload, settings, reader)):
        return _untouched(payload, settings, reader)
    counts = _count(reader), _count(writer)
    request = _read(counts[0].read, payload, settings)
    _check_held(request, source, target)
    losses = Losses()
    written = counts[1].write(request, settings, losses)
    told = tuple(loss for loss in losses if loss.kind != "default")  # what is made up does not count here
    return TranslatedRequest(written, told, settings.model or request.model)


def translate_count_response(body: bytes | str | Mapping[str, Any], source: str, target: str) -> Translated:
    """The answer to a request for the number of tokens, as the target dialect has it.

    Raises `StreamFailed` for a body that is none, `MisuseError` for a dialect that counts no tokens.
    """
    reader, writer = _count(dialects.get(source)), _count(dialects.get(target))
    try:
        payload, _ = _parse(body)
        tokens = reader.read_answer(payload)
    except (RequestRefused, FieldError) as error:
        raise StreamFailed(StreamError("protocol", str(error))) from None
    if tokens is None:
        raise StreamFailed(StreamError("protocol", "the answer tells no number of tokens"))
    return Translated(dict(payload) if source == target else writer.write_answer(tokens))


def _count(dialect: Dialect) -> TokenCount:
    if dialect.count is None:
        raise MisuseError(f"{dialect.name} counts no tokens")
    return dialect.count


def _check_held(request: Request, source: str, target: str) -> None:
    if source != target and request.held:
        path, what = request.held[0]
        raise RequestRefused(path, f"{what} can't be had from another provider; send what it holds with the request")


def _has_foreign(payload: Mapping[str, Any], options: RequestOptions, dialect: Dialect) -> bool:
    return dialect.has_foreign is not None and dialect.has_foreign(payload, options)


def _untouched(payload: Mapping[str, Any], options: RequestOptions, dialect: Dialect) -> TranslatedRequest:
    """The body as it came, but for the model and the stream that the options ask for."""
    model = payload.get("model") if options.model is None else options.model
    stream = payload.get("stream") if options.stream is None else options.stream
    changed: dict[str, Any] = {}
    if not dialect.model_in_path:
        if options.model is not None and payload.get("model") != model:
            changed["model"] = model
        if options.stream is not None and payload.get("stream", False) != stream:
            changed["stream"] = stream
    return TranslatedRequest(
        {**payload, **changed}, (), model if isinstance(model, str) else "", stream is True, untouched=not changed
    )


def _options(options: RequestOptionsDict) -> RequestOptions:
    if not options.keys() <= _OPTIONS:
        unknown = next(name for name in options if name not in _OPTIONS)
        known = ", ".join(RequestOptions.__struct_fields__)
        raise MisuseError(f"unknown option {unknown!r}; known are {known}")
    try:
        return msgspec.convert(options, RequestOptions)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        raise MisuseError(f"bad value of an option: {reason}{f' ({path[:-1]})' if path else ''}") from None


def _parse(body: bytes | str | Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The body as an object, and whether it may hold a signature of another provider, which must not reach this one."""
    if isinstance(body, bytes):
        data = body
    elif isinstance(body, str):
        data = body.encode("utf-8", "surrogatepass")
    elif isinstance(body, Mapping):
        data = _encoded(body)  # and decoded, so that what comes out shares nothing with what came in
    else:
        raise MisuseError(f"a body is bytes, text or a mapping, not {type(body).__name__}")
    try:
        payload = loads(data)
    except RecursionError:
        raise RequestRefused(deep_path(data), "nested too deep") from None
    except JSONError as error:
        raise RequestRefused(out_of_range(data), f"the body is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise RequestRefused("", "the body must be a JSON object")
    return payload, _SEALED in data


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        data = dumps(dict(body))
    except RecursionError:
        raise RequestRefused(misfit(body), "nested too deep") from None
    except (TypeError, ValueError) as error:
        raise RequestRefused(misfit(body), f"the body is not JSON: {error}") from None
    odd = misfit(body) if b"null" in data else ""  # which NaN becomes
    if odd:
        raise RequestRefused(odd, "the body is not JSON: a number that is none")
    return data


def _read(
    read: Callable[[Mapping[str, Any], RequestOptions], Request], payload: Mapping[str, Any], options: RequestOptions
) -> Request:
    try:
        return read(payload, options)
    except FieldError as error:
        raise RequestRefused(error.path, error.reason) from None
    except RecursionError:
        raise RequestRefused("", "the body is nested too deep") from None
