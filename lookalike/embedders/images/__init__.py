"""Images from the outside world, safely: URL or base64 -> RGB."""
