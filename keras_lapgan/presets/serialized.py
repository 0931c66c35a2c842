def keras_object(floor, class_name, **config):
    """An object of this package in Keras' serialised form."""
    return {
        "module": f"keras_lapgan.{floor}",
        "class_name": class_name,
        "config": config,
        "registered_name": f"keras_lapgan>{class_name}",
    }
