"""Writes an OCI layout (`layout`) of two layers, with one thing wrong: what the argument says."""
import gzip, hashlib, io, json, os, shutil, sys, tarfile

wrong = sys.argv[1]
shutil.rmtree("layout", ignore_errors=True)
os.makedirs("layout/blobs/sha256")
OCI = "application/vnd.oci.image."


def put(content):
    digest = hashlib.sha256(content).hexdigest()
    with open("layout/blobs/sha256/" + digest, "wb") as out:
        out.write(content)
    return "sha256:" + digest


def tar(*names):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3000
            if name == "link":
                info.type, info.linkname, info.size = tarfile.LNKTYPE, "../../outside", 0
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return out.getvalue()


tars = [tar("a", "b"), tar("c", *({"escape": ["d/../../e"], "link": ["link"]}.get(wrong, [])))]
if wrong == "cut-off":
    tars[1] = tars[1][:2000]
blobs = [gzip.compress(each, mtime=0) for each in tars]
if wrong == "not-gzip":
    blobs[1] = tars[1]
layers = [{"mediaType": OCI + "layer.v1.tar+gzip", "digest": put(blob), "size": len(blob)} for blob in blobs]
if wrong == "size":
    layers[1]["size"] += 1
if wrong == "type":
    layers[1]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
diff_ids = ["sha256:" + hashlib.sha256(each).hexdigest() for each in tars]
if wrong == "diff-id":
    diff_ids[1] = "sha256:" + "0" * 64
if wrong == "count":
    diff_ids.pop()
config = {
    "architecture": "amd64",
    "os": "" if wrong == "os" else "linux",
    "rootfs": {"type": "layers", "diff_ids": diff_ids},
    "history": [{"created_by": "a"}, {"created_by": "b", "empty_layer": wrong == "history"}],
}
config = json.dumps(config).encode()
manifest = {
    "schemaVersion": 2,
    "mediaType": OCI + "manifest.v1+json",
    "config": {"mediaType": OCI + "config.v1+json", "digest": put(config), "size": len(config)},
    "layers": layers,
}
manifest = json.dumps(manifest).encode()
entry = {"mediaType": OCI + "manifest.v1+json", "digest": put(manifest), "size": len(manifest)}
for name, content in [("index.json", {"schemaVersion": 2, "manifests": [entry]}), ("oci-layout", {"imageLayoutVersion": "1.0.0"})]:
    with open("layout/" + name, "w") as out:
        json.dump(content, out)
blob = "layout/blobs/sha256/" + layers[1]["digest"][7:]
if wrong == "damaged":
    with open(blob, "r+b") as out:
        out.seek(30)
        out.write(b"damage")
if wrong == "missing":
    os.remove(blob)
