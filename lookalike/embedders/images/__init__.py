"""Images from the outside world, safely: URL or base64 -> RGB."""

from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.image_errors import ImageError
from lookalike.embedders.images.image_settings import ImageSettings
from lookalike.embedders.images.reader import ImageReader, ReadImage

__all__ = ["Box", "ImageError", "ImageReader", "ImageSettings", "ReadImage"]
