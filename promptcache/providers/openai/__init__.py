"""OpenAI's Chat Completions and Responses APIs, as the `openai` SDK reaches them."""
