import pytest

from training.labels import REST, EmptyClass, StrayLabel, assign, existing

FOUND = ["S", "S", "P", "n", "n", "n"]


def test_labels_go_to_their_classes_and_the_rest_to_the_rest():
    assert assign({"signing": ["S"], "other": [REST]}, FOUND) == {"S": 0, "P": 1, "n": 1}
    assert assign({"other": ["P", "n", "?"], "signing": ["S"]}, FOUND) == {"S": 1, "P": 0, "n": 0}


@pytest.mark.parametrize("wanted", ["s", "sign", "signing"])
def test_a_class_that_nothing_shows_is_an_error_that_says_what_there_is(wanted):
    with pytest.raises(EmptyClass, match=rf"nothing is labelled {wanted} \(class yes\).*n \(3\), S \(2\), P \(1\)"):
        assign({"yes": [wanted], "no": [REST]}, FOUND)


def test_the_rest_may_not_be_empty_either():
    with pytest.raises(EmptyClass, match="class no"):
        assign({"yes": ["S", "P", "n"], "no": [REST]}, FOUND)


def test_a_label_that_differs_in_case_only_is_pointed_at():
    with pytest.raises(EmptyClass, match="did you mean S"):
        assign({"yes": ["s"], "no": [REST]}, FOUND)
    assert "did you mean" not in existing(FOUND, ["zebra"])
    assert "did you mean hello" in existing(["hello"], ["helo"])


def test_a_label_of_no_class_and_one_of_two_are_errors():
    with pytest.raises(StrayLabel, match=r"no class names P, n"):
        assign({"yes": ["S"]}, FOUND)
    with pytest.raises(ValueError, match="'S' is named by two classes"):
        assign({"yes": ["S"], "no": ["S", REST]}, FOUND)
