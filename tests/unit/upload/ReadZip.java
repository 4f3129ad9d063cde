import java.io.BufferedInputStream;
import java.io.FileInputStream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** java ReadZip.java ZIP: what a stream reader sees, which has only the local headers: as read_zip.py. */
public class ReadZip {
    public static void main(String[] args) throws Exception {
        CRC32 crc = new CRC32();
        long entries = 0, total = 0;
        byte[] block = new byte[1 << 20];
        try (ZipInputStream z = new ZipInputStream(new BufferedInputStream(new FileInputStream(args[0]), 1 << 16))) {
            for (ZipEntry e; (e = z.getNextEntry()) != null; entries++) {
                crc.update(e.getName().getBytes("US-ASCII"));
                long size = e.getSize(), got = 0;
                for (int n; (n = z.read(block)) > 0; got += n)
                    crc.update(block, 0, n);
                if (got != size)
                    throw new Exception("the header says " + size + " bytes, there are " + got);
                total += got;
            }
        }
        System.out.println(entries + " " + total + " " + String.format("%08x", crc.getValue()));
    }
}
