class DataError(ValueError):
    """A data set that cannot be found, read or used as asked.

    The message names the data set, file or argument at fault and says what
    was expected; it is meant to be shown to a user without a traceback.

    Example:

    ```python
    from keras_lapgan.datasets import DataError, load_images

    try:
        load_images("no_such_folder/")
    except DataError as error:
        print(error)
    ```
    """
