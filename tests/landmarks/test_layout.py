import pytest

from landmarks import (
    HAND_21,
    HOLISTIC_75,
    LAYOUTS,
    SIGN_27,
    UPPER_BODY,
    Layout,
    UnknownJoint,
    UnknownLayout,
    find_layout,
)


@pytest.mark.parametrize(("name", "joints"), [("holistic_75", 75), ("pose_33", 33), ("hand_21", 21), ("sign_27", 27)])
def test_layouts_have_as_many_joints_as_their_names_say(name, joints):
    assert len(find_layout(name)) == joints


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_mirroring_twice_changes_nothing_and_once_swaps_sides(layout):
    assert (layout.mirror[layout.mirror] == range(len(layout))).all()
    for joint, twin in zip(layout.joints, layout.mirror, strict=True):
        assert ("left" in joint.split("_")) == ("right" in layout.joints[twin].split("_"))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_bones_link_every_joint(layout):
    linked, before = {layout.joints[0]}, 0
    while len(linked) > before:
        before = len(linked)
        linked |= {joint for bone in layout.bones if linked & set(bone) for joint in bone}
    assert linked == set(layout.joints)


def test_smaller_layouts_are_parts_of_holistic():
    assert set(SIGN_27.joints) < set(HOLISTIC_75.joints)
    assert set(UPPER_BODY.joints) < set(HOLISTIC_75.joints)
    assert {f"left_hand_{joint}" for joint in HAND_21.joints} < set(HOLISTIC_75.joints)


def test_a_missing_joint_is_named():
    with pytest.raises(UnknownJoint, match="hand_21 has no joint nose, tail"):
        HAND_21.indices("wrist", "nose", "tail")


def test_an_unknown_layout_shows_the_right_ones():
    with pytest.raises(UnknownLayout, match="holistic_75"):
        find_layout("holistic")


def test_a_layout_refuses_a_joint_named_twice():
    with pytest.raises(ValueError, match="twice"):
        Layout("bad", ("a", "a"), ())
