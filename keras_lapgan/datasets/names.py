import array

import numpy as np


class Names:
    """Many short byte strings, read by position, in little memory.

    A list has an object for each, which takes more than the string itself;
    this has all strings in one block and eight bytes for where each ends.

    Args:
        names: iterable of bytes.

    Example:

    ```python
    names = Names([b"a/0.png", b"b/1.png"])
    names[1]  # b"b/1.png"
    ```
    """

    def __init__(self, names):
        block, ends = bytearray(), array.array("q")
        for name in names:
            block += name
            ends.append(len(block))
        self._block = bytes(block)
        self._ends = np.array(ends, np.int64)

    def __len__(self):
        return len(self._ends)

    def __getitem__(self, i):
        start = self._ends[i - 1] if i else 0
        return self._block[start : self._ends[i]]
