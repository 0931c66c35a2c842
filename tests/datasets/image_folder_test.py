import os
import pickle
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_lapgan.datasets import DataError
from keras_lapgan.datasets import load_images


def picture(value=0, size=(8, 8)):
    width, height = size
    array = np.full((height, width, 3), value, np.uint8)
    return Image.fromarray(array)


def quadrants():
    """8 x 8: red, green / blue, white, so that every turn is seen."""
    array = np.zeros((8, 8, 3), np.uint8)
    array[:4, :4] = (255, 0, 0)
    array[:4, 4:] = (0, 255, 0)
    array[4:, :4] = (0, 0, 255)
    array[4:, 4:] = (255, 255, 255)
    return array


def load_one(path, **kwargs):
    return load_images(path, **kwargs).read([0])[0]


@pytest.fixture
def classes(tmp_path):
    for number, name in enumerate(["boat", "car", "train"]):
        (tmp_path / "set" / name / "deep").mkdir(parents=True)
        for i in range(4):
            where = "deep" if i == 3 else "."
            picture(number * 10 + i).save(
                tmp_path / "set" / name / where / f"{i}.PNG"
            )
    return tmp_path / "set"


def test_sub_folders_are_classes(classes):
    (classes / "boat" / ".hidden.png").write_bytes(b"no image")
    (classes / ".git").mkdir()
    (classes / "empty").mkdir()
    (classes / "boat" / "notes.txt").write_text("no image")
    source = load_images(classes)
    assert source.class_names == ["boat", "car", "train"]
    assert source.num_classes == 3
    assert len(source) == 12 and source.cached and source.skipped == []
    assert source.image_shape == (8, 8, 3)
    assert source.labels.dtype == np.int32
    images = source.read(range(12))
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[:, 0, 0, 0] // 10, source.labels)
    unlabelled = load_images(classes, labels=False)
    assert unlabelled.labels is None and unlabelled.num_classes == 0
    assert unlabelled.class_names is None


def test_flat_folder_has_no_labels(tmp_path):
    for i in range(3):
        picture(i).save(tmp_path / f"{i}.png")
    source = load_images(str(tmp_path))
    assert source.labels is None and source.class_names is None
    assert source.read([2, 0])[:, 0, 0, 0].tolist() == [2, 0]


def test_loose_files_beside_classes_are_left_out(classes):
    picture(99).save(classes / "loose.png")
    with pytest.warns(UserWarning, match="Left out 1 image files"):
        source = load_images(classes)
    assert len(source) == 12


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        load_images(tmp_path)


def test_link_loop_ends(classes):
    os.symlink(classes, classes / "boat" / "again")
    os.symlink("self.png", classes / "boat" / "self.png")
    with pytest.warns(UserWarning, match="Skipped 1 of"):
        source = load_images(classes)
    assert source.class_names == ["boat", "car", "train"]


def test_splits_from_folders(tmp_path):
    for split, names in (("train", "ab"), ("test", "b")):
        for name in names:
            (tmp_path / split / name).mkdir(parents=True)
            picture(50 + ord(name)).save(tmp_path / split / name / "0.png")
    assert load_images(tmp_path).class_names == ["a", "b"]
    test = load_images(tmp_path, split="test")
    # "b" is class 1 in both, though the test split has it alone.
    assert test.class_names == ["a", "b"] and test.labels.tolist() == [1]
    with pytest.raises(DataError, match="splits: train, test.*'val'"):
        load_images(tmp_path, split="val")


def test_slices_are_disjoint_and_mixed(classes):
    first = load_images(classes, split="train[:50%]")
    second = load_images(classes, split="train[50%:]")
    values = [
        set(source.read(range(6))[:, 0, 0, 0].tolist())
        for source in (first, second)
    ]
    assert not values[0] & values[1]
    assert len(values[0] | values[1]) == 12
    assert len(set(first.labels)) > 1
    with pytest.raises(DataError, match="splits: train.*'test'"):
        load_images(classes, split="test")
    with pytest.raises(DataError, match="whole numbers or percents"):
        load_images(classes, split="train[:x]")
    with pytest.raises(DataError, match="slice holds no images"):
        load_images(classes, split="train[50:]")


def png_chunk(kind, data):
    body = kind + data
    return (
        struct.pack(">I", len(data))
        + body
        + struct.pack(">I", zlib.crc32(body))
    )


