"""Write a prompt for a model, with its chat template and one place for the image."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from transformers import AddedToken

from m1.errors import Problems, UserError
from m1.reasons import why
from m1.schemas.requests import Request, Workload
from m1.schemas.settings import PromptTemplate

# A prompt for trying a template.
TRIED = "What is in the picture?"
# Names of tokens that stand for pictures, sound or video, or for their beginning and end.
MEDIA = ("image", "img", "video", "vision", "audio", "boi", "eoi")
# Names of tokens that processors replace by the places of an image: `image_token` and others.
PLACES = ("image_token", "boi_token", "start_image_token", "image_start_token")
# Characters of tokens that are not ordinary text. Some models pad with "!", an ordinary one.
BRACKETS = frozenset("<>[]{}|")

Part = dict[str, str]
Content = str | list[Part]


# Kinds of content that templates accept in a message. Templates of tokenizers often accept only
# text, which must then contain the image's token.
def _parts(prompt: str, _: str) -> list[Part]:
    return [{"type": "image"}, {"type": "text", "text": prompt}]


def _string(prompt: str, image_token: str) -> str:
    return f"{image_token}\n{prompt}"


def _text_part(prompt: str, image_token: str) -> list[Part]:
    return [{"type": "text", "text": f"{image_token}\n{prompt}"}]


@dataclass(frozen=True)
class Prompts:
    """Writes prompts for one model."""

    processor: Any
    """The model's processor."""
    image_token_id: int
    """Placeholder of a visual token."""
    most_tokens: int | None = None
    """The largest number of positions, if the model's configuration has it."""

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 (of transformers, or a stand-in's)
        """The processor's tokenizer; `None` if it has none."""
        return getattr(self.processor, "tokenizer", None)

    @cached_property
    def template(self) -> PromptTemplate:
        """The owner of the chat template: the processor, or else the tokenizer."""
        if getattr(self.processor, "chat_template", None):
            return "processor"
        return "tokenizer" if getattr(self.tokenizer, "chat_template", None) else "none"

    @cached_property
    def image_token(self) -> str:
        """The text that stands for an image."""
        return next(iter(self._places), "<image>")

    @cached_property
    def _places(self) -> tuple[str, ...]:
        """Tokens that may mark the place of an image, the likeliest first."""
        named = (getattr(o, n, None) for n in PLACES for o in (self.processor, self.tokenizer))
        tokens = dict.fromkeys(str(token) for token in named if token)
        placeholder = _token_of(self.tokenizer, self.image_token_id)
        return tuple(tokens | ({placeholder: None} if placeholder else {}))

    @cached_property
    def _content(self) -> Callable[[str, str], Content]:
        """The kind of content that the template accepts, found by trying.

        Raises:
            UserError: if the template accepts none.
        """
        if not (reason := self._takes_parts()):
            return _parts
        for content in (_string, _text_part):
            try:
                text = self._render(content(TRIED, self.image_token))
            except Exception:  # a template is the model's code; the first failure is reported
                continue
            if self._n_places(text) == 1 and TRIED in text:
                return content
        raise self._unusable(reason)

    def _takes_parts(self) -> str:
        """Why the template cannot write an image that is a part of a message; empty if it can."""
        parts = _parts(TRIED, self.image_token)
        try:
            text, without_image = self._render(parts), self._render(parts[1:])
        except Exception as error:  # a template is code of the model's
            return why(error)
        if self._n_places(text) > 1:
            raise self._unusable("it writes more than one place for an image")
        # Templates that accept only text write a list as Python does, or leave the image out.
        if str(parts) in text or text == without_image or TRIED not in text:
            return "it leaves out the image or the prompt"
        return ""

    def _n_places(self, text: str) -> int:
        """Places for images in a text; 0 if the model marks them in another way."""
        return next(filter(None, map(text.count, self._places)), 0)

    def _unusable(self, reason: str) -> UserError:
        return UserError(
            f"the chat template of the model's {self.template} cannot be used ({reason}): put one "
            "that takes a user's message with an image into the model's folder, as "
            "chat_template.jinja"
        )

    def _render(self, content: Content) -> str:
        messages = [{"role": "user", "content": content}]
        options: dict[str, Any] = {"add_generation_prompt": True, "tokenize": False}
        own = self.template == "processor"
        writer = self.processor if own else self.tokenizer
        if own and not hasattr(writer, "apply_chat_template"):
            writer, options["chat_template"] = self.tokenizer, self.processor.chat_template
        return str(writer.apply_chat_template(messages, **options))

    def write(self, prompt: str) -> str:
        """The text that the processor gets.

        Raises:
            UserError: if the template cannot be used.
        """
        if self.template == "none":
            return f"{self.image_token}{prompt}"
        return self._render(self._content(prompt, self.image_token))

    def needs_special_tokens(self, text: str) -> bool:
        """Whether the tokenizer should put its special tokens around a text.

        It should not if its own template wrote the text, as in transformers. The first token must
        not occur twice.
        """
        bos = getattr(self.tokenizer, "bos_token", None)
        return self.template != "tokenizer" and not (bos and text.startswith(str(bos)))

    @cached_property
    def added_tokens(self) -> dict[str, bool]:
        """Tokens that were added to the tokenizer's words, and whether each is special."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {}).values()
        special = dict.fromkeys(map(str, getattr(self.tokenizer, "all_special_tokens", ())), True)
        return {str(token): bool(token.special) for token in added} | special

    @cached_property
    def reserved(self) -> tuple[str, ...]:
        """Tokens that must not be in a prompt, since the model does not read them as text.

        Tokens of images and other media are always reserved. Other special tokens are reserved if
        there is a template. Without a template, the prompt itself must write the model's own form.
        """
        added = {} if self.template == "none" else self.added_tokens
        special = (token for token, is_special in added.items() if is_special)
        written = (token for token in special if len(token) > 2 and BRACKETS & set(token))
        return tuple(dict.fromkeys([*self._places, *_media_tokens(self.processor), *written]))

    def check(self, prompt: str) -> None:
        """Check that a prompt reaches the model unchanged.

        Raises:
            UserError: if it contains a token that is not text, if it is too long for the model, or
                if the template changes or drops it.
        """
        held = [token for token in self.reserved if token in prompt]
        if held:
            raise UserError(
                f"its prompt holds {max(held, key=len)!r}, which this model does not read as text; "
                "a prompt is plain text, and the image's place is put there for you: take it out"
            )
        self._check_length(prompt)
        if self.template == "none":
            return
        try:
            text = self.write(prompt)
        except UserError:
            raise
        except Exception as error:  # a template is code of the model's
            raise self._unusable(why(error)) from None
        if prompt.strip() not in text or self._n_places(text) > 1:
            raise UserError(
                f"the chat template of the model's {self.template} changes the prompt "
                f"{prompt[:50]!r}: fix the template, or word the prompt otherwise"
            )

    def _check_length(self, prompt: str) -> None:
        """Check that the model has a position for each token of a prompt.

        Raises:
            UserError: if it does not.
        """
        # A token has at least one byte, so only very long prompts have to be counted.
        if self.most_tokens is None or len(prompt.encode()) <= self.most_tokens:
            return
        n = len(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        if n > self.most_tokens:
            raise UserError(
                f"its prompt has {n} tokens, and the model was made for {self.most_tokens} "
                "(max_position_embeddings in its configuration), including those of the image: "
                "shorten it"
            )


def _token_of(tokenizer: Any, token_id: int) -> str | None:  # noqa: ANN401
    convert = getattr(tokenizer, "convert_ids_to_tokens", None)
    return convert(token_id) if convert else None


def _media_tokens(processor: Any) -> Iterable[str]:  # noqa: ANN401
    """Tokens of processor and tokenizer that are named after images, sound or video."""
    tokenizer = getattr(processor, "tokenizer", None)
    named = {
        **getattr(tokenizer, "special_tokens_map", {}),
        **getattr(processor, "__dict__", {}),
    }
    for name, token in named.items():
        is_media = name.endswith("_token") and any(part in name for part in MEDIA)
        if is_media and token and isinstance(token, str | AddedToken):
            yield str(token)


def check_prompts(prompts: Prompts, requests: Mapping[Workload, Sequence[Request]]) -> None:
    """Check that every prompt reaches the model unchanged, before anything is measured.

    Raises:
        UserError: if a prompt does not; the message names the first such request of each workload,
            and the reason.
    """
    problems = Problems()
    for workload, some in requests.items():
        with problems.noted():
            _check_workload(prompts, workload, some)
    problems.refuse()


def _check_workload(prompts: Prompts, workload: Workload, requests: Sequence[Request]) -> None:
    for request in requests:
        try:
            prompts.check(request.prompt)
        except UserError as error:
            raise UserError(f"{workload}: request {request.request_id!r}: {error}") from None
