"""Runs `model.pt2` with PyTorch."""


def load(folder, signature):
    """Returns a function of the inputs to the outputs, by name."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"This model needs PyTorch, `pip install torch` ({error})"
        ) from error
    model = torch.export.load(str(folder / signature["file"])).module()
    names = [entry["name"] for entry in signature["inputs"]]

    def run(inputs):
        # The model was traced with a dict in this order.
        tensors = {name: torch.from_numpy(inputs[name]) for name in names}
        with torch.inference_mode():
            outputs = model(tensors)
        return {name: value.numpy() for name, value in outputs.items()}

    return run
