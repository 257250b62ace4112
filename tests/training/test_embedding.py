import numpy as np
import pytest

from training import embedding
from training.embedding import Table, UnknownProjection, plot, project, read_csv, write_csv

pytestmark = pytest.mark.slow


def clusters(samples=40, dimensions=8, apart=8.0, seed=0):
    random = np.random.default_rng(seed)
    which = np.arange(samples) % 2
    return (random.standard_normal((samples, dimensions)) + apart * which[:, None]).astype(np.float32), which


def parted(points, which):
    """Everybody is nearer to the middle of his own than to the other's."""
    middles = np.stack([points[which == side].mean(axis=0) for side in (0, 1)])
    return (np.linalg.norm(points[:, None] - middles, axis=-1).argmin(axis=1) == which).all()


@pytest.mark.parametrize("name", ["pca", "tsne", pytest.param("umap", marks=pytest.mark.slow)])
def test_a_projection_keeps_clusters_apart_and_is_the_same_twice(name):
    embeddings, which = clusters()
    points = project(name, embeddings)
    assert points.shape == (40, 2)
    assert points.dtype == np.float32
    assert parted(points, which)
    np.testing.assert_array_equal(project(name, embeddings), points)


def test_principal_components_keep_distances_of_flat_data():
    random = np.random.default_rng(0)
    flat = random.standard_normal((12, 2)) @ np.linalg.qr(random.standard_normal((6, 6)))[0][:2]
    points = project("pca", flat)

    def distances(x):
        return np.linalg.norm(x[:, None] - x[None], axis=-1)

    np.testing.assert_allclose(distances(points), distances(flat), atol=1e-5)


@pytest.mark.parametrize("name", ["pca", "tsne"])
def test_few_samples_and_one_dimension_are_projected(name):
    assert project(name, clusters(samples=6)[0]).shape == (6, 2)
    assert np.isfinite(project(name, clusters(samples=6, dimensions=1)[0])).all()


def test_what_cannot_be_projected_is_refused():
    with pytest.raises(UnknownProjection, match="pca, tsne, umap"):
        project("lda", clusters()[0])
    with pytest.raises(ValueError, match="at least 5"):
        project("pca", np.zeros((3, 4)))
    with pytest.raises(ValueError, match="finite"):
        project("pca", np.full((9, 4), np.nan))


def table():
    embeddings, which = clusters(samples=10, dimensions=3)
    embeddings[0] = (1e-30, np.float32(1 / 3), -1e20)
    return Table(tuple(f"a, {i}" for i in range(10)), tuple("sn"[i] for i in which), embeddings)


def test_a_table_is_written_and_read_to_the_bit(tmp_path):
    write_csv(tmp_path / "e.csv", table())
    found = read_csv(tmp_path / "e.csv")
    assert found.videos == table().videos
    assert found.labels == table().labels
    np.testing.assert_array_equal(found.embeddings, table().embeddings)
    assert (tmp_path / "e.csv").read_text().startswith("video,label,e0,e1,e2\n")


@pytest.mark.parametrize("text", ["video,e0\na,1\n", "video,label,e0,e1\na,s,1\n", "label,video,e0\ns,a,1\n"])
def test_other_tables_are_refused(tmp_path, text):
    (tmp_path / "e.csv").write_text(text)
    with pytest.raises(ValueError, match="columns"):
        read_csv(tmp_path / "e.csv")


@pytest.mark.parametrize("highlight", [None, "s", "nobody's"])
def test_a_plot_is_a_picture(tmp_path, highlight):
    plot(tmp_path / "p.png", embedding.pca(table().embeddings), table().labels, highlight, title="signers")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_highlighted_label_is_blue_and_the_others_are_grey(tmp_path):
    from PIL import Image

    points = np.array([[0, 0], [1, 1], [2, 2], [3, 3], [4, 4]], np.float32)

    def colours(highlight):
        plot(tmp_path / "p.png", points, ["s", "s", "n", "n", "n"], highlight)
        picture = np.asarray(Image.open(tmp_path / "p.png").convert("RGB")).reshape(-1, 3)
        return {tuple(colour) for colour in picture.tolist()}

    blue, grey = (31, 119, 180), (178, 178, 178)
    assert {blue, grey} <= colours("s")
    assert blue not in colours("nobody's")


def test_a_plot_needs_a_label_a_point(tmp_path):
    with pytest.raises(ValueError, match="got 2 for 5"):
        plot(tmp_path / "p.png", np.zeros((5, 2), np.float32), ["s", "n"])
