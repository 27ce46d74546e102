#!/usr/bin/env bash
# Tests scripts/docs-images on a recording, and that the images in docs/images are complete and of this version.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
exec python3 - "$source_dir" <<'PYTHON'
import importlib.machinery, importlib.util, pathlib, re, struct, sys, xml.etree.ElementTree as xml, zlib

sys.dont_write_bytecode = True
root = pathlib.Path(sys.argv[1])
loader = importlib.machinery.SourceFileLoader("docs_images", str(root / "scripts" / "docs-images"))
docs_images = importlib.util.module_from_spec(importlib.util.spec_from_loader("docs_images", loader))
loader.exec_module(docs_images)
SVG = "{http://www.w3.org/2000/svg}"
version = re.search(r"^project\(\w+ VERSION ([\d.]+)", (root / "CMakeLists.txt").read_text(), re.MULTILINE)[1]
readme = (root / "README.md").read_text()


def texts(svg, kind):
    return ["".join(node.itertext()) for node in svg.iter(f"{SVG}text") if node.get("class") == kind]


def a_recording_becomes_lines_and_frames():
    long = "epoch 1/1 ".ljust(docs_images.COLUMNS, ".")
    pieces = [(1, "\x1b[1;32mready: <cpu>\x1b[0m\r\n\r\x1b[Kepoch 1/1  step 1"), (2, "\r\x1b[Kepoch 1/1  step 2"),
              (3, f"\r\x1b[K{long}done\r\n"), (4, "end\r\n")]
    svg = xml.fromstring(docs_images.svg("1.2.3", "trainyard train", pieces))
    assert texts(svg, "l") == ["ready: <cpu>", long, "done", "end"], texts(svg, "l")
    assert texts(svg, "f")[:2] == ["epoch 1/1  step 1", "epoch 1/1  step 2"], texts(svg, "f")
    assert [node.text for node in svg.iter(f"{SVG}tspan") if node.get("class") == "c32"] == ["ready: <cpu>"]
    assert "trainyard 1.2.3" in svg.find(f"{SVG}title").text


def the_recording_is_of_this_version_and_fetches_nothing():
    text = (root / "docs/images/train.svg").read_text()
    svg = xml.fromstring(text)
    assert f"trainyard {version} " in svg.find(f"{SVG}title").text, "run scripts/docs-images for this version"
    assert "docs/images/train.svg" in readme
    assert len(text) < 300_000 and not re.search(r"href|<script|url\(|@import", text)
    shown = texts(svg, "l")
    assert any(line.startswith("ready: ") for line in shown) and any("test/accuracy" in line for line in shown), shown
    assert max(map(len, shown)) <= docs_images.COLUMNS


def the_reports_are_png_files_of_this_version():
    for scheme in ("light", "dark"):
        name = f"docs/images/report-{scheme}.png"
        data = (root / name).read_bytes()
        assert name in readme and len(data) < 300_000, f"{name}: {len(data)} bytes"
        assert data[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", data[16:24]) == docs_images.REPORT_SIZE, name
        at, chunks = 8, {}
        while at < len(data):
            (size,) = struct.unpack(">I", data[at : at + 4])
            kind, body, crc = data[at + 4 : at + 8], data[at + 8 : at + 8 + size], data[at + 8 + size : at + 12 + size]
            assert struct.pack(">I", zlib.crc32(kind + body)) == crc, f"{name}: damaged"
            chunks.setdefault(kind, body)
            at += 12 + size
        assert b"IEND" in chunks and chunks[b"tEXt"] == b"Software\0trainyard " + version.encode(), f"{name}: {chunks.get(b'tEXt')}"


for check in (a_recording_becomes_lines_and_frames, the_recording_is_of_this_version_and_fetches_nothing,
              the_reports_are_png_files_of_this_version):
    check()
    print(f"passed  {check.__name__}")
PYTHON
