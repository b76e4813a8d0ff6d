"""Pictures from the outside world, safely: URL or base64 -> RGB."""

from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.errors import ImageError
from lookalike.embedders.images.reader import ImageReader, ReadImage
from lookalike.embedders.images.settings import ImageSettings

__all__ = ["Box", "ImageError", "ImageReader", "ImageSettings", "ReadImage"]
