"""How families lay out a picture: the tokens in its place, and the tensors that go with them."""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# Of all the tiny families that are laid out here.
PATCH_PX, TILE_PX = 8, 48
TILE_PATCHES = TILE_PX // PATCH_PX
# Two by two patches become one visual token.
TOKEN_PX = 2 * PATCH_PX
TILE_TOKENS = (TILE_PX // TOKEN_PX) ** 2
MOLMO2_STEP_PATCHES = TILE_PATCHES - 2
LFM2_WHOLE_TOKENS = 4, 16
LFM2_PATCHES = 64

LaidOut = tuple[str, dict[str, Tensor]]
Size = tuple[int, int]


def molmo2_image(image: Image.Image) -> LaidOut:
    """The whole picture, then overlapping crops; each token names the patches it is made of."""
    step_px = MOLMO2_STEP_PATCHES * PATCH_PX
    margin_px = TILE_PX - step_px
    inner = [max(side - margin_px, 1) for side in image.size]
    n_rows, n_cols = best_grid((inner[0], inner[1]), step_px, 8)
    canvas = pixels(image, (n_cols * step_px + margin_px, n_rows * step_px + margin_px))
    crops = [pixels(image, (TILE_PX, TILE_PX)), *windows(canvas, TILE_PX, step_px).flatten(0, 1)]
    first = torch.arange(TILE_PATCHES**2).view(TILE_PATCHES, TILE_PATCHES)
    others = TILE_PATCHES**2 + _patches_of_canvas(n_rows, n_cols)
    pooled = [windows(numbers[None], 2).flatten(2) for numbers in (first, others)]
    low, high = (len(rows) * (rows.shape[1] * "<im_patch>" + "<im_col>") for rows in pooled)
    return f"<low_res_im_start>{low}<im_end><im_start>{high}<im_end>", {
        "pixel_values": torch.stack([patches(crop) for crop in crops]),
        "image_token_pooling": torch.cat([rows.flatten(0, 1) for rows in pooled]).int(),
        "image_grids": torch.tensor([[n for rows in pooled for n in rows.shape[:2]]]),
        "image_num_crops": torch.tensor([len(crops)]),
    }


def _patches_of_canvas(n_rows: int, n_cols: int) -> Tensor:
    """The number of each patch of a canvas [rows, columns] in the crop that has it inmost."""

    def crops_and_places(n_crops: int) -> tuple[Tensor, Tensor]:
        place = torch.arange(n_crops * MOLMO2_STEP_PATCHES + 2)
        crop = ((place - 1) // MOLMO2_STEP_PATCHES).clamp(0, n_crops - 1)
        return crop, place - crop * MOLMO2_STEP_PATCHES

    (crop_rows, y), (crop_cols, x) = crops_and_places(n_rows), crops_and_places(n_cols)
    crops = crop_rows[:, None] * n_cols + crop_cols
    return crops * TILE_PATCHES**2 + y[:, None] * TILE_PATCHES + x


def mistral3_image(image: Image.Image) -> LaidOut:
    """The picture in whole tokens, its longer side no more than two tiles."""
    shrink = max(1, max(image.size) / (2 * TILE_PX))
    n_cols, n_rows = (math.ceil(math.floor(side / shrink) / TOKEN_PX) for side in image.size)
    width, height = n_cols * TOKEN_PX, n_rows * TOKEN_PX
    tokens = "[IMG_BREAK]".join(n_rows * [n_cols * "[IMG]"]) + "[IMG_END]"
    return tokens, {
        "pixel_values": pixels(image, (width, height))[None],
        "image_sizes": torch.tensor([[height, width]]),
    }


def llama4_image(image: Image.Image) -> LaidOut:
    """Up to 16 tiles, and the whole picture after several."""
    n_rows, n_cols = best_grid(image.size, TILE_PX, 16)
    tile = TILE_TOKENS * "<|patch|>"
    row = "<|tile_x_separator|>".join(n_cols * [tile]) + "<|tile_y_separator|>"
    tiles = n_rows * row if n_rows * n_cols > 1 else ""
    tensors = {"pixel_values": tiles_and_whole(image, n_rows, n_cols).bfloat16()}
    return f"<|image_start|>{tiles}<|image|>{tile}<|image_end|>", tensors


def cohere2_vision_image(image: Image.Image) -> LaidOut:
    """Up to 12 tiles, and the whole picture after several."""
    tiles = tiles_and_whole(image, *best_grid(image.size, TILE_PX, 12))
    tile = TILE_TOKENS * "<|IMG_PATCH|>" + "<|IMG_LINE_BREAK|>"
    return f"<|START_OF_IMG|>{len(tiles) * tile}<|END_OF_IMG|>", {"pixel_values": tiles}


def lfm2_vl_image(image: Image.Image) -> LaidOut:
    """The whole picture in a size of its own, and before it, if it is large, up to ten tiles."""
    n_cols, n_rows = _lfm2_whole(image.size)
    tokens = n_cols * n_rows * "<image>"
    parts = [pixels(image, (n_cols * TOKEN_PX, n_rows * TOKEN_PX))]
    if math.prod(round(side / TOKEN_PX) for side in image.size) > 2 * LFM2_WHOLE_TOKENS[1]:
        n_rows, n_cols = _lfm2_grid(image.size)
        tile = TILE_TOKENS * "<image>"
        places = [f"<|img_row_{r + 1}_col_{c + 1}|>" for r in range(n_rows) for c in range(n_cols)]
        tokens = "".join(place + tile for place in places) + "<|img_thumbnail|>" + tokens
        parts = [*tiles_and_whole(image, n_rows, n_cols)[:-1], *parts]
    return f"<|image_start|>{tokens}<|image_end|>", _padded(parts)


def _lfm2_whole(size: Size) -> tuple[int, int]:
    """Columns and rows of tokens, their product within bounds."""
    fewest, most = LFM2_WHOLE_TOKENS
    sides = [side / TOKEN_PX for side in size]
    width, height = (max(1, round(side)) for side in sides)
    if width * height > most:
        scale = math.sqrt(most / math.prod(sides))
        width, height = (max(1, math.floor(side * scale)) for side in sides)
    elif width * height < fewest:
        scale = math.sqrt(fewest / math.prod(sides))
        width, height = (math.ceil(side * scale) for side in sides)
    return width, height


def _lfm2_grid(size: Size) -> tuple[int, int]:
    """Rows and columns of tiles nearest to the picture's proportions, more for a larger one."""
    grids = [grid for grid in _grids(10) if grid != (1, 1)]
    off = [abs(size[0] / size[1] - n_cols / n_rows) for n_rows, n_cols in grids]
    nearest = [grid for grid, distance in zip(grids, off, strict=True) if distance == min(off)]
    filled = [grid for grid in nearest if math.prod(grid) * TILE_PX**2 < 2 * math.prod(size)]
    return (filled or nearest[:1])[-1]


def _padded(parts: list[Tensor]) -> dict[str, Tensor]:
    """Each part as a row of equally many patches, with a mask of those that are its own."""
    rows = [patches(part) for part in parts]
    values = torch.zeros(len(rows), LFM2_PATCHES, rows[0].shape[1])
    mask = torch.zeros(values.shape[:2], dtype=torch.int32)
    for index, row in enumerate(rows):
        values[index, : len(row)] = row
        mask[index, : len(row)] = 1
    shapes = torch.tensor([part.shape[1:] for part in parts]) // PATCH_PX
    return {"pixel_values": values, "pixel_attention_mask": mask, "spatial_shapes": shapes}


def best_grid(size: Size, tile_px: int, most: int) -> tuple[int, int]:
    """Rows and columns of tiles that enlarge a picture least, or at least shrink it least."""
    grids = _grids(most)
    scales = [min(tile_px * c / size[0], tile_px * r / size[1]) for r, c in grids]
    enlarging = [scale for scale in scales if scale >= 1]
    return grids[scales.index(min(enlarging) if enlarging else max(scales))]


def _grids(most: int) -> list[tuple[int, int]]:
    """Rows and columns of up to so many tiles, fewer tiles first."""
    sides = range(1, most + 1)
    return sorted(((r, c) for r in sides for c in sides if r * c <= most), key=math.prod)


def tiles_and_whole(image: Image.Image, n_rows: int, n_cols: int) -> Tensor:
    """Tiles in reading order, and the whole picture after several [tiles, 3, side, side]."""
    canvas = pixels(image, (n_cols * TILE_PX, n_rows * TILE_PX))
    tiles = windows(canvas, TILE_PX).flatten(0, 1)
    whole = pixels(image, (TILE_PX, TILE_PX))
    return torch.cat([tiles, whole[None]]) if len(tiles) > 1 else tiles


def windows(values: Tensor, side: int, step: int | None = None) -> Tensor:
    """Squares of [channels, height, width] as [rows, columns, channels, side, side]."""
    step = step or side
    return values.unfold(1, side, step).unfold(2, side, step).permute(1, 2, 0, 3, 4)


def patches(values: Tensor) -> Tensor:
    """Patches of [3, height, width] in reading order, each a row of values."""
    return windows(values, PATCH_PX).permute(0, 1, 3, 4, 2).flatten(2).flatten(0, 1)


def pixels(image: Image.Image, size: Size) -> Tensor:
    """A picture at a size (width, height), between -1 and 1 [3, height, width]."""
    resized = np.asarray(image.resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
    return torch.from_numpy(resized / 127.5 - 1).permute(2, 0, 1)