def test_modes(tmp_path):
    base = quadrants()
    grey = np.asarray(Image.fromarray(base).convert("L"))
    grey_rgb = np.repeat(grey[..., None], 3, -1)
    cases = {}

    def save(name, image, expected, **kwargs):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        image.save(folder / name, **kwargs)
        cases[folder] = expected

    save("grey.png", Image.fromarray(grey), grey_rgb)
    bits = Image.fromarray(base).convert("1", dither=Image.Dither.NONE)
    save(
        "bits.png",
        bits,
        np.repeat(np.asarray(bits)[..., None] * np.uint8(255), 3, -1),
    )

    alpha = np.full((8, 8, 1), 255, np.uint8)
    alpha[:4, :4] = 0
    alpha[:4, 4:] = 128
    on_white = base.copy()
    on_white[:4, :4] = 255
    on_white[:4, 4:] = (127, 255, 127)
    save(
        "rgba.png", Image.fromarray(np.concatenate([base, alpha], -1)), on_white
    )
    la = Image.merge(
        "LA", (Image.fromarray(grey), Image.fromarray(alpha[..., 0]))
    )
    la_white = grey_rgb.astype(float)
    la_white = 255 - (255 - la_white) * (alpha / 255)
    save("la.png", la, la_white)

    palette = Image.fromarray(base).convert(
        "P", palette=Image.Palette.ADAPTIVE, colors=4
    )
    save("palette.png", palette, base)
    red = palette.getpixel((0, 0))
    see_through = base.copy()
    see_through[:4, :4] = 255
    save("see_through.png", palette, see_through, transparency=red)
    save("see_through.gif", palette, see_through, transparency=red)
    tones = bytes(128 if i == red else 255 for i in range(4))
    half = base.copy()
    half[:4, :4] = (255, 127, 127)
    save("half.png", palette, half, transparency=tones)
    save(
        "color_key.png",
        Image.fromarray(base),
        see_through,
        transparency=(255, 0, 0),
    )

    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    expected = np.rint(deep / 257)[..., None].repeat(3, -1)
    save("deep.png", Image.fromarray(deep), expected)
    save("deep.tif", Image.fromarray(deep), expected)
    save(
        "deep_big_endian.tif",
        Image.fromarray(deep.astype(">u2")),
        expected,
    )
    save("cmyk.tif", Image.fromarray(base).convert("CMYK"), base)
    save("plain.ppm", Image.fromarray(base), base)
    save("plain.bmp", Image.fromarray(base), base)
    save("plain.webp", Image.fromarray(base), base, lossless=True)
    save(
        "animation.gif",
        palette,
        base,
        save_all=True,
        append_images=[picture(7), picture(9)],
    )
    for folder, expected in cases.items():
        found = load_one(folder)
        assert found.shape == (8, 8, 3), folder
        np.testing.assert_allclose(
            found.astype(float), expected, atol=1, err_msg=str(folder)
        )


def test_16_bit_color_png(tmp_path):
    row = np.array([[65535, 0, 32768]], ">u2").tobytes()
    data = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(b"\0" + row))
        + png_chunk(b"IEND", b"")
    )
    (tmp_path / "deep.png").write_bytes(data)
    assert load_one(tmp_path)[0, 0].tolist() == [255, 0, 128]


def test_cmyk_jpeg(tmp_path):
    Image.fromarray(quadrants()).convert("CMYK").resize((64, 64), 0).save(
        tmp_path / "a.jpg", quality=95
    )
    found = load_one(tmp_path)
    assert abs(found[8, 8].astype(int) - (255, 0, 0)).max() < 12
    assert abs(found[56, 56].astype(int) - 255).max() < 12


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, suffix, orientation):
    array = np.repeat(np.repeat(quadrants(), 4, 0), 8, 1)
    upright = Image.fromarray(array)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright
    if orientation in undo:
        stored = upright.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"a.{suffix}", exif=exif)
    found = load_one(tmp_path)
    # size=None: the header's size is the upright one too.
    assert found.shape == (32, 64, 3)
    points = (slice(8, None, 16), slice(16, None, 32))
    np.testing.assert_allclose(
        found[points].astype(int), array[points].astype(int), atol=40
    )


def test_crop_scales_the_shorter_side_and_keeps_the_centre(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "wide.png")
    found = load_one(tmp_path, size=20)
    whole = Image.fromarray(noise).resize((45, 20), Image.Resampling.BICUBIC)
    # (45 - 20) / 2 = 12.5: half a pixel beside either crop of the whole.
    near = np.asarray(whole.crop((12, 0, 33, 20)), float)
    middle = (near[:, :-1] + near[:, 1:]) / 2
    assert np.corrcoef(found.ravel(), middle.ravel())[0, 1] > 0.9
    # Antialiased: noise averages out over 2 x 2 pixels.
    assert found.std() < 0.75 * noise.std()
    same = load_one(tmp_path, size=40)
    np.testing.assert_array_equal(same, noise[:, 25:65])


