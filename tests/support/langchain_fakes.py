"""Models of nobody's SDK, which tell their usage as LangChain's own classes do."""

from langchain_core.callbacks import CallbackManager
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    LLMResult,
)

__all__ = ["BEDROCK_USAGE", "TEXT_USAGE", "FakeBedrock", "FakeText", "Router"]

# As ChatBedrockConverse fills it: with lifetimes told, what was written in all is 0.
BEDROCK_USAGE = {
    "input_tokens": 160,
    "output_tokens": 5,
    "total_tokens": 165,
    "input_token_details": {
        "cache_read": 100,
        "cache_creation": 0,
        "ephemeral_5m_input_tokens": 30,
        "ephemeral_1h_input_tokens": 20,
    },
}


TEXT_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 2,
    "prompt_tokens_details": {"cached_tokens": 4},
}


class FakeText(BaseLLM):
    """A model of plain text, which tells its usage beside its answers."""

    @property
    def _llm_type(self):
        return "fake-text"

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        return LLMResult(
            generations=[[Generation(text="Hello.")] for _ in prompts],
            llm_output={"token_usage": TEXT_USAGE},
        )


class FakeBedrock(BaseChatModel):
    """Answers at once, without sending anything."""

    usage: object = None
    answers: int = 1

    @property
    def _llm_type(self):
        return "fake-bedrock"

    def _get_ls_params(self, stop=None, **kwargs):
        return {
            "ls_provider": "amazon_bedrock",
            "ls_model_name": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "ls_model_type": "chat",
        }

    def _message(self, kind, text):
        message = kind(content=text)
        # Assigned, so that what is no count gets past LangChain's own check.
        message.usage_metadata = BEDROCK_USAGE if self.usage is None else self.usage
        return message

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(
            generations=[
                ChatGeneration(message=self._message(AIMessage, "Hello."))
                for _ in range(self.answers)
            ]
        )

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for text in ("Hel", "lo."):
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))
        yield ChatGenerationChunk(message=self._message(AIMessageChunk, ""))


class Router(BaseChatModel):
    """A model that has another one answer."""

    inner: BaseChatModel
    tells_parent: bool = True
    rewrites: bool = False

    @property
    def _llm_type(self):
        return "router"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        callbacks = CallbackManager(
            handlers=[*run_manager.handlers],
            parent_run_id=run_manager.run_id if self.tells_parent else None,
        )
        answer = self.inner.invoke(messages, {"callbacks": callbacks})
        if self.rewrites:
            said = {"usage_metadata": answer.usage_metadata}
            answer = AIMessage(content=answer.text, **said)
        return ChatResult(generations=[ChatGeneration(message=answer)])
