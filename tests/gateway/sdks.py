"""The official Python SDKs as clients of a gateway: one class for each dialect, all used in the same way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, Protocol

import anthropic
import httpx2
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from tests.laws.conversation.wire import QUESTION, RESULT, SCHEMA, TOOL
from tests.oracles import ORACLES
from tests.oracles.judge import plain, quiet

KEY: Final = "client-key-1"
Json = dict[str, Any]


class Answer(NamedTuple):
    text: str
    reasoning: str
    calls: list[tuple[str, Any]]
    """Name and arguments."""
    finish: Any
    usage: tuple[int | None, int | None]
    message: Any
    """As the SDK has it, to be sent back."""


class StreamFailed(Exception):
    """A failed response, of which the SDK tells without raising."""


class Caught(NamedTuple):
    """An error of an SDK, put in one form."""

    type: type[Exception]
    status: int | None
    message: str
    headers: Mapping[str, str]


class Sdk(Protocol):
    def __init__(self, root: str) -> None: ...
    def close(self) -> None: ...
    def question(self, model: str, *, tools: bool) -> Json:
        """A request."""
        ...

    def ask(self, request: Json, *, stream: bool) -> Answer: ...
    def reply(self, request: Json, answer: Answer) -> Json:
        """The next request, with the results of the answer's calls."""
        ...

    def caught(self, error: Exception) -> Caught: ...


