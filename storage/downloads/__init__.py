"""Volumes to the browser: /api/v1/volumes/<id>/content, beside Django, which would hold whole answers in memory."""
