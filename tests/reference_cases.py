"""The places of the reference cases, and their known scores."""

import json
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Cases:
    """A folder of reference cases: all of them, or the excerpts in the same layout."""

    folder: Path
    n_captioned: int
    """Images with captions of people, and a caption to be scored."""
    n_questions: int
    cider_d_mean: float
    bleu4: float
    rouge_l: float
    vqa_percent: dict[str, float]
    """Accuracy of the first person, the tenth, and of the multiple-choice answers."""

    @property
    def captions(self) -> Path:
        """Captions of people, in the official layout."""
        return self.folder / f"coco_captions/captions_val2014_{self.n_captioned}.json"

    @property
    def caption_results(self) -> Path:
        """Captions to be scored: the example results of the official evaluation."""
        return self.folder / "coco_captions/captions_val2014_fakecap_results.json"

    @property
    def caption_tokens(self) -> Path:
        """The tokens of both from the official tokeniser."""
        return self.folder / "coco_captions/fakecap_ptb_tokenised.json"

    @property
    def questions(self) -> Path:
        name = f"v2_OpenEnded_mscoco_train2014_questions_{self.n_questions}.json"
        return self.folder / "vqa_v2" / name

    @property
    def annotations(self) -> Path:
        return self.folder / f"vqa_v2/v2_mscoco_train2014_annotations_{self.n_questions}.json"

    @property
    def photos(self) -> Path:
        """Six photographs with captions, in the official layout."""
        return self.folder / "photos"

    def hostile(self, name: str) -> Path:
        return self.folder / "hostile" / name


# How the scores of the excerpts were made is in their README.
EXCERPTS = Cases(
    folder=TESTS / "excerpts",
    n_captioned=80,
    n_questions=50,
    cider_d_mean=0.6143062,
    bleu4=0.2017318,
    rouge_l=0.3916749,
    vqa_percent={"first": 78.6, "tenth": 71.6, "multiple_choice": 90.6},
)
# Published, and given to more digits by the official code.
WHOLE = Cases(
    folder=TESTS.parents[1] / "shared" / "cases",
    n_captioned=1000,
    n_questions=400,
    cider_d_mean=0.5997905,
    bleu4=0.1908290,
    rouge_l=0.3962527,
    vqa_percent={"first": 88.125, "tenth": 88.225, "multiple_choice": 96.325},
)
FOUND = WHOLE if WHOLE.folder.exists() else EXCERPTS
EACH_FOUND = [EXCERPTS, WHOLE] if FOUND is WHOLE else [EXCERPTS]


def captions_by_image(cases: Cases) -> dict[str, list[str]]:
    """The captions of people."""
    captions: dict[str, list[str]] = {}
    for entry in json.loads(cases.captions.read_text(encoding="utf-8"))["annotations"]:
        captions.setdefault(str(entry["image_id"]), []).append(entry["caption"])
    return captions


def answers_of_people(cases: Cases) -> list[list[str]]:
    """The ten answers to each question."""
    annotations = json.loads(cases.annotations.read_text(encoding="utf-8"))["annotations"]
    return [[entry["answer"] for entry in each["answers"]] for each in annotations]
