"""Receipts on the runs of LangSmith, beside those in their outputs.

Rule 1: nothing is loaded here; where LangSmith's tracer is not, there are no runs.
Rule 2: what a run shares with others is not written to.
"""

import sys
from typing import Any

from langchain_core.outputs import ChatResult

from langchain_promptcache.usage import OPTION

__all__ = ["note_receipt"]

_TRACER = "langchain_core.tracers.langchain"


def note_receipt(run_manager: Any, result: ChatResult) -> None:
    """Put the receipt of an answer into the metadata of its run, where one is traced.

    Outputs of LangSmith's runs are not searched as their metadata is.

    Args:
        run_manager: That of the call, if LangChain has told it.
        result: What was answered.
    """
    tracer = getattr(sys.modules.get(_TRACER), "LangChainTracer", None)
    if run_manager is None or tracer is None or not result.generations:
        return
    receipt = result.generations[0].message.response_metadata.get(OPTION)
    if receipt is None:
        return
    for handler in run_manager.handlers:
        if isinstance(handler, tracer):
            _note(handler, str(run_manager.run_id), receipt)


def _note(tracer: Any, run_id: str, receipt: Any) -> None:
    run = getattr(tracer, "run_map", {}).get(run_id)
    extra = getattr(run, "extra", None)
    if isinstance(extra, dict):
        # The runs of a chain may share what is inside.
        extra["metadata"] = {**(extra.get("metadata") or {}), OPTION: receipt}
