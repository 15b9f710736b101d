"""Settings of a request: sampling, reasoning, the form of the answer."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from ccproxy.core.fields import Fields
from ccproxy.core.losses import Losses
from ccproxy.core.model import Cache, Format, Request, Thinking, Tool
from ccproxy.core.request import EFFORT_BUDGET, RequestWriter, effort_of, objects
from ccproxy.core.spi import RequestOptions

from .maps import (
    BUDGET_MODELS,
    DISPLAY_WRITE,
    EFFORT_WRITE,
    EITHER_MODELS,
    MIN_BUDGET,
    NO_XHIGH_MODELS,
    OUTPUT_LIMITS,
    SAMPLING_MODELS,
    THINKING_WRITE,
    TIER_WRITE,
    TTL_WRITE,
)
from .schema import Unbound, bound

_THINKING_BLOCKS: Final = ("thinking", "redacted_thinking")


class SettingsWriter(RequestWriter):
    dialect: ClassVar[str] = "anthropic"

    def __init__(self, request: Request, options: RequestOptions, losses: Losses) -> None:
        super().__init__(request, options, losses)
        self.model = options.model or request.model
        self.forced = False
        """Whether the model must call a tool."""
        self.dropped = False
        """Whether reasoning of earlier turns was left out."""

    def write_settings(self, out: dict[str, Any]) -> None:
        request = self.request
        stream = request.stream if self.options.stream is None else self.options.stream
        if stream is not None and (not self.own or "model" in request.paths or request.stream is not None):
            out["stream"] = stream
        stop = request.stop if self.own else self._stop()
        if stop is not None:
            out["stop_sequences"] = stop
        if request.format is not None:
            self._format(request.format, out)
        if request.user is not None:
            out["metadata"] = {"user_id": request.user}
        if request.tier is not None:
            self._tier(request.tier, out)
        if request.cache is not None:
            out["cache_control"] = self.hint(request.cache, self.setting("cache"))

    def _stop(self) -> list[str] | None:
        stop = self.request.stop
        if stop is None:
            return None
        kept = [text for text in stop if text.strip()]
        if len(kept) < len(stop):
            self.lose(self.setting("stop"), "stop: a sequence of white space is refused", "repair")
        return kept

    def _tier(self, tier: str, out: dict[str, Any]) -> None:
        word = TIER_WRITE.get(tier, tier if self.own else None)
        if word is None:
            self.lose(self.setting("tier"), f"tier: there is none like {tier}")
            return
        out["service_tier"] = word
        if not self.own and tier not in ("auto", "default"):
            self.lose(self.setting("tier"), f"tier: {tier} becomes {word}")

    def _format(self, format: Format, out: dict[str, Any]) -> None:
        if format.kind == "text":
            return
        if format.kind == "json" or format.schema is None:
            self.lose(format, "json: the form needs a schema")
            return
        schema = format.schema if self.own else self.bound(format, format.schema)
        if schema is None:
            return
        for name in ("name", "description"):
            if getattr(format, name):
                self.lose(format, f"{name}: there is no place for it")
        if not format.strict:
            self.lose(format, "strict: a schema always binds", "default")
        whole = {"type": "json_schema", "schema": schema, **self.extra(format)}
        if self.own and format.path == "output_format":
            out["output_format"] = whole
        else:
            out.setdefault("output_config", {})["format"] = whole

    def bound(self, piece: Format | Tool, schema: dict[str, Any]) -> dict[str, Any] | None:
        """The schema as one that binds; None if there is no such."""
        try:
            whole, changes = bound(schema)
        except Unbound as why:
            what = "strict" if isinstance(piece, Tool) else "schema"
            self.lose(piece, f"{what}: the schema can't bind, as {why}")
            return None
        for change in changes:
            self.lose(piece, f"schema: {change}", "repair")
        return whole

    def sampling_as_read(self) -> dict[str, Any]:
        request = self.request
        values = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
        return {name: value for name, value in values.items() if value is not None}

    def sampling(self, thinks: bool) -> dict[str, Any]:
        """What the model takes of temperature, top_p and top_k."""
        out = self.sampling_as_read()
        if not out:
            return out
        why: dict[str, str] = {}
        if not SAMPLING_MODELS.search(self.model):
            why = dict.fromkeys(out, "the model takes none")
        elif thinks:
            why = {
                "temperature": "" if out.get("temperature") == 1 else "it must be 1 where the model reasons",
                "top_p": "" if out.get("top_p", 0) >= 0.95 else "it must be 0.95 or more where the model reasons",
                "top_k": "there is none where the model reasons",
            }
        elif "temperature" in out and "top_p" in out and EITHER_MODELS.search(self.model):
            why = {"top_p": "the model refuses it together with temperature"}
        for name in list(out):
            if why.get(name):
                if out[name] != 1 or name == "top_k":  # which is how the model samples by itself
                    self.lose(self.setting(name), f"{name}: {why[name]}")
                del out[name]
        if out.get("temperature", 0) > 1:
            self.lose(self.setting("temperature"), f"temperature: {out['temperature']} becomes 1")
            out["temperature"] = 1
        return out

    # Reasoning

    def limit(self) -> int:
        """`max_tokens` where the source sets none: what the options have for the answer, and reasoning on top of it."""
        limit, thinking = self.options.max_tokens, self.request.thinking
        if thinking is None or thinking.mode == "off":
            return limit
        most = next(most for models, most in OUTPUT_LIMITS if models.search(self.model))
        return max(limit, min(limit + (thinking.budget or EFFORT_BUDGET[thinking.effort or "medium"]), most))

    def thinking_as_read(self, out: dict[str, Any]) -> None:
        thinking = self.request.thinking
        if thinking is None:
            return
        whole: dict[str, Any] = {}
        if thinking.mode is not None:
            whole["type"] = THINKING_WRITE[thinking.mode]
        if thinking.budget is not None:
            whole["budget_tokens"] = thinking.budget
        if thinking.show is not None:
            whole["display"] = DISPLAY_WRITE[thinking.show]
        whole.update(thinking.extra)
        if self.dropped and thinking.mode == "on" and _needs_reasoning(out["messages"]):
            self.lose(thinking, "mode: off, as the answer that goes on begins without its reasoning", "repair")
            self._keep_reasoning()
        elif whole:
            out["thinking"] = whole
        if thinking.effort is not None:
            out["output_config"] = {"effort": EFFORT_WRITE[thinking.effort]}

    def _keep_reasoning(self) -> None:
        """Don't ask for old reasoning to be cleared: that is refused where none is asked for."""
        name = "context_management"
        management = Fields(self.request.extra).noise(name).raw
        edits = objects(management.get("edits"))
        kept = [edit for edit in edits if not str(edit.get("type")).startswith("clear_thinking")]
        if len(kept) < len(edits):
            self.lose(name, f"{name}: no reasoning is cleared where there is none", "repair")
            self.request.extra = {**self.request.extra, name: {**management, "edits": kept}}

    def thinking(self, out: dict[str, Any]) -> bool:
        """Ask for reasoning as the model wants to be asked. Whether it will reason."""
        thinking = self.request.thinking
        if thinking is None:
            return False
        style = self.options.thinking
        if style == "auto":
            style = "budget" if BUDGET_MODELS.search(self.model) else "adaptive"
        if thinking.mode == "off":
            out["thinking"] = {"type": "disabled"}
            return False
        if style == "adaptive":
            self._effort(thinking, out)
        whole = self._adaptive(thinking) if style == "adaptive" else self._budget(thinking, out)
        if whole is None:
            return False
        if self.forced:
            self.lose(thinking, "mode: off, where a tool must be called", "repair")
            return False
        if style == "budget" and _needs_reasoning(out["messages"]):
            self.lose(thinking, "mode: off, as the answer that goes on begins without its reasoning", "repair")
            return False
        out["thinking"] = whole
        return True

    def _effort(self, thinking: Thinking, out: dict[str, Any]) -> None:
        effort = thinking.effort
        if effort is None and thinking.budget is not None:
            effort = effort_of(thinking.budget)
            self.lose(thinking, f"budget: {thinking.budget} tokens become the effort {effort}")
        elif effort is not None and thinking.budget is not None:
            self.lose(thinking, f"budget: {thinking.budget} tokens; the effort {effort} stands for it")
        if effort is None:
            return
        word = "high" if effort == "xhigh" and NO_XHIGH_MODELS.search(self.model) else EFFORT_WRITE[effort]
        if word != effort:
            self.lose(thinking, f"effort: {effort} becomes {word}")
        out["output_config"] = {"effort": word}

    def _adaptive(self, thinking: Thinking) -> dict[str, Any]:
        whole = {"type": "adaptive"}
        if thinking.show is not None:
            whole["display"] = self._display(thinking)
        return whole

    def _budget(self, thinking: Thinking, out: Mapping[str, Any]) -> dict[str, Any] | None:
        limit = out["max_tokens"]
        most = limit - 1
        if most < MIN_BUDGET:
            self.lose(thinking, f"mode: off, as max_tokens leaves no room for {MIN_BUDGET} tokens", "repair")
            return None
        budget = thinking.budget
        if budget is None:
            budget = EFFORT_BUDGET[thinking.effort or "medium"]
            most = max(MIN_BUDGET, most // 2)  # an effort leaves room for the answer
        if self.request.max_output is None:
            most = max(limit - self.options.max_tokens, limit // 2)
        fits = max(MIN_BUDGET, min(budget, most))
        if thinking.budget is not None and fits != budget:
            self.lose(thinking, f"budget: {budget} tokens become {fits}")
        if thinking.effort is not None:
            self.lose(thinking, f"effort: {thinking.effort} becomes {fits} tokens")
        elif thinking.budget is None:
            self.lose(thinking, f"mode: the model must be told a budget; {fits} tokens", "default")
        if thinking.mode == "auto" and thinking.budget is not None:
            self.lose(thinking, "mode: the model reasons in any case")
        whole: dict[str, Any] = {"type": "enabled", "budget_tokens": fits}
        if thinking.show is not None:
            whole["display"] = self._display(thinking)
        return whole

    def _display(self, thinking: Thinking) -> str:
        word = DISPLAY_WRITE[thinking.show or "auto"]
        if thinking.show not in (None, "none", "auto"):
            self.lose(thinking, f"show: {thinking.show} becomes {word}")
        return word

    def hint(self, cache: Cache, path: str) -> dict[str, Any]:
        if cache.ttl is None:
            return {"type": "ephemeral"}
        ttl = cache.ttl if self.own else TTL_WRITE.get(cache.ttl)
        if ttl != cache.ttl:
            self.lose(path, f"cache: {cache.ttl} becomes {ttl or 'the usual time'}")
        return {"type": "ephemeral", "ttl": ttl} if ttl is not None else {"type": "ephemeral"}


def _needs_reasoning(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an answer is to go on that did not begin with reasoning: it must, where there is a budget for it."""
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        if message["role"] == "assistant":
            content = message["content"]
            blocks = [{"type": "text"}] if isinstance(content, str) else content
            goes_on = position == len(messages) - 1 or any(block["type"] == "tool_use" for block in blocks)
            return goes_on and blocks[0]["type"] not in _THINKING_BLOCKS
    return False