def test_extreme_shape_needs_no_memory(tmp_path):
    Image.new("RGB", (1, 50000), (5, 6, 7)).save(tmp_path / "thin.png")
    assert load_one(tmp_path, size=64)[63, 63].tolist() == [5, 6, 7]


def test_sizes_that_differ(tmp_path):
    picture(1).save(tmp_path / "a.png")
    picture(2, (9, 8)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"a\.png is 8 x 8.*b\.png is 8 x 9"):
        load_images(tmp_path)
    with pytest.raises(DataError, match=r"resize=.none.*b\.png is 8 x 9"):
        load_images(tmp_path, size=8, resize="none")
    assert load_images(tmp_path, size=8).read([1]).shape == (1, 8, 8, 3)


def break_file(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.fixture
def broken(classes):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(classes / "car" / "1.PNG")
    break_file(classes / "car" / "1.PNG")
    (classes / "boat" / "x.jpg").write_bytes(b"")
    return classes


@pytest.mark.parametrize("size", [None, 8])
def test_broken_files_are_counted(broken, size):
    with pytest.warns(UserWarning) as caught:
        source = load_images(broken, size=size)
    (warning,) = caught
    assert "Skipped 2 of 13" in str(warning.message)
    assert "x.jpg" in str(warning.message)
    assert len(source) == 11 and len(source.labels) == 11
    names = [os.path.basename(name) for name, _ in source.skipped]
    assert sorted(names) == ["1.PNG", "x.jpg"]
    values = source.read(range(11))[:, 0, 0, 0]
    np.testing.assert_array_equal(values // 10, source.labels)


def test_strict_names_the_broken_file(broken):
    with pytest.raises(DataError, match=r"(x\.jpg|1\.PNG)$"):
        load_images(broken, size=8, strict=True)


def test_all_broken(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"no images that can be read.*a\.png"):
        load_images(tmp_path)


def test_read_on_demand_replaces_within_the_class(broken):
    source = load_images(broken, size=8, cache_bytes=0)
    assert not source.cached and len(source) == 13
    with pytest.warns(UserWarning, match=r"replaced.*(1\.PNG|x\.jpg)") as seen:
        images = source.read(range(13))
    assert len(seen) == 1
    np.testing.assert_array_equal(images[:, 0, 0, 0] // 10, source.labels)
    assert len(source.skipped) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(source.read(range(13)), images)


def test_opening_a_large_folder_reads_no_picture(tmp_path):
    for i in range(300):
        (tmp_path / f"{i:03d}.png").touch()
    picture(7).save(tmp_path / "x.png")
    source = load_images(tmp_path, size=8, cache_bytes=0)
    assert len(source) == 301 and source.skipped == []
    with pytest.raises(DataError, match=r"\.png"):
        load_images(tmp_path, size=8, cache_bytes=0, strict=True)
    with pytest.warns(UserWarning, match=r"replaced by another.*001\.png"):
        assert source.read([1])[0, 0, 0, 0] == 7


def test_read_on_demand_strict(classes):
    source = load_images(classes, size=8, cache_bytes=0, strict=True)
    break_file(classes / "car" / "1.PNG")
    with pytest.raises(DataError, match=r"car/\./1|car/1\.PNG"):
        source.read(range(12))


def test_on_demand_equals_cached(classes):
    cached = load_images(classes, size=6)
    lazy = load_images(classes, size=6, cache_bytes=0)
    assert lazy.image_shape == cached.image_shape == (6, 6, 3)
    for source in (lazy, pickle.loads(pickle.dumps(lazy))):
        rows = [3, 1, 3, *range(12)]
        np.testing.assert_array_equal(source.read(rows), cached.read(rows))


def test_huge_picture_is_refused_from_its_header(tmp_path):
    header = png_chunk(
        b"IHDR", struct.pack(">IIBBBBB", 12000, 12000, 8, 2, 0, 0, 0)
    )
    data = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", b"")
    (tmp_path / "bomb.png").write_bytes(data)
    with (
        warnings.catch_warnings(),
        pytest.raises(DataError, match="12000 x 12000 pixels are more"),
    ):
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        load_images(tmp_path, size=8, strict=True)


def test_progress(classes):
    calls = []
    load_images(classes, progress=lambda done, total: calls.append(done))
    assert calls[-1] == 12


def test_real_folder():
    root = os.environ.get("KERAS_LAPGAN_TEST_DATA")
    if not root:
        pytest.skip("KERAS_LAPGAN_TEST_DATA (a folder) is not set")
    source = load_images(os.path.join(root, "folder_sample"), size=32)
    assert source.class_names == ["alp", "lighthouse", "triumphal_arch"]
    assert np.bincount(source.labels).tolist() == [40, 40, 40]
    images = source.read(range(120))
    assert images.shape == (120, 32, 32, 3) and 40 < images.std() < 90
