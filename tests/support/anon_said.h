/* anon_said.h - an Orthanc anon that says what a test lets it say: a study 0a of two series, 0b with two instances, 0c with
 * one.  Where a study lies in a real one: system/test_adopt.py. */
#ifndef PIXL_TEST_ANON_SAID_H
#define PIXL_TEST_ANON_SAID_H

#include "base/clock.h"
#include "orthanc_said.h"
#include "upload/anon.h"

#define ANON_SERIES(id, uid)   "{\"ID\":\"" id "\",\"MainDicomTags\":{\"SeriesInstanceUID\":\"" uid "\"}}"
#define ANON_INSTANCE(id, uid) "{\"ID\":\"" id "\",\"FileSize\":5,\"MainDicomTags\":{\"SOPInstanceUID\":\"" uid "\"}}"

static inline void anon_says_all(void)
{
    orthanc_says("GET_studies_0a", 200, "{\"ID\":\"0a\",\"MainDicomTags\":{\"StudyInstanceUID\":\"2.25.1\"}}");
    orthanc_says("GET_studies_0a_series", 200, "[" ANON_SERIES("0b", "2.25.3") "," ANON_SERIES("0c", "2.25.2") "]");
    orthanc_says("GET_series_0b_instances", 200,
                 "[" ANON_INSTANCE("0e", "2.25.32") "," ANON_INSTANCE("0d", "2.25.31") "]");
    orthanc_says("GET_series_0c_instances", 200, "[" ANON_INSTANCE("0f", "2.25.21") "]");
    orthanc_says("GET_instances_0d_file", 200, "DICOM");
    orthanc_says("GET_instances_0e_file", 404, "Patient Doe^Jane");
    orthanc_says("GET_instances_0f_file", 503, "Patient Doe^Jane");
}

static inline struct anon *anon_said_open(void)
{
    static char url[128];
    struct pixl_error err = { 0 };
    struct anon *a = NULL;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/say/%s", http_peer.port, orthanc_name);
    const struct settings settings = { .anon_url = url, .anon_user = "pixl", .anon_password = "CANARY" };
    REQUIRE_OK(anon_open(&settings, &a, &err), err);
    return a;
}

#endif
