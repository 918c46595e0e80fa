"""Clusters, which the bootstrap draws whole: trials of the machine, with the images in them.

Requests of one trial share the state of the machine. Requests about one image share the image. All
cells measure a request in the same trial. So a cluster holds the same requests of every cell, and
settings stay paired.
"""

from collections.abc import Iterable, Mapping

import pandas as pd


def clusters_of(rows: pd.DataFrame) -> dict[str, str]:
    """The cluster of every image that was timed.

    Rows of one trial are in one cluster, and so are rows of one image. Clusters are the connected
    groups that follow. The schedule puts each image into one trial; then clusters are the trials.

    Args:
        rows: measured rows with `image_id` and `trial`.

    Returns:
        Image id to the name of its cluster.
    """
    pairs = rows[["image_id", "trial"]].drop_duplicates()
    cluster = pairs["trial"]
    while True:
        joined = cluster.groupby(pairs["image_id"]).transform("min")
        joined = joined.groupby(pairs["trial"]).transform("min")
        if joined.equals(cluster):
            names = (f"trial {trial}" for trial in cluster)
            return dict(zip(pairs["image_id"], names, strict=True))
        cluster = joined


def processes_of(rows: pd.DataFrame, clusters: Mapping[str, str]) -> dict[str, int]:
    """The process that measured each cluster, the first of them if there were several.

    Args:
        rows: measured rows with `image_id`, and with `process` except in those of earlier versions.
        clusters: image id to the name of its cluster.
    """
    if "process" not in rows:
        return dict.fromkeys(clusters.values(), 0)
    first = rows["process"].groupby(rows["image_id"].map(clusters)).min()
    return {str(name): int(process) for name, process in first.items()}


def of_images(images: Iterable[str]) -> dict[str, str]:
    """Each image as its own cluster, for numbers that no clock is involved in."""
    return {image: f"image {image}" for image in images}
