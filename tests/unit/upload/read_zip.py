"""read_zip.py ZIP   what Python reads in a zip: entries, bytes, and one CRC over all names and contents in order."""
import sys
import zipfile
import zlib

with zipfile.ZipFile(sys.argv[1]) as z:
    crc = total = 0
    for info in z.infolist():
        assert info.flag_bits == 0 and not info.comment, info
        assert info.date_time == (1980, 1, 1, 0, 0, 0), info
        assert info.external_attr >> 16 == 0o100644 and info.create_system == 3, info
        assert info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), info
        assert info.compress_type == zipfile.ZIP_DEFLATED or info.compress_size == info.file_size, info
        assert info.compress_type == zipfile.ZIP_STORED or info.compress_size < info.file_size, info
        crc = zlib.crc32(info.filename.encode("ascii"), crc)
        with z.open(info) as f:
            while block := f.read(1 << 20):
                crc = zlib.crc32(block, crc)
                total += len(block)
    print(f"{len(z.infolist())} {total} {crc:08x}")
