"""The library a climate model links, and its Python face."""
