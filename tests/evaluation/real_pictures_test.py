import numpy as np
import pytest

from keras_lapgan.datasets import DataError
from keras_lapgan.evaluation import RealPictures
from keras_lapgan.evaluation.real_pictures import cut
from keras_lapgan.evaluation.real_pictures import seem_stretched
from keras_lapgan.evaluation.real_pictures import stretched


def numbered(count, side=6):
    """Pictures whose every pixel tells the picture and its own place."""
    images = np.zeros((count, side, side, 3), "uint8")
    images[..., 0] = np.arange(count)[:, None, None]
    images[..., 1] = np.arange(side)[:, None]
    images[..., 2] = np.arange(side)
    return images


def numbers(images):
    return set(images[:, 0, 0, 0].tolist())


def corners(images):
    return {tuple(image[0, 0, 1:]) for image in images}


def test_the_two_sets_share_no_picture(source_of):
    source = source_of(numbered(40))
    alone = RealPictures(source, size=(4, 4))
    reference, _ = alone.reference(20)
    other, _ = alone.other(20)
    assert len(numbers(reference)) == len(numbers(other)) == 20
    assert not numbers(reference) & numbers(other)
    assert alone.most == 20 and alone.settled(20).floor == "others of all"


def test_the_other_set_is_held_out_where_there_are_enough(source_of):
    heldout = numbered(30)
    heldout[..., 0] += 100
    real = RealPictures(
        source_of(numbered(40)), source_of(heldout), size=(4, 4)
    )
    assert real.most == 30
    assert min(numbers(real.other(30)[0])) >= 100
    few = RealPictures(
        source_of(numbered(40)), source_of(heldout[:10]), size=(4, 4)
    )
    assert few.most == 20
    assert max(numbers(few.other(15)[0])) < 40
    assert not numbers(few.other(20)[0]) & numbers(few.reference(20)[0])
    assert min(numbers(few.other(10)[0])) >= 100
    # Of one split in all of an evaluation.
    settled = few.settled(20)
    assert max(numbers(settled.other(10)[0])) < 40
    assert settled.floor == "others of all"
    assert few.settled(10).floor == "some"


def test_more_pictures_begin_with_the_same(source_of):
    real = RealPictures(source_of(numbered(40)), size=(4, 4))
    np.testing.assert_array_equal(
        real.reference(20)[0][:7], real.reference(7)[0]
    )
    again = RealPictures(source_of(numbered(40)), size=(4, 4))
    np.testing.assert_array_equal(real.reference(9)[0], again.reference(9)[0])
    other = RealPictures(source_of(numbered(40)), size=(4, 4), seed=1)
    assert numbers(other.reference(9)[0]) != numbers(real.reference(9)[0])


def test_labels_go_with_their_pictures(source_of):
    source = source_of(numbered(40), np.arange(40) % 5)
    images, labels = RealPictures(source, size=(4, 4)).reference(20)
    np.testing.assert_array_equal(images[:, 0, 0, 0] % 5, labels)


@pytest.mark.parametrize(
    ("crop", "places"),
    [
        ("corners", {(0, 0), (0, 2), (2, 0), (2, 2)}),
        ("random", {(i, j) for i in range(3) for j in range(3)}),
        ("center", {(1, 1)}),
    ],
)
def test_crops(crop, places):
    rng = np.random.default_rng(0)
    images = cut(numbered(200), (4, 4), crop, rng)
    assert images.shape == (200, 4, 4, 3)
    assert corners(images) == places


@pytest.mark.parametrize(
    ("crop", "places"),
    [
        ("corners", [(0, 0), (0, 2), (2, 0), (2, 2)]),
        ("random", [(i, j) for i in range(3) for j in range(3)]),
        ("center", [(1, 1)]),
    ],
)
def test_pictures_as_training_may_have_cut_them(source_of, crop, places):
    real = RealPictures(source_of(numbered(40)), size=(4, 4), crop=crop)
    found = list(real.as_trained(real.seen()))
    assert [corners(images) for images in found] == [{x} for x in places]


def test_unseen_pictures_are_not_searched(source_of):
    real = RealPictures(source_of(numbered(40)), size=(6, 6))
    unseen, seen = real.unseen(100), real.seen()
    assert len(unseen) == 20 and len(seen) == 20
    assert not numbers(unseen) & numbers(seen)


