"""Writes an OCI layout (planted.tar) whose layers are full of difficulties, as other tools write them.

What is in the tars is said here entry by entry, so that an ordinary user makes the same ones.
"""
import gzip, hashlib, io, json, sys, tarfile

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep, revision 2


def tar(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, *rest in entries:
            more = rest[0] if rest else {}
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = more.get("mode", 0o755 if kind == tarfile.DIRTYPE else 0o644)
            info.uid, info.gid = more.get("owner", (0, 0))
            info.mtime = more.get("mtime", 1000000000)
            info.linkname = more.get("link", "")
            info.devmajor, info.devminor = more.get("device", (0, 0))
            content = more.get("content", b"")
            info.size = len(content)
            info.pax_headers = {
                "SCHILY.xattr." + key: value.decode("latin-1") if isinstance(value, bytes) else value
                for key, value in more.get("xattr", {}).items()
            } | more.get("pax", {})
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


SPARSE = 8 << 20
FILE, DIR, LINK, SYM = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
devices = [
    ("dev/", DIR),
    ("dev/zero", tarfile.CHRTYPE, {"mode": 0o666, "device": (1, 5)}),
    ("dev/disk", tarfile.BLKTYPE, {"mode": 0o660, "device": (7, 3), "owner": (0, 6)}),
]
base = [
    ("etc/", DIR),
    ("etc/passwd", FILE, {"content": b"root:x:0:0:root:/:/bin/sh\n"}),
    ("links/", DIR),
    # A group of names, one of which a later layer replaces and another deletes.
    ("links/a", FILE, {"content": b"shared\n", "xattr": {"user.kiln": "on all names"}}),
    ("links/b", LINK, {"link": "links/a"}),
    ("links/c", LINK, {"link": "links/a"}),
    ("links/far", DIR),
    ("links/far/d", LINK, {"link": "links/a"}),
    # Links that lead out of the root, and what a careless tool would follow.
    ("absolute", SYM, {"link": "/etc/passwd"}),
    ("escape", SYM, {"link": "../../../../../../etc"}),
    ("way", SYM, {"link": "/links"}),
    ("circle", SYM, {"link": "circle"}),
    ("attributes/", DIR, {"xattr": {"user.on.directory": "yes"}}),
    ("attributes/file", FILE, {"content": b"x", "xattr": {"user.a": "1", "user.b": "two"}}),
    ("attributes/capable", FILE, {"content": b"x", "mode": 0o755, "xattr": {"security.capability": CAPABILITY}}),
    ("owned", FILE, {"content": b"theirs", "mode": 0o4711, "owner": (7, 8)}),
    ("sticky/", DIR, {"mode": 0o1777, "owner": (7, 8)}),
    ("pipe", tarfile.FIFOTYPE, {"mode": 0o600}),
    ("opaque/", DIR),
    ("opaque/old", FILE, {"content": b"old"}),
    ("opaque/sub/", DIR),
    ("opaque/sub/old", FILE, {"content": b"old"}),
    ("gone/", DIR),
    ("gone/x", FILE, {"content": b"x"}),
    ("gone/sub/", DIR),
    ("gone/sub/y", FILE, {"content": b"y"}),
    ("reborn/", DIR),
    ("reborn/before", FILE, {"content": b"before"}),
    ("turned", FILE, {"content": b"a file"}),
    ("turned-dir/", DIR),
    ("turned-dir/x", FILE, {"content": b"x"}),
    ("long/", DIR),
    ("long/" + "n" * 120, FILE, {"content": b"long"}),
    ("secret", FILE, {"content": b"SECRET-BYTES" * 100}),
    # Eight megabytes of nothing before three bytes (GNU tar manual, "Storing Sparse Files", version 0.1).
    ("sparse", FILE, {"content": b"end", "pax": {"GNU.sparse.size": str(SPARSE + 3), "GNU.sparse.numblocks": "1", "GNU.sparse.map": f"{SPARSE},3"}}),
]
middle = [
    ("links/", DIR, {"mtime": 1100000000}),
    ("links/a", FILE, {"content": b"another\n", "mtime": 1100000000}),
    ("opaque/", DIR, {"mtime": 1100000000}),
    ("opaque/.wh..wh..opq", FILE),
    ("opaque/new", FILE, {"content": b"new"}),
    (".wh.gone", FILE),
    (".wh.secret", FILE),
    (".wh.reborn", FILE),
    (".wh.turned", FILE),
    ("turned/", DIR),
    ("turned/inside", FILE, {"content": b"a directory"}),
    (".wh.turned-dir", FILE),
    ("turned-dir", FILE, {"content": b"a file"}),
    ("owned", FILE, {"content": b"theirs", "mode": 0o755, "owner": (9, 9)}),
    ("later/", DIR),
    ("later/x", FILE, {"content": b"1"}),
    ("later/y", LINK, {"link": "later/x"}),
    ("later/z", LINK, {"link": "later/x"}),
]
top = [
    ("links/", DIR, {"mtime": 1200000000}),
    ("links/.wh.c", FILE),
    ("reborn/", DIR, {"mode": 0o700}),
    ("reborn/after", FILE, {"content": b"after"}),
    ("opaque/", DIR, {"mtime": 1200000000}),
    ("opaque/newer", FILE, {"content": b"newer"}),
    ("later/", DIR, {"mtime": 1200000000}),
    ("later/.wh.x", FILE),
    ("later/y", FILE, {"content": b"2"}),
]

blobs = {}


def put(content):
    digest = hashlib.sha256(content).hexdigest()
    blobs[digest] = content
    return "sha256:" + digest


layers = [tar(*(base + devices if "devices" in sys.argv else base)), tar(*middle), tar(*top)]
config = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2020-01-02T03:04:05Z",
    "config": {"Env": ["PATH=/bin", "A=b"], "Cmd": ["/bin/sh"], "Labels": {"l": "v"}, "Future": {"kept": True}},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]},
    "history": [
        {"created_by": "base"},
        {"created_by": "ENV A=b", "empty_layer": True},
        {"created_by": "middle"},
        {"created_by": "top"},
    ],
}
OCI = "application/vnd.oci.image."


def descriptor(kind, content, **more):
    return {"mediaType": OCI + kind, "digest": put(content), "size": len(content), **more}


manifest = {
    "schemaVersion": 2,
    "mediaType": OCI + "manifest.v1+json",
    "config": descriptor("config.v1+json", json.dumps(config).encode()),
    "layers": [descriptor("layer.v1.tar+gzip", gzip.compress(layer, mtime=0)) for layer in layers],
    "annotations": {"a.note": "kept"},
}
name = {"io.containerd.image.name": "docker.io/library/planted:1", OCI.replace("application/vnd.oci", "org.opencontainers") + "ref.name": "1"}
index = {"schemaVersion": 2, "manifests": [descriptor("manifest.v1+json", json.dumps(manifest).encode(), annotations=name)]}
for number, layer in enumerate(layers):
    with open(f"layer{number}.tar", "wb") as out:
        out.write(layer)
files = [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", json.dumps(index).encode())]
files += [("blobs/sha256/" + digest, content) for digest, content in blobs.items()]
with open("planted.tar", "wb") as out:
    out.write(tar(*((name, FILE, {"content": content}) for name, content in files)))
