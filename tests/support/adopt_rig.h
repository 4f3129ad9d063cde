/* adopt_rig.h - site_rig.h with a study that lies de-identified in an Orthanc anon (anon_said.h): 0a, two instances; its row
 * is image 1, queued. */
#ifndef PIXL_TEST_ADOPT_RIG_H
#define PIXL_TEST_ADOPT_RIG_H

#include "anon_said.h"
#include "pipeline/adopt.h"
#include "site_rig.h"

#define ADOPT_UID "2.25.1"
#define ADOPT_ROW "1,MRN5501,ACC5501,rig,2023-12-07T14:08:58Z,2020-05-23,1.2.3.1,,\n"

/* The file of an instance, as others leave it; comment: NULL, or what they left in it. */
static inline void adopt_says_instance(const char *call, const char *series, const char *sop, const char *comment)
{
    struct dcm d;
    dcm_begin_syntax(&d, DCM_EXPLICIT_LE, DCM_CT_IMAGE_STORAGE, sop);
    dcm_text(&d, DICOM_SOP_CLASS_UID, DICOM_VR_UI, DCM_CT_IMAGE_STORAGE);
    dcm_text(&d, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, sop);
    dcm_text(&d, DICOM_PATIENT_ID, DICOM_VR_LO, "f00d");
    dcm_text(&d, DICOM_STUDY_UID, DICOM_VR_UI, ADOPT_UID);
    dcm_text(&d, DICOM_SERIES_UID, DICOM_VR_UI, series);
    dcm_text(&d, 0x00204000, DICOM_VR_LT, comment != NULL ? comment : "nothing of note");
    orthanc_says_bytes(call, 200, dcm_str(&d));
    dcm_done(&d);
}

static inline void adopt_says_all(void)
{
    anon_says_all();
    orthanc_says("GET_studies_0a_series", 200, "[" ANON_SERIES("0b", "2.25.3") "]");
    adopt_says_instance("GET_instances_0d_file", "2.25.3", "2.25.31", NULL);
    adopt_says_instance("GET_instances_0e_file", "2.25.3", "2.25.32", NULL);
}

static inline void adopt_move(struct site_rig *r, const struct store_image *image, enum study_state to, int64_t bytes)
{
    struct pixl_error err = { 0 };
    struct store_move m = STORE_MOVE_NONE;
    m.image = image->id;
    m.fence = image->fence;
    m.to = to;
    m.now_us = 1000;
    if (to == STUDY_DEIDENTIFIED) {
        m.pseudo_study_uid = ADOPT_UID;
        m.zip_bytes = bytes;
    }
    REQUIRE_OK(store_move(site_store(r->site), &m, NULL, &err), err);
}

/* The row gets its pseudo study UID as rows do; then it is queued again. */
static inline void adopt_open(struct site_rig *r)
{
    static char url[160];
    struct store_image image;
    adopt_says_all();
    (void)snprintf(url, sizeof url, "ORTHANC_ANON_URL=http://127.0.0.1:%d/say/%s", http_peer.port, orthanc_name);
    rig_folders("");
    rig_open(r, url);
    rig_populate(r, ADOPT_ROW);
    REQUIRE(rig_claim(r, STORE_WORK_RETRIEVE, &image));
    adopt_move(r, &image, STUDY_DEIDENTIFIED, 1);
    image = rig_image(r, 1);
    adopt_move(r, &image, STUDY_QUEUED, 0);
}

/* Nobody delivers here: a study that came into the spool is BUSY. */
static inline bool adopt_ask(struct site_rig *r, const char *project, const atomic_bool *cancel, struct pixl_error *err)
{
    int64_t image = -1;
    const struct adopt_order o = { .study_id = STR("0a"), .project = str_of(project), .cancel = cancel };
    bool ok = adopt_study(r->site, &o, &image, err);
    CHECK(image == 0 || image == 1);
    return ok;
}

static inline size_t adopt_zip_names(char names[][256], size_t max)
{
    return rig_zip_names(test_path("state/spool/rig/" ADOPT_UID ".zip"), names, max);
}

#endif
