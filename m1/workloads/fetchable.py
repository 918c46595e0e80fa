"""What `m1 fetch` can fetch. Light, since the command line names it in its help."""

from typing import Literal

Dataset = Literal["vqa-v2", "coco-captions"]
