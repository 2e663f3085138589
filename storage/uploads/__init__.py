"""Uploads by the tus protocol 1.0.0, as a raw ASGI application beside Django. https://tus.io/protocols/resumable-upload

Django writes the whole body of a request to a temporary file before any view runs; here bytes go from the socket
straight into the part file beside their destination. How much has arrived is the size of that file, whatever died.

app        UploadApp: who asks, which method, answers       protocol  the headers of tus, parsed
lifecycle  rows and files: create, complete, cancel         body      the byte path
listing    uploads as JSON                                  part      an open, locked part file
sweeper    what nobody came back for                        threads   where blocking work runs
"""
