class ExtractorError(ValueError):
    """Weights of an extractor that are missing, or not what they should be."""
