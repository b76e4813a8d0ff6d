"""Pictures from the outside world, safely: URL or base64 -> RGB."""

from lookalike.embedders.images.errors import ImageError
from lookalike.embedders.images.reader import ImageReader, ReadImage
from lookalike.embedders.images.settings import ImageSettings

__all__ = ["ImageError", "ImageReader", "ImageSettings", "ReadImage"]
