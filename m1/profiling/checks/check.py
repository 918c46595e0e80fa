"""Make the record of a check: value, threshold, and a sentence with both."""

from m1.schemas.profile import Check, Spoiled


def at_most(
    name: str,
    value: float,
    threshold: float,
    sentence: str,
    form: str = ".2%",
    spoils: Spoiled = "everything",
) -> Check:
    """A check that a value is at most its threshold. Both are added to the sentence."""
    passed = value <= threshold
    sign = "at most" if passed else "above"
    detail = f"{sentence}: {value:{form}}, {sign} {threshold:{form}}"
    return Check(
        name=name, value=value, threshold=threshold, passed=passed, detail=detail, spoils=spoils
    )


def at_least(name: str, value: int, threshold: int, sentence: str) -> Check:
    """A check that a number is at least its threshold. Both are added to the sentence."""
    passed = value >= threshold
    sign = "at least" if passed else "fewer than"
    return Check(
        name=name,
        value=float(value),
        threshold=float(threshold),
        passed=passed,
        detail=f"{sentence}: {value}, {sign} {threshold}",
    )


def not_measured(
    name: str, threshold: float, reason: str, *, passed: bool, spoils: Spoiled = "everything"
) -> Check:
    """A check of something that could not be measured.

    Args:
        name: which check.
        threshold: the threshold that a value would have been compared with.
        reason: why there is no value, in a sentence.
        passed: whether a run can be valid without this value.
        spoils: what a run cannot claim if it did not pass.
    """
    return Check(
        name=name, value=None, threshold=threshold, passed=passed, detail=reason, spoils=spoils
    )
