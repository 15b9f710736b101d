"""Streams of decoded events: accumulated, formatted, translated. The documented API of the original, over the core.

Where it differs from the original: docs/deviations.md.
"""

from .accumulators import ClaudeAccumulator, OpenAIAccumulator, ResponsesAccumulator, StreamAccumulator
from .formatters import AnthropicSSEFormatter, OpenAISSEFormatter
from .processors import AnthropicStreamProcessor, OpenAIStreamProcessor

__all__ = [
    "AnthropicSSEFormatter",
    "AnthropicStreamProcessor",
    "ClaudeAccumulator",
    "OpenAIAccumulator",
    "OpenAISSEFormatter",
    "OpenAIStreamProcessor",
    "ResponsesAccumulator",
    "StreamAccumulator",
]
