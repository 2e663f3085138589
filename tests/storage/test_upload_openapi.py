"""What the OpenAPI document says of uploads is what the server does."""

import jsonschema_rs

from storage.uploads.app import UploadApp
from storage.uploads_openapi import LIST, UPLOAD, upload_paths
from tests.storage.upload_site import Site


def test_every_method_is_described():
    paths = upload_paths()
    collection, one = paths["/api/v1/uploads"], paths["/api/v1/uploads/{upload_id}"]
    assert set(collection) == {method.lower() for method in UploadApp.collection_methods}
    assert set(one) - {"parameters"} == {method.lower() for method in UploadApp.upload_methods}


def test_the_answers_have_the_shape_that_is_described(site: Site):
    path = site.new("described.iso", 5)
    for piece, offset in ((b"12", 0), (b"345", 2)):
        assert site.patch(path, offset, piece).status_code == 204
        jsonschema_rs.validate(UPLOAD, site.json(path))
    jsonschema_rs.validate(LIST, site.json(site.url))
