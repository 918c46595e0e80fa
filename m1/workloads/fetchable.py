"""The datasets that `m1 fetch` can fetch. It imports little, since the command line needs it."""

from typing import Literal

FetchableDataset = Literal["vqa-v2", "coco-captions"]
