"""A server that answers as S3 and Cloud Storage do about a bucket that holds a folder: what is there, and no content.

A dry run asks storage for each file that is no output of the workflow, and for each that might already be there.
"""

import contextlib
import email.utils
import json
import threading
import urllib.parse
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextlib.contextmanager
def bucket(folder: Path, prefix: str):
    """Serve `folder` under `prefix` of any bucket; yield the address."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _found(self, key):
            path = folder / key.removeprefix(f"{prefix}/")
            return path if path.is_file() else None

        def _answer(self, code, body=b"", **headers):
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", headers.pop("size", None) or str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self):  # S3: of the bucket, or of one object
            _, _, key = urllib.parse.unquote(self.path.partition("?")[0]).lstrip("/").partition("/")
            if not key:
                return self._answer(200)
            path = self._found(key)
            if path is None:
                return self._answer(404)
            modified = email.utils.formatdate(path.stat().st_mtime, usegmt=True)
            return self._answer(200, Last_Modified=modified, ETag='"0"', Content_Type="binary/octet-stream")

        def do_GET(self):
            path, _, asked = self.path.partition("?")
            if not path.startswith("/storage/v1/b/"):  # S3: what lies below a prefix
                return self._answer(200, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")
            _, _, rest = path.removeprefix("/storage/v1/b/").partition("/")
            if not rest:
                return self._json({"name": "bucket"})
            key = urllib.parse.unquote(rest.removeprefix("o").lstrip("/"))
            if not key:  # Cloud Storage: what lies below a prefix
                wanted = urllib.parse.parse_qs(asked).get("prefix", [""])[0]
                named = self._found(wanted.rstrip("/"))
                return self._json({"items": [self._object(wanted.rstrip("/"), named)] if named else []})
            found = self._found(key)
            return self._json(self._object(key, found)) if found else self._answer(404)

        def _object(self, key, path):
            moment = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
            return {"name": key, "bucket": "bucket", "size": str(path.stat().st_size), "updated": moment}

        def _json(self, content):
            return self._answer(200, json.dumps(content).encode(), Content_Type="application/json")

        def log_message(self, *_):
            """Say nothing of each question."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
