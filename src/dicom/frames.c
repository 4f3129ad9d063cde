#include "frames.h"

/* Behind "1.2.840.10008.5.1.4.1.1.": storage classes whose IOD has the Multi-frame Module or, of spectroscopy and dose,
 * Number of Frames of its own. */
static const char *const classes[] = {
    "2.1",      "2.2",                                        /* CT: enhanced, legacy converted */
    "3",        "3.1",      "6.2",      "6.3",                /* ultrasound, volume, photoacoustic */
    "4.1",      "4.2",      "4.3",      "4.4",                /* MR: enhanced, spectroscopy, colour, converted */
    "5",        "20",                                         /* nuclear medicine */
    "7.1",      "7.2",      "7.3",      "7.4",                /* secondary capture */
    "12.1",     "12.1.1",   "12.2",     "12.2.1",   "12.3",   /* angiography and fluoroscopy */
    "13.1.1",   "13.1.2",   "13.1.3",   "13.1.4",   "13.1.5", /* X-ray 3D, breast */
    "14.1",     "14.2",                                       /* intravascular tomography */
    "30",       "66.4",     "66.7",     "66.8",               /* parametric map, segmentations */
    "77.1.1.1", "77.1.2.1", "77.1.4.1", "77.2",               /* visible light: video */
    "77.1.5.1", "77.1.5.2", "77.1.5.4", "77.1.5.5", "77.1.5.6", "77.1.5.7", "77.1.5.8", /* ophthalmic */
    "77.1.6",   "77.1.7",   "77.1.8",   "77.1.9",                                       /* slides, skin, confocal */
    "128.1",    "130",                                                   /* PET: legacy converted, enhanced */
    "481.1",    "481.2",    "481.23",   "481.24",                        /* radiotherapy images, dose */
    "501.1",    "501.2.1",  "501.2.2",  "501.4",    "501.5",    "601.2", /* security and industry */
};

static bool may_have_frames(struct str class)
{
    static const struct str standard = { "1.2.840.10008.", 14 }, storage = { "1.2.840.10008.5.1.4.1.1.", 24 };
    if (!str_is_prefix(class, storage))
        return class.n > 0 && !str_is_prefix(class, standard);
    struct str rest = { class.p + storage.n, class.n - storage.n };
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (str_eq(rest, str_of(classes[i])))
            return true;
    return false;
}

static bool sop_class(struct dicom_file *f, struct str *out, struct pixl_error *err)
{
    bool found;
    return dicom_text(f, DICOM_SOP_CLASS_UID, out, &found, err) &&
           (out->n > 0 || dicom_text(f, DICOM_META_SOP_CLASS_UID, out, &found, err));
}

static uint32_t believed(struct str text)
{
    uint64_t n;
    text = str_trim(text);
    if (text.n > 0 && text.p[0] == '+')
        text = (struct str){ text.p + 1, text.n - 1 };
    if (!str_to_u64(text, &n) || n < 1)
        return 1;
    return n < DICOM_FRAMES_MAX ? (uint32_t)n : DICOM_FRAMES_MAX;
}

static bool count(struct dicom_file *f, uint32_t *out, struct pixl_error *err)
{
    struct str class, number;
    struct dicom_file further;
    bool found;
    if (!sop_class(f, &class, err))
        return false;
    if (!may_have_frames(class)) {
        *out = 1;
        return true;
    }
    if (!dicom_parse_until(&f->given, &f->limits, DICOM_NUMBER_OF_FRAMES, f->arena, &further, err) ||
        !dicom_text(&further, DICOM_NUMBER_OF_FRAMES, &number, &found, err))
        return false;
    *out = believed(number);
    return true;
}

bool dicom_count_frames(struct dicom_file *f, uint32_t *out, struct pixl_error *err)
{
    struct pixl_error e = { 0 };
    if (count(f, out, &e))
        return true;
    if (e.code != PIXL_E_CORRUPT && e.code != PIXL_E_UNSUPPORTED && e.code != PIXL_E_LIMIT) {
        *err = e;
        return false;
    }
    *out = 1;
    return true;
}