class Anthropic:
    def __init__(self, root: str) -> None:
        self._http = httpx2.Client(trust_env=False)
        self._client = anthropic.Anthropic(api_key=KEY, base_url=root, max_retries=0, http_client=self._http)

    def close(self) -> None:
        self._client.close()

    def question(self, model: str, *, tools: bool) -> Json:
        tool = {"name": TOOL, "description": "The weather", "input_schema": SCHEMA}
        request: Json = {"model": model, "max_tokens": 4000, "messages": [{"role": "user", "content": QUESTION}]}
        return request | ({"tools": [tool]} if tools else {})

    def ask(self, request: Json, *, stream: bool) -> Answer:
        with quiet():
            if stream:
                with self._client.messages.stream(**request) as events:
                    message = events.get_final_message()
            else:
                message = self._client.messages.create(**request)
        final = plain(message)
        usage = final["usage"]
        return _answer("anthropic", final, (usage["input_tokens"], usage["output_tokens"]), message)

    def reply(self, request: Json, answer: Answer) -> Json:
        calls = [block.id for block in answer.message.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": id, "content": RESULT} for id in calls]
        turns = [{"role": "assistant", "content": answer.message.content}, {"role": "user", "content": results}]
        return request | {"messages": [*request["messages"], *turns]}

    def caught(self, error: Exception) -> Caught:
        if isinstance(error, anthropic.APIStatusError):
            return Caught(type(error), error.response.status_code, str(error), error.response.headers)
        return Caught(type(error), None, str(error), {})


class OpenAIChat:
    def __init__(self, root: str) -> None:
        self._http = httpx2.Client(trust_env=False)
        self._client = openai.OpenAI(api_key=KEY, base_url=f"{root}/v1", max_retries=0, http_client=self._http)

    def close(self) -> None:
        self._client.close()

    def question(self, model: str, *, tools: bool) -> Json:
        tool = {"type": "function", "function": {"name": TOOL, "description": "The weather", "parameters": SCHEMA}}
        request: Json = {"model": model, "messages": [{"role": "user", "content": QUESTION}]}
        return request | ({"tools": [tool]} if tools else {})

    def ask(self, request: Json, *, stream: bool) -> Answer:
        with quiet():
            if stream:
                usage_too: Json = {"stream_options": {"include_usage": True}}
                with self._client.chat.completions.stream(**request, **usage_too) as events:
                    completion: Any = events.get_final_completion()
            else:
                completion = self._client.chat.completions.create(**request)
        final = plain(completion)
        usage = final.get("usage") or {}
        counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
        return _answer("openai-chat", final, counts, completion)

    def reply(self, request: Json, answer: Answer) -> Json:
        with quiet():
            sent = answer.message.choices[0].message.model_dump(exclude_none=True)
        message = {"role": "assistant"} | sent  # some servers name no role, and the helper adds none
        for call in message["tool_calls"]:  # what the helper adds for its own use
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
        message.pop("parsed", None)
        results = [{"role": "tool", "tool_call_id": call["id"], "content": RESULT} for call in message["tool_calls"]]
        return request | {"messages": [*request["messages"], message, *results]}

    def caught(self, error: Exception) -> Caught:
        return _openai_error(error)


class OpenAIResponses:
    def __init__(self, root: str) -> None:
        self._http = httpx2.Client(trust_env=False)
        self._client = openai.OpenAI(api_key=KEY, base_url=f"{root}/v1", max_retries=0, http_client=self._http)

    def close(self) -> None:
        self._client.close()

    def question(self, model: str, *, tools: bool) -> Json:
        tool = {"type": "function", "name": TOOL, "description": "The weather", "parameters": SCHEMA, "strict": False}
        more: Json = {"store": False, "include": ["reasoning.encrypted_content"]}
        request: Json = {"model": model, "input": [{"role": "user", "content": QUESTION}], **more}
        return request | ({"tools": [tool]} if tools else {})

    def ask(self, request: Json, *, stream: bool) -> Answer:
        with quiet():
            if stream:
                with self._client.responses.stream(**request) as events:
                    for event in events:
                        if event.type == "response.failed" and event.response.error is not None:
                            raise StreamFailed(event.response.error.message)
                    response: Any = events.get_final_response()
            else:
                response = self._client.responses.create(**request)
        final = plain(response)
        usage = final.get("usage") or {}
        return _answer("openai-responses", final, (usage.get("input_tokens"), usage.get("output_tokens")), response)

    def reply(self, request: Json, answer: Answer) -> Json:
        with quiet():
            output = [item.model_dump(exclude_none=True) for item in answer.message.output]
        for item in output:
            item.pop("parsed_arguments", None)
            for part in item.get("content", ()):
                part.pop("parsed", None)
        calls = [item["call_id"] for item in output if item["type"] == "function_call"]
        results = [{"type": "function_call_output", "call_id": id, "output": RESULT} for id in calls]
        return request | {"input": [*request["input"], *output, *results]}

    def caught(self, error: Exception) -> Caught:
        return _openai_error(error)


class Gemini:
    def __init__(self, root: str) -> None:
        self._http = httpx2.Client(trust_env=False)
        options = types.HttpOptions(base_url=root, httpx_client=self._http)
        self._client = genai.Client(api_key=KEY, vertexai=False, http_options=options)

    def close(self) -> None:
        self._client.close()
        self._http.close()

    def question(self, model: str, *, tools: bool) -> Json:
        declared = {"name": TOOL, "description": "The weather", "parameters_json_schema": SCHEMA}
        config: Json = {"automatic_function_calling": {"disable": True}}
        if tools:
            config["tools"] = [{"function_declarations": [declared]}]
        contents = [types.Content(role="user", parts=[types.Part(text=QUESTION)])]
        return {"model": model, "contents": contents, "config": types.GenerateContentConfig(**config)}

    def ask(self, request: Json, *, stream: bool) -> Answer:
        final: Json = {}
        content: list[types.Part] = []
        with quiet():
            if stream:
                chunks = list(self._client.models.generate_content_stream(**request))
            else:
                chunks = [self._client.models.generate_content(**request)]
        for chunk in chunks:
            final.update(plain(chunk))
            for candidate in chunk.candidates or ():
                if candidate.content is not None:
                    content += candidate.content.parts or ()
        final["candidates"][0]["content"] = plain(types.Content(role="model", parts=content))
        usage = final.get("usageMetadata") or {}
        counts = (usage.get("promptTokenCount"), usage.get("candidatesTokenCount"))
        return _answer("gemini", final, counts, content)

    def reply(self, request: Json, answer: Answer) -> Json:
        parts: list[types.Part] = answer.message
        calls = [part.function_call for part in parts if part.function_call is not None]
        results = [
            types.Part(
                function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": RESULT})
            )
            for call in calls
        ]
        turns = [types.Content(role="model", parts=parts), types.Content(role="user", parts=results)]
        return request | {"contents": [*request["contents"], *turns]}

    def caught(self, error: Exception) -> Caught:
        if isinstance(error, genai_errors.APIError):
            headers = getattr(error.response, "headers", {})
            return Caught(type(error), error.code, error.message or "", headers)
        return Caught(type(error), None, str(error), {})


def _openai_error(error: Exception) -> Caught:
    if isinstance(error, openai.APIStatusError):
        return Caught(type(error), error.response.status_code, str(error), error.response.headers)
    return Caught(type(error), None, str(error), {})


def _answer(dialect: str, final: Json, usage: tuple[int | None, int | None], message: Any) -> Answer:
    normal = ORACLES[dialect].normal(final)
    parts = normal["parts"]
    calls = [
        (str(part.name), json.loads(part.text) if isinstance(part.text, str) else part.text)
        for part in parts
        if part.kind == "tool"
    ]
    return Answer(
        "".join(str(part.text) for part in parts if part.kind == "text"),
        "".join(str(part.text) for part in parts if part.kind == "reasoning"),
        calls,
        normal["finish"][0],
        usage,
        message,
    )


SDKS: Final[dict[str, type[Sdk]]] = {
    "anthropic": Anthropic,
    "openai-chat": OpenAIChat,
    "openai-responses": OpenAIResponses,
    "gemini": Gemini,
}
END: Final = {"anthropic": "end_turn", "openai-chat": "stop", "openai-responses": "completed", "gemini": "STOP"}
CALLED: Final = {
    "anthropic": "tool_use",
    "openai-chat": "tool_calls",
    "openai-responses": "completed",
    "gemini": "STOP",
}
RAISED: Final[dict[str, dict[str, type[Exception] | tuple[type[Exception], ...]]]] = {
    "anthropic": {
        "rate_limit": anthropic.RateLimitError,
        "bad_request": anthropic.BadRequestError,
        "overloaded": anthropic.InternalServerError,
        "truncated": anthropic.InternalServerError,
        "stream": anthropic.APIStatusError,
    },
    "openai-chat": {
        "rate_limit": openai.RateLimitError,
        "bad_request": openai.BadRequestError,
        "overloaded": openai.InternalServerError,
        "truncated": openai.InternalServerError,
        "stream": openai.APIError,
    },
    "openai-responses": {
        "rate_limit": openai.RateLimitError,
        "bad_request": openai.BadRequestError,
        "overloaded": openai.InternalServerError,
        "truncated": openai.InternalServerError,
        "stream": (openai.APIError, StreamFailed),
    },
    "gemini": {
        "rate_limit": genai_errors.ClientError,
        "bad_request": genai_errors.ClientError,
        "overloaded": genai_errors.ServerError,
        "truncated": genai_errors.ServerError,
        "stream": genai_errors.ServerError,
    },
}
"""What an SDK raises."""


class Clients:
    """One client of each dialect, and what they hold open."""

    def __init__(self, root: str) -> None:
        self._stack = ExitStack()
        self._known: dict[str, Sdk] = {}
        for dialect, sdk in SDKS.items():
            self._known[dialect] = client = sdk(root)
            self._stack.callback(client.close)

    def __getitem__(self, dialect: str) -> Sdk:
        return self._known[dialect]

    def close(self) -> None:
        self._stack.close()
