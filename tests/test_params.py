import os
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml
from reference_cases import Cases

from m1.errors import UserError
from m1.params import Params, effective_decode_mode, load_params
from m1.schemas.settings import DecodeModeChoice, Setting, decode_passes

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"


def changed(key: str, value: Any, folder: Path) -> Path:
    """A copy of params.yaml with one key set; `...` removes it."""
    raw = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    *sections, last = key.split(".")
    section = raw
    for name in sections:
        section = section[name]
    section[last] = value
    if value is ...:
        del section[last]
    return write(yaml.safe_dump(raw), folder)


def write(text: str, folder: Path) -> Path:
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return folder / "params.yaml"


def load(key: str, value: Any, folder: Path) -> Params:
    return load_params(changed(key, value, folder))


def one_line(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_params(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


# The file in the repository


def test_params_yaml_is_valid() -> None:
    params = load_params(PARAMS)
    assert params.data.qa.source == params.data.captioning.source == "scenes"
    assert params.profile.e1_requests.of("qa") >= 299
    assert params.profile.e1_requests.of("captioning") >= 299
    assert params.analysis.decision_level in params.analysis.quality_levels


def test_every_key_has_its_meaning_and_allowed_values() -> None:
    lines = re.findall(r"^( *)(\w+):(.*)$", PARAMS.read_text(encoding="utf-8"), re.MULTILINE)
    explained = {key for _, key, rest in lines if re.search(r"  # \S", rest)}
    # A key that occurs for both workloads is explained once.
    bare = [key for _, key, rest in lines if rest.strip() and key not in explained]
    assert len(explained) > 30
    assert bare == []


# Knobs


def test_the_grid_is_every_combination_the_reference_setting_first(tmp_path: Path) -> None:
    knobs = {"vision_tokens": [16, 144], "top_k": [1, 4, 2], "active_blocks": [6, 8]}
    grid = load("knobs", knobs, tmp_path).knobs.grid()
    assert grid[0] == Setting(vision_tokens=144, top_k=4, active_blocks=8)
    assert len(set(grid)) == len(grid) == 12
    assert {(s.vision_tokens, s.top_k, s.active_blocks) for s in grid} == {
        (v, k, b) for v in (16, 144) for k in (1, 4, 2) for b in (6, 8)
    }


def test_the_order_in_the_file_does_not_matter(tmp_path: Path) -> None:
    first = load("knobs.top_k", [4, 2, 1], tmp_path).knobs.grid()
    assert load("knobs.top_k", [1, 4, 2], tmp_path).knobs.grid() == first


@pytest.mark.parametrize("value", [2, None])
def test_a_scalar_is_a_list_of_one(value: int | None, tmp_path: Path) -> None:
    params = load("knobs.top_k", value, tmp_path)
    assert params.knobs.top_k == (value,)
    assert {setting.top_k for setting in params.knobs.grid()} == {value}
    assert load("knobs.top_k", [value], tmp_path) == params


# Mistakes

MISTAKES: list[tuple[str, Any, str]] = [
    # Keys
    ("data.sead", 1, "data.sead is not a known key; did you mean data.seed\\?"),
    ("models", {}, "models is not a known key; did you mean model\\?"),
    ("data.seed", ..., "data.seed is missing"),
    ("analysis", ..., "analysis is missing"),
    ("data", None, "data = null: Input should be an object"),
    # Types: nothing is converted silently
    ("data.seed", "7", 'data.seed = "7": Input should be a valid integer'),
    ("data.seed", 7.5, "data.seed = 7.5: Input should be a valid integer.*"),
    ("profile.n_trials", True, "profile.n_trials = true: Input should be a valid integer"),
    ("model.n_threads", "all", 'model.n_threads = "all": Input should be a valid integer'),
    ("data.qa.root", None, "data.qa.root = null: Input should be a valid string"),
    ("validity.drift", "1e-3", 'validity.drift = "1e-3": Input should be a valid number'),
    ("knobs.top_k", "two", r'knobs.top_k\[0\] = "two": Input should be a valid integer'),
    # Choices name what is allowed
    (
        "data.qa.source",
        "vqa",
        "data.qa.source = \"vqa\": Input should be 'scenes', 'vqa-v2', 'coco-captions' or 'jsonl'; "
        "did you mean vqa-v2\\?",
    ),
    ("data.captioning.split", "test", ".*split = \"test\": Input should be 'karpathy-test'"),
    (
        "data.qa.split",
        "karpathy-test",
        "data.qa.split is not a known key; did you mean data.captioning.split\\?",
    ),
    ("model.zzz", 1, "model.zzz is not a known key; correct or remove it"),
    ("fetch.coco_url", "coco.org", 'fetch.coco_url = "coco.org": String should match pattern .*'),
    ("fetch.n_parallel", 33, "fetch.n_parallel = 33: Input should be less than or equal to 32"),
    (
        "model.dtype",
        "fp16",
        "model.dtype = \"fp16\": Input should be 'float32', 'bfloat16' or 'float16'",
    ),
    (
        "analysis.latency_statistic",
        "p99",
        "analysis.latency_statistic = \"p99\": Input should be 'median' or 'mean'",
    ),
    # Ranges name their bounds
    ("data.seed", -1, "data.seed = -1: Input should be greater than or equal to 0"),
    ("profile.seed", -1, "profile.seed = -1: Input should be greater than or equal to 0"),
    ("analysis.seed", -1, "analysis.seed = -1: Input should be greater than or equal to 0"),
    ("data.qa.n_requests", 0, "data.qa.n_requests = 0: .* greater than or equal to 1"),
    ("data.qa.resize_to", [0, 64], r"data.qa.resize_to\[0\] = 0: .* greater than or equal to 1"),
    ("data.qa.resize_to", [64, -1], r"data.qa.resize_to\[1\] = -1: .* greater than or equal to 1"),
    ("data.qa.resize_to", [10**6, 64], r".*\[0\] = 1000000: .* less than or equal to 16384"),
    ("data.qa.resize_to", [64, 64, 3], r"data.qa.resize_to = \[64, 64, 3\]: .* at most 2 items.*"),
    ("data.qa.resize_to", [64], r"data.qa.resize_to\[1\] is missing"),
    ("data.qa.resize_to", 64, "data.qa.resize_to = 64: Input should be a valid array"),
    ("data.captioning.resize_to", [16384, 8], r".*: one side is more than 200 times the other"),
    ("data.captioning.resize_to", [16384, 16384], r".*: has more than 89478485 pixels"),
    ("knobs.top_k", [4, 0], r"knobs.top_k\[1\] = 0: Input .* greater than or equal to 1"),
    ("knobs.top_k", [], r"knobs.top_k = \[\]: .* at least 1 item .*"),
    ("profile.n_trials", 1, "profile.n_trials = 1: Input should be greater than or equal to 2"),
    ("profile.e1_requests.qa", -3, "profile.e1_requests.qa = -3: .* greater than or equal to 1"),
    ("validity.closure", 0, "validity.closure = 0: Input should be greater than 0"),
    ("validity.closure", float("nan"), "validity.closure = NaN: Input should be a finite number"),
    ("validity.cpu_busy", 1.5, "validity.cpu_busy = 1.5: .* less than or equal to 1"),
    ("analysis.n_resamples", 99, "analysis.n_resamples = 99: .* greater than or equal to 100"),
    ("analysis.confidence", 95, "analysis.confidence = 95: Input should be less than 1"),
    ("analysis.confidence", 0.05, "analysis.confidence = 0.05: Input .* greater than 0.5"),
    ("analysis.quality_levels", [0.9, 99], r"analysis.quality_levels\[1\] = 99: .* equal to 1"),
    # Upper bounds, and what has none
    ("knobs.vision_tokens", 10**6, r"knobs.vision_tokens\[0\] = 1000000: .* equal to 100000"),
    ("knobs.top_k", [*range(1, 66)], r"knobs.top_k = \[1, .*: Tuple .* at most 64 items.*"),
    ("model.n_threads", 100_000, "model.n_threads = 100000: .* less than or equal to 1024"),
    ("model.device", "cuda:x", r'model.device = "cuda:x": String should match .*auto\|cpu\|cuda.*'),
    ("model.source", "x" * 5000, 'model.source = "xxx.*: String .* at most 4096 characters'),
    ("model.source", "a\0b", r'model.source = "a\\u0000b": a path cannot .* null character'),
    ("model.config", {"a": [{"b": 1e99}]}, "model.config = .*: 1e\\+99 is outside the allowed .*"),
    ("model.config", {"a": float("inf")}, "model.config = .*: inf is outside the allowed .*"),
    ("data.seed", 2**64, "data.seed = 18446744073709551616: .* less than or equal to 9223372.*"),
    ("data.scenes.n_images", 10**9, "data.scenes.n_images = 1000000000: .* equal to 100000"),
    (
        "profile.warmup_s",
        float("inf"),
        "profile.warmup_s = Infinity: Input should be a finite number",
    ),
    ("profile.max_new_tokens.qa", 10**6, "profile.max_new_tokens = .*: no output has more than .*"),
    ("validity.drift", float("inf"), "validity.drift = Infinity: Input should be a finite number"),
    ("validity.runtime_difference", 1e9, "validity.runtime_difference = 1000000000.0: .* to 100"),
    ("analysis.smallest_effect.share", float("nan"), "analysis.smallest_effect.share = NaN: .*"),
    ("analysis.quality_levels", [0.9] * 21, "analysis.quality_levels = .*: Tuple .* at most 20.*"),
    (
        "fetch.timeout_s",
        float("inf"),
        "fetch.timeout_s = Infinity: Input should be a finite number",
    ),
    # Knobs
    ("knobs.top_k", [2, 2], r"knobs.top_k = \[2, 2\]: the values must differ from each other"),
    ("knobs.top_k", [2, None], r"knobs.top_k = \[2, null\]: null must be the only value: .*"),
]


@pytest.mark.parametrize(("key", "value", "expected"), MISTAKES)
def test_a_mistake_is_named_in_one_line(
    key: str, value: Any, expected: str, tmp_path: Path
) -> None:
    assert re.fullmatch(expected, one_line(changed(key, value, tmp_path)))


def unbounded(schema: dict[str, Any]) -> list[str]:
    """The keys of a JSON Schema that have no upper bound."""

    def of(part: dict[str, Any], key: str) -> list[str]:
        if "anyOf" in part:
            return [k for one in part["anyOf"] for k in of(one, key)]
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        match part.get("type"):
            case "object" if "properties" in part:
                inner = part["properties"].items()
                return [k for name, one in inner for k in of(one, f"{key}.{name}")]
            case "array":
                items = part.get("prefixItems") or [part["items"]]
                inside = [k for one in items for k in of(one, f"{key}[]")]
                return ([] if "maxItems" in part else [key]) + inside
            case "integer" | "number":
                return [] if {"maximum", "exclusiveMaximum"} & part.keys() else [key]
            case "string":
                return [] if {"maxLength", "enum", "const"} & part.keys() else [key]
            case "boolean" | "null":
                return []
        return [key]

    return [key.removeprefix(".") for key in of(schema, "")]


def test_every_parameter_has_an_upper_bound() -> None:
    # Entries of a model's configuration are of any kind: a validator looks at their numbers.
    assert unbounded(Params.model_json_schema()) == ["model.config"]


def test_a_grid_that_nobody_can_measure_is_reported(tmp_path: Path) -> None:
    knobs = {name: list(range(1, 65)) for name in ("vision_tokens", "top_k", "active_blocks")}
    message = one_line(changed("knobs", knobs, tmp_path))
    assert "the values make 262144 settings, but at most 1000 are" in message
    some = load("knobs", knobs | {"design": "one_at_a_time"}, tmp_path).knobs.grid()
    assert len(some) == 1 + 3 * 63


def test_real_work_is_within_the_bounds(tmp_path: Path) -> None:
    large = [
        "data.qa.n_requests=214354",
        "data.captioning.n_requests=40504",
        "profile.e1_requests.qa=214354",
        "quality.n_requests.qa=214354",
        "profile.max_new_tokens.captioning=32768",
        "profile.n_trials=1000",
        "profile.warmup_s=3600.0",
        "model.n_threads=512",
        "model.device=cuda:15",
        "knobs.vision_tokens=[16384, 4096, 1024]",
        "knobs.top_k=[128, 8]",
        "knobs.active_blocks=[94, 48]",
        "model.config={text_config: {rope_theta: 1.0e+10, vocab_size: 262144}}",
        "analysis.n_resamples=20000",
        "validity.drift=1.0",
    ]
    assert load_params(PARAMS, large).knobs.grid()[0].active_blocks == 94


# YAML that is right, and yet no parameters


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("params_self_alias.yaml", "nested deeper than 20 levels, or in itself, in line 1"),
        ("params_alias_bomb.yaml", "more than 20,000 values with all aliases, in line 1"),
        ("params_deep.yaml", "nested deeper than 20 levels, in line 1"),
    ],
)
def test_yaml_that_takes_all_time_or_memory_is_reported_at_once(
    name: str, expected: str, cases: Cases
) -> None:
    tracemalloc.start()
    started = time.process_time()
    assert one_line(cases.hostile(name)) == expected
    assert time.process_time() - started < 2
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "key a is given twice, in line 3"),
        ("a: {b: 1, c: 2, b: 3}", "key b is given twice, in line 1"),
        ("1: a", "keys must be text, not 1, in line 1"),
        ("on: a", "keys must be text, not on, in line 1"),
        ("? [a, b]\n: c", "keys must be text, not a list or mapping, in line 1"),
        ("a: 1\n---\na: 2\n", "not YAML: expected a single document"),
        ("a: !!python/object/apply:os.system ['true']", "not YAML: could not determine"),
        ("a: !!binary aGk=", "a parameter cannot have a value of type bytes"),
        ("a: !!set {b, c}", "a parameter cannot have a value of type set"),
        ("a: 2024-99-99", "not YAML: month must be in 1..12"),
        ("a: " + "9" * 5000, "not YAML: Exceeds the limit"),
        ("a: !!int ''", "not YAML: "),
        ("a: *nothing", "not YAML: found undefined alias"),
        ("a: \0", "not YAML: unacceptable character"),
        ("x: " + "y" * 100_000, "cannot be read (too large: 100,003 bytes of at most 100,000)"),
        ("a: " + "[" * 30_000, "nested deeper than 20 levels"),
        ("a: '" + "{" * 99_000, "not YAML: while scanning"),
    ],
)
def test_odd_yaml_is_reported_in_one_short_line(text: str, expected: str, tmp_path: Path) -> None:
    message = one_line(write(text, tmp_path))
    assert expected in message
    assert len(message) < 400


