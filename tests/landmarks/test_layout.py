import numpy as np
import pytest

from landmarks import (
    BODY_25,
    HAND_21,
    HOLISTIC_75,
    KINECT_20,
    LAYOUTS,
    POSE_33,
    SIGN_27,
    UPPER_BODY,
    Layout,
    UnknownJoint,
    UnknownLayout,
    blend,
    find_layout,
    numbered,
)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if any(c.isdigit() for c in name)])
def test_layouts_have_as_many_joints_as_their_names_say(name):
    assert len(find_layout(name)) == int("".join(c for c in name if c.isdigit()))


# Bones as the published code numbers them: (child, parent).
PUBLISHED = {
    "ntu_25": "0-1 1-20 2-20 3-2 4-20 5-4 6-5 7-6 8-20 9-8 10-9 11-10 12-0 13-12 14-13 15-14 16-0 17-16 18-17 19-18 "
    "21-7 22-7 23-11 24-11",
    "ntu_25_chain": "0-1 1-20 2-20 3-2 4-20 5-4 6-5 7-6 8-20 9-8 10-9 11-10 12-0 13-12 14-13 15-14 16-0 17-16 18-17 "
    "19-18 21-22 22-7 23-24 24-11",
    "kinect_20": "0-1 1-2 3-2 4-2 5-4 6-5 7-6 8-2 9-8 10-9 11-10 12-0 13-12 14-13 15-14 16-0 17-16 18-17 19-18",
    "coco_17": "15-13 13-11 16-14 14-12 11-5 12-6 9-7 7-5 10-8 8-6 5-0 6-0 1-0 3-1 2-0 4-2",
    "openpose_18": "4-3 3-2 7-6 6-5 13-12 12-11 10-9 9-8 11-5 8-2 5-1 2-1 0-1 15-0 14-0 17-15 16-14",
    "shrec_22": "1-0 2-0 3-2 4-3 5-4 6-1 7-6 8-7 9-8 10-1 11-10 12-11 13-12 14-1 15-14 16-15 17-16 18-1 19-18 20-19 "
    "21-20",
    "shrec_20": "1-0 2-1 3-2 4-0 5-4 6-5 7-6 8-0 9-8 10-9 11-10 12-0 13-12 14-13 15-14 16-0 17-16 18-17 19-18",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_bones_are_the_published_ones(name):
    want = {tuple(int(joint) for joint in bone.split("-")) for bone in PUBLISHED[name].split()}
    assert {(int(child), int(parent)) for child, parent in find_layout(name).edges} == want


@pytest.mark.parametrize(
    ("name", "centre"),
    [
        ("ntu_25", 20),
        ("ntu_25_chain", 20),
        ("coco_17", 0),
        ("coco_17_linked", 0),
        ("openpose_18", 1),
        ("hand_21", 0),
        ("kinect_20", 2),
    ],
)
def test_a_layout_has_a_centre(name, centre):
    layout = find_layout(name)
    assert layout.indices(layout.centre) == centre


def test_a_centre_must_be_a_joint():
    with pytest.raises(UnknownJoint, match="tail"):
        Layout("bad", ("a", "b"), (), centre="tail")


def test_a_numbered_layout_has_joints_and_bones_by_position():
    layout = numbered(3, [(1, 0), (2, 1)])
    assert layout.joints == ("joint_0", "joint_1", "joint_2")
    assert layout.edges.tolist() == [[1, 0], [2, 1]]
    assert layout.centre == "joint_0"


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


def test_blending_makes_openposes_body_of_mediapipes():
    weights = blend(POSE_33, BODY_25)
    made = {
        joint: [POSE_33.joints[i] for i in np.flatnonzero(row)]
        for joint, row in zip(BODY_25.joints, weights, strict=True)
    }
    assert made.pop("neck") == ["left_shoulder", "right_shoulder"]
    assert made.pop("mid_hip") == ["left_hip", "right_hip"]
    toes = {joint for joint in made if "toe" in joint}
    assert all(made[joint] == ([] if joint in toes else [joint]) for joint in made)
    assert len(toes) == 4
    assert set(weights.sum(axis=1).tolist()) == {0.0, 1.0}


def test_blending_with_itself_changes_nothing_and_without_shoulders_there_is_no_neck():
    for layout in LAYOUTS.values():
        assert (blend(layout, layout) == np.eye(len(layout))).all()
    assert not blend(HAND_21, BODY_25).any()


def test_all_of_kinects_joints_can_be_made_of_mediapipes():
    assert blend(HOLISTIC_75, KINECT_20).any(axis=1).all()
