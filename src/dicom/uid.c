#include "uid.h"

#include <stddef.h>
#include <string.h>

bool dicom_uid_is_plausible(struct str s)
{
    if (s.n == 0 || s.n > DICOM_UID_MAX)
        return false;
    bool has_digit = false;
    for (size_t i = 0; i < s.n; i++) {
        bool is_digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (!is_digit && (s.p[i] != '.' || !has_digit))
            return false;
        has_digit = is_digit;
    }
    return has_digit;
}

bool dicom_uid_is_standard(struct str s)
{
    enum { STANDARD_MAX = 32, COMPONENT_MAX = 5 };      /* the longest of PS3.6 Table A-1 have 32 and 5 */
    if (s.n > STANDARD_MAX || !str_is_prefix(s, STR("1.2.840.10008.")) || !dicom_uid_is_plausible(s))
        return false;
    for (size_t i = 0, run = 0; i < s.n; i++) {
        run = s.p[i] == '.' ? 0 : run + 1;
        if (run > COMPONENT_MAX)
            return false;
    }
    return true;
}

struct str dicom_uid_trim(struct str s)
{
    while (s.n > 0 && (s.p[s.n - 1] == '\0' || s.p[s.n - 1] == ' '))
        s.n--;
    return s;
}

void dicom_uid_from_bytes(const uint8_t bytes[16], char out[DICOM_UID_MAX + 1])
{
    uint8_t b[16];
    memcpy(b, bytes, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x80);     /* version 8, RFC 9562 section 5.8 */
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);     /* variant 10 */
    uint32_t limb[4];
    for (size_t i = 0; i < 4; i++)
        limb[i] = (uint32_t)b[4 * i] << 24 | (uint32_t)b[4 * i + 1] << 16 | (uint32_t)b[4 * i + 2] << 8 | b[4 * i + 3];
    /* Long division by 10^9: nine digits a round, the last ones first; 2^128 has 39 digits. */
    char digits[45];
    size_t at = sizeof digits;
    for (int round = 0; round < 5; round++) {
        uint64_t rest = 0;
        for (size_t i = 0; i < 4; i++) {
            uint64_t v = rest << 32 | limb[i];
            limb[i] = (uint32_t)(v / 1000000000u);
            rest = v % 1000000000u;
        }
        for (int d = 0; d < 9; d++, rest /= 10)
            digits[--at] = (char)('0' + rest % 10);
    }
    while (at < sizeof digits - 1 && digits[at] == '0')
        at++;
    memcpy(out, "2.25.", 5);
    memcpy(out + 5, digits + at, sizeof digits - at);
    out[5 + sizeof digits - at] = '\0';
}

/* PS3.6 Table A-1, rows of type "Transfer Syntax", retired ones too: archives hold them.
 * Deflated image frames (1.2.840.10008.1.2.8.1) are fragments, and so encapsulated, not a deflated data set. */
#define TS(uid) "1.2.840.10008.1.2" uid
#define FRAGMENTS(uid, name) { TS(uid), name, true, false, false, true }
static const struct dicom_syntax syntaxes[] = {
    { TS(""), "Implicit VR Little Endian", false, false, false, false },
    { TS(".1"), "Explicit VR Little Endian", true, false, false, false },
    { TS(".1.98"), "Encapsulated Uncompressed Explicit VR Little Endian", true, false, false, true },
    { TS(".1.99"), "Deflated Explicit VR Little Endian", true, false, true, false },
    { TS(".2"), "Explicit VR Big Endian", true, true, false, false },
    FRAGMENTS(".4.50", "JPEG Baseline (Process 1)"),
    FRAGMENTS(".4.51", "JPEG Extended (Process 2 and 4)"),
    FRAGMENTS(".4.52", "JPEG Extended (Process 3 and 5)"),
    FRAGMENTS(".4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)"),
    FRAGMENTS(".4.54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)"),
    FRAGMENTS(".4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)"),
    FRAGMENTS(".4.56", "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)"),
    FRAGMENTS(".4.57", "JPEG Lossless, Non-Hierarchical (Process 14)"),
    FRAGMENTS(".4.58", "JPEG Lossless, Non-Hierarchical (Process 15)"),
    FRAGMENTS(".4.59", "JPEG Extended, Hierarchical (Process 16 and 18)"),
    FRAGMENTS(".4.60", "JPEG Extended, Hierarchical (Process 17 and 19)"),
    FRAGMENTS(".4.61", "JPEG Spectral Selection, Hierarchical (Process 20 and 22)"),
    FRAGMENTS(".4.62", "JPEG Spectral Selection, Hierarchical (Process 21 and 23)"),
    FRAGMENTS(".4.63", "JPEG Full Progression, Hierarchical (Process 24 and 26)"),
    FRAGMENTS(".4.64", "JPEG Full Progression, Hierarchical (Process 25 and 27)"),
    FRAGMENTS(".4.65", "JPEG Lossless, Hierarchical (Process 28)"),
    FRAGMENTS(".4.66", "JPEG Lossless, Hierarchical (Process 29)"),
    FRAGMENTS(".4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14, Selection Value 1)"),
    FRAGMENTS(".4.80", "JPEG-LS Lossless"),
    FRAGMENTS(".4.81", "JPEG-LS Lossy (Near-Lossless)"),
    FRAGMENTS(".4.90", "JPEG 2000 (Lossless Only)"),
    FRAGMENTS(".4.91", "JPEG 2000"),
    FRAGMENTS(".4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)"),
    FRAGMENTS(".4.93", "JPEG 2000 Part 2 Multi-component"),
    FRAGMENTS(".4.94", "JPIP Referenced"),
    { TS(".4.95"), "JPIP Referenced Deflate", true, false, true, true },
    FRAGMENTS(".4.100", "MPEG2 Main Profile / Main Level"),
    FRAGMENTS(".4.100.1", "Fragmentable MPEG2 Main Profile / Main Level"),
    FRAGMENTS(".4.101", "MPEG2 Main Profile / High Level"),
    FRAGMENTS(".4.101.1", "Fragmentable MPEG2 Main Profile / High Level"),
    FRAGMENTS(".4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    FRAGMENTS(".4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    FRAGMENTS(".4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    FRAGMENTS(".4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    FRAGMENTS(".4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    FRAGMENTS(".4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    FRAGMENTS(".4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    FRAGMENTS(".4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    FRAGMENTS(".4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    FRAGMENTS(".4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    FRAGMENTS(".4.107", "HEVC/H.265 Main Profile / Level 5.1"),
    FRAGMENTS(".4.108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
    FRAGMENTS(".4.110", "JPEG XL Lossless"),
    FRAGMENTS(".4.111", "JPEG XL JPEG Recompression"),
    FRAGMENTS(".4.112", "JPEG XL"),
    FRAGMENTS(".4.201", "High-Throughput JPEG 2000 (Lossless Only)"),
    FRAGMENTS(".4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)"),
    FRAGMENTS(".4.203", "High-Throughput JPEG 2000"),
    FRAGMENTS(".4.204", "JPIP HTJ2K Referenced"),
    { TS(".4.205"), "JPIP HTJ2K Referenced Deflate", true, false, true, true },
    FRAGMENTS(".5", "RLE Lossless"),
    FRAGMENTS(".8.1", "Deflated Image Frame Compression"),
};

const struct dicom_syntax *dicom_syntax_find(struct str uid)
{
    for (size_t i = 0; i < ARRAY_LEN(syntaxes); i++)
        if (str_eq(uid, str_of(syntaxes[i].uid)))
            return &syntaxes[i];
    return NULL;
}