def test_few_held_out_pictures_do_not_tell_how_near_strangers_are(source_of):
    heldout = numbered(30)
    heldout[..., 0] += 100
    real = RealPictures(
        source_of(numbered(40)), source_of(heldout), size=(6, 6)
    )
    assert max(numbers(real.unseen(100))) < 40
    assert not numbers(real.unseen(100)) & numbers(real.seen())


def test_copies_are_of_what_was_trained_on(source_of):
    training = numbered(30)
    training[..., 0] += 100
    real = RealPictures(
        source_of(numbered(40)), training=source_of(training), size=(6, 6)
    )
    assert min(numbers(real.seen())) >= 100
    assert len(real.unseen(40)) == 40 and max(numbers(real.unseen(40))) < 40


def test_held_out_pictures_that_are_not_are_refused(source_of, monkeypatch):
    images = numbered(40)
    with pytest.raises(DataError, match="20 of 40 of theirs are in both"):
        RealPictures(
            source_of(images[:20]),
            source_of(images, name="theirs"),
            size=(6, 6),
        )
    with pytest.raises(DataError, match="another one.*'train' for both"):
        RealPictures.open("sample", "train", "train", size=(6, 6))
    with pytest.raises(DataError, match="held-out split: .*'foo'"):
        RealPictures.open("sample", heldout="foo", size=(6, 6))


def test_stretching():
    images = np.array([10, 20, 30], "uint8").reshape(1, 3, 1, 1)
    images = np.concatenate([images, np.full_like(images, 7)])
    assert stretched(images)[0].ravel().tolist() == [0, 128, 255]
    assert stretched(images)[1].ravel().tolist() == [7, 7, 7]


def test_whether_samples_seem_stretched(sample):
    images = sample.read(range(200))
    assert not seem_stretched(images)
    assert seem_stretched(stretched(images))
    half = np.concatenate([stretched(images[:100]), images[100:]])
    assert not seem_stretched(half)


def test_stretch_comes_after_the_cut(source_of, real):
    plain, _ = real().reference(40)
    np.testing.assert_array_equal(
        real(stretch=True).reference(40)[0], stretched(plain)
    )
    np.testing.assert_array_equal(
        real(stretch=True).unstretched().reference(40)[0], plain
    )


def test_a_name_is_opened_with_its_halves_or_its_splits(tmp_path):
    real = RealPictures.open("sample", size=(28, 28))
    assert real.most == 500
    assert real.protocol == {
        "data": "sample",
        "split": "train",
        "heldout": None,
        "copies_of": "train",
        "source_size": None,
    }
    from PIL import Image

    for split, count in (("train", 12), ("val", 10)):
        (tmp_path / split).mkdir()
        for i in range(count):
            color = (i, count, 0)
            Image.new("RGB", (8, 8), color).save(tmp_path / split / f"{i}.png")
    real = RealPictures.open(tmp_path, size=(8, 8))
    assert real.protocol["heldout"] == "val"
    assert real.most == 10
    swapped = RealPictures.open(tmp_path, "val", size=(8, 8))
    assert swapped.protocol["heldout"] is None
    assert swapped.protocol["copies_of"] == "train"
    assert set(swapped.seen()[:, 0, 0, 1]) == {12}
    assert set(swapped.unseen(9)[:, 0, 0, 1]) == {10}


def test_pictures_smaller_than_samples_are_refused(source_of):
    with pytest.raises(DataError, match="larger than.*some of 6 x 6"):
        RealPictures(source_of(numbered(40)), size=(8, 8))
    with pytest.raises(DataError, match="4 pictures at least.*3 in some"):
        RealPictures(source_of(numbered(3)), size=(4, 4))


def test_a_model_says_how_pictures_are_cut(tiny, source_of):
    model = tiny.model(source_size=10, crop="center")
    images = tiny.images(30, size=10)
    real = RealPictures.for_model(model, images)
    assert real.size == (8, 8) and real.crop == "center"
    picked = real.reference(1)[0][0]
    assert any((image[1:9, 1:9] == picked).all() for image in images)


def test_the_classes_of_a_model_must_be_there(tiny):
    model = tiny.model(num_classes=3)
    images = tiny.images(30)
    with pytest.raises(DataError, match="3 classes.*of no classes"):
        RealPictures.for_model(model, images)
    real = RealPictures.for_model(model, images, labels=tiny.labels(30))
    assert set(real.labels(15)) == {0, 1, 2}
    assert set(real.reference(15)[1]) == {0, 1, 2}
