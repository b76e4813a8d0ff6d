"""Images from the outside world, safely: a URL or base64 becomes an RGB image.

Every URL and every byte comes from a stranger, so that addresses, sizes, formats and time are
limited here. Nothing is kept: an image lives until it is embedded. This room imports httpcore,
httpx, Pillow and pillow-heif, and nothing of Lookalike but itself.
"""