def test_a_hundred_megabytes_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "params.yaml").open("wb") as file:
        file.truncate(10**8)
    assert one_line(tmp_path / "params.yaml").startswith("cannot be read (too large: 100,000,000")


def test_a_pipe_or_device_as_params_is_reported_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "params.yaml")
    for path in (tmp_path / "params.yaml", Path("/dev/zero")):
        assert one_line(path) == "cannot be read (a pipe, socket or device); give a regular file"


def test_a_byte_order_mark_and_aliases_within_reason_are_read(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    wanted = "e2_requests: {qa: 100, captioning: 50}"
    assert wanted in text
    shared = text.replace("e1_requests: {", "e1_requests: &n {").replace(wanted, "e2_requests: *n")
    path = write("\ufeff" + shared, tmp_path)
    params = load_params(path, ["profile.e1_requests.qa=7"])
    # What is changed in one place is not changed in the other.
    assert (params.profile.e1_requests.qa, params.profile.e2_requests.qa) == (7, 300)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "knobs.top_k=&a [*a]",
            "--set knobs.top_k=&a [*a]: nested deeper than 20 levels",
        ),
        ("knobs.top_k=[", "--set knobs.top_k=[: not YAML: while parsing"),
        ("data.seed=" + "1" * 5000, "not YAML: Exceeds the limit"),
        ("knobs.top_k=" + "[" * 5000, "nested deeper than 20 levels"),
        ("x" * 5000, "give section.key=value, such as model.device=cuda"),
        ("model.config={a: 1, a: 2}", "key a is given twice"),
        ("profile.warmup_s=.inf", "profile.warmup_s = Infinity: Input should be a finite number"),
    ],
)
def test_odd_changes_are_reported_in_one_short_line(change: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        load_params(PARAMS, [change])
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert len(message) < 700


def all_told(path: Path, *changes: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_params(path, changes)
    return [line.removeprefix(f"{path}: ") for line in caught.value.told]


def test_a_misspelt_key_is_one_mistake_that_names_the_right_key(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8").replace("n_trials:", "trials:")
    told = all_told(write(text, tmp_path))
    assert told == ["profile.trials is not a known key; did you mean profile.n_trials?"]


def test_all_mistakes_are_reported_at_once_one_per_line() -> None:
    changes = ["model.dtype=bfloat61", "profile.n_trials=1", "modle.device=cpu", "top_k=2"]
    told = all_told(PARAMS, *changes)
    assert told == [
        "--set modle.device=cpu: give section.key=value, such as model.device=cuda; "
        "did you mean model?",
        "model.dtype = \"bfloat61\": Input should be 'float32', 'bfloat16' or 'float16'; "
        "did you mean bfloat16?",
        "profile.n_trials = 1: Input should be greater than or equal to 2",
        "top_k is not a known key; did you mean knobs.top_k?",
    ]


def test_a_thousand_mistakes_are_counted(tmp_path: Path) -> None:
    told = all_told(write("\n".join(f"a{i}: 1" for i in range(1000)), tmp_path))
    assert len(told) == 21
    assert told[:2] == ["data is missing", "fetch is missing"]
    assert told[-1] == "... and 988 more mistakes"


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    message = one_line(changed("data.seed", "x" * 10_000, tmp_path))
    assert len(message) < 150


def test_a_long_key_is_cut(tmp_path: Path) -> None:
    message = one_line(changed("k" * 10_000, 1, tmp_path))
    assert message.endswith("... is not a known key; correct or remove it")
    assert len(message) < 150


def test_a_date_is_distinguished_from_a_number(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8").replace("seed: 20240 ", "seed: 2024-05-01 ")
    assert one_line(write(text, tmp_path)).startswith('data.seed = "2024-05-01": ')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: [1, 2", "not YAML: while parsing a flow sequence"),
        ("data: 1\n\tmodel: 2", "not YAML: "),
        ("", "the whole = null: "),
        ("2024-05-01: 1", "keys must be "),
    ],
)
def test_what_is_not_a_params_file_is_named_in_one_line(
    text: str, expected: str, tmp_path: Path
) -> None:
    assert expected in one_line(write(text, tmp_path))


def test_what_cannot_be_read_is_named_in_one_line(tmp_path: Path) -> None:
    assert one_line(tmp_path / "none.yaml") == "cannot be read (No such file or directory)"
    assert one_line(tmp_path) == "cannot be read (Is a directory)"
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe")
    assert one_line(tmp_path / "params.yaml") == "cannot be read (not UTF-8 text); save it as UTF-8"


def test_params_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_params(PARAMS).data.seed = 2  # type: ignore[misc]


@pytest.mark.parametrize("mode", ["free", "reference_length", "both"])
def test_random_weights_are_as_long_as_the_reference(mode: DecodeModeChoice) -> None:
    assert effective_decode_mode("random", mode) == "reference_length"
    assert effective_decode_mode("pretrained", mode) == mode
    assert decode_passes(mode)[0] == ("free" if mode == "both" else mode)


def test_the_decision_level_is_one_of_the_quality_levels(tmp_path) -> None:
    message = one_line(changed("analysis.decision_level", 0.5, tmp_path))
    assert "decision_level = 0.5 is not one of quality_levels (0.99, 0.95, 0.9)" in message


def test_parameters_are_changed_one_by_one() -> None:
    changes = ["model.runtime=compiled", "knobs.top_k=[2, 1]", "profile.e1_requests.qa=7"]
    params = load_params(PARAMS, changes)
    assert (params.model.runtime, params.knobs.top_k) == ("compiled", (2, 1))
    assert params.profile.e1_requests.qa == 7


@pytest.mark.parametrize("change", ["model.runtime", "nowhere.at.all=1", "model.source.deep=1"])
def test_a_change_that_cannot_be_made_is_refused(change) -> None:
    with pytest.raises(UserError, match=r"give section\.key=value"):
        load_params(PARAMS, [change])


def test_a_change_is_validated_as_the_file_is() -> None:
    with pytest.raises(UserError, match=r"params\.yaml: model\.runtime = \"fast\""):
        load_params(PARAMS, ["model.runtime=fast"])


def test_one_at_a_time_leaves_out_settings_with_two_changed_knobs() -> None:
    changes = ["knobs.design=one_at_a_time", "knobs.vision_tokens=[144, 36]"]
    labels = [s.label for s in load_params(PARAMS, changes).knobs.grid()]
    assert labels == ["144/4/8", "144/4/6", "144/4/4", "144/2/8", "144/1/8", "36/4/8"]
