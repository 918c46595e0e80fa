"""A model at a setting: inputs with its visual tokens, and knobs turned to it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from m1.prepared import PreparedRequests
from m1.schemas.requests import Request
from m1.schemas.settings import NATIVE, Setting
from m1.vlm.encoding import encode
from m1.vlm.knobs.apply import applied
from m1.vlm.model import LoadedVlm


@dataclass(frozen=True)
class AtSetting:
    """A model at a setting.

    Visual tokens concern both the inputs and the model, so both come from here.
    """

    vlm: LoadedVlm
    setting: Setting = NATIVE
    """The setting; by default the native one."""

    def encode(self, image: Image.Image, prompt: str, name: str = "the image") -> dict[str, Tensor]:
        """The inputs of an image and a prompt, as `m1.vlm.encoding.encode` makes them.

        Raises:
            UserError: if the processor does not accept the image; the message has its `name`.
        """
        return encode(self.vlm, image, prompt, self.setting.vision_tokens, name)

    def encode_request(self, prepared: PreparedRequests, request: Request) -> dict[str, Tensor]:
        """The inputs of a prepared request.

        Raises:
            UserError: if the image cannot be read or the processor does not accept it; the message
                names the image.
        """
        image = prepared.open_image(request)
        return self.encode(image, request.prompt, prepared.path_of(request))

    def turned(self) -> AbstractContextManager[None]:
        """A context in which the model's knobs are turned to the setting.

        Raises:
            KnobError: if the model does not support a value.
        """
        return applied(self.vlm.structure, self.setting)
