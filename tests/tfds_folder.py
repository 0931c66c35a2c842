"""Writes folders as TensorFlow Datasets prepares them."""


def write_tfds(
    folder, splits, class_names, file_format="tfrecord", name="dots"
):
    """Writes a set: a list of examples for each shard of each split.

    Args:
        folder: path that is not there yet, its last part a version.
        splits: dict of lists of lists of dicts: `"image"`, `"label"` and, or
            in none, `"note"`.
        class_names: list of str.
        file_format: str. Defaults to `"tfrecord"`.
        name: str. The set's. Defaults to `"dots"`.
    """
    import tensorflow_datasets as tfds

    folder.mkdir(parents=True)
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "label": tfds.features.ClassLabel(names=class_names),
        "note": tfds.features.Text(),
    }
    example = next(iter(splits.values()))[0][0]
    features = tfds.features.FeaturesDict(
        {key: features[key] for key in example}
    )
    adapters = tfds.core.file_adapters
    adapter = adapters.ADAPTER_FOR_FORMAT[adapters.FileFormat(file_format)]
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=name, filetype_suffix=file_format
    )
    infos = []
    for split, shards in splits.items():
        info = tfds.core.SplitInfo(
            name=split,
            shard_lengths=[len(examples) for examples in shards],
            num_bytes=0,
            filename_template=template.replace(split=split),
        )
        for path, examples in zip(info.filepaths, shards, strict=True):
            records = (
                features.serialize_example(features.encode_example(example))
                for example in examples
            )
            adapter.write_examples(path, enumerate(records))
        infos.append(info)
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder),
        features=features,
        split_infos=infos,
        filename_template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        check_data=False,
    )
