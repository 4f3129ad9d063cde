/* orthanc_said.h - an Orthanc that says what a test lets it say (http_peer.py's /say), for what a real one does not say.
 *
 * orthanc_says() of this file: a study of two series; s1 with two instances, both in raw; s2 with one, which is not. */
#ifndef PIXL_TEST_ORTHANC_SAID_H
#define PIXL_TEST_ORTHANC_SAID_H

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/fs.h"
#include "http_peer.h"
#include "test.h"

static char orthanc_name[64];

/* What this test's Orthanc answers; call: "GET_modalities", "POST_modalities_M_query_Study". */
static inline void orthanc_says_bytes(const char *call, int status, struct str body)
{
    struct pixl_error err = { 0 };
    char path[1024];
    buf_auto text;
    buf_init(&text, 1 << 20);
    (void)snprintf(orthanc_name, sizeof orthanc_name, "p%ld", (long)getpid());
    (void)snprintf(path, sizeof path, "%s/../say/%s", http_peer.certs, orthanc_name);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/../say/%s/%s", http_peer.certs, orthanc_name, call);
    (void)buf_addf(&text, "%d\n", status);
    REQUIRE(buf_add_str(&text, body));
    REQUIRE_OK(fs_write_whole(path, buf_str(&text), 0600, &err), err);
}
static inline void orthanc_says(const char *call, int status, const char *body)
{
    orthanc_says_bytes(call, status, str_of(body));
}

#define ORTHANC_SERIES(n) "{\"StudyInstanceUID\":\"1.2\",\"SeriesInstanceUID\":\"1.2." n "\"}"
#define ORTHANC_INSTANCE(s, i) \
    "{\"StudyInstanceUID\":\"1.2\",\"SeriesInstanceUID\":\"1.2." s "\",\"SOPInstanceUID\":\"1.2." s "." i "\"}"
#define ORTHANC_RAW_INSTANCE(id, uid) \
    "{\"ID\":\"" id "\",\"FileSize\":5,\"MainDicomTags\":{\"SOPInstanceUID\":\"" uid "\"}}"
#define ORTHANC_ID_A "f06c8b22-6da916ce-a0131537-b385d1f5-c9d56d0a"
#define ORTHANC_ID_B "f06c8b22-6da916ce-a0131537-b385d1f5-c9d56d0b"

static inline void orthanc_says_all(void)
{
    orthanc_says("GET_modalities", 200, "[\"OTHER\",\"M\"]");
    orthanc_says("GET_system", 200, "{\"DicomAet\":\"RAW\"}");
    orthanc_says("POST_modalities_M_echo", 200, "{}");
    orthanc_says("POST_modalities_M_query_Study", 200, "{\"ID\":\"a1\"}");
    orthanc_says("GET_queries_a1_answers", 200,
                 "[{\"StudyInstanceUID\":\"1.2\",\"PatientID\":\"MRN\",\"AccessionNumber\":\"ACC\"}]");
    orthanc_says("POST_modalities_M_query_Series", 200, "{\"ID\":\"b1\"}");
    orthanc_says("GET_queries_b1_answers", 200, "[" ORTHANC_SERIES("1") "]");
    orthanc_says("POST_modalities_M_query_Instance", 200, "{\"ID\":\"c1\"}");
    orthanc_says("GET_queries_c1_answers", 200, "[" ORTHANC_INSTANCE("1", "1") "," ORTHANC_INSTANCE("1", "2") "]");
    orthanc_says("POST_tools_lookup", 200, "[{\"Type\":\"Study\",\"ID\":\"d1\"}]");
    orthanc_says("GET_studies_d1_series", 200, "[{\"ID\":\"e1\",\"MainDicomTags\":{\"SeriesInstanceUID\":\"1.2.1\"}}]");
    orthanc_says(
        "GET_series_e1_instances", 200,
        "[" ORTHANC_RAW_INSTANCE(ORTHANC_ID_A, "1.2.1.1") "," ORTHANC_RAW_INSTANCE(ORTHANC_ID_B, "1.2.1.2") "]");
    orthanc_says("GET_instances_" ORTHANC_ID_A "_file", 200, "DICOM");
    orthanc_says("POST_queries_c1_retrieve", 200, "{\"ID\":\"f1\"}");
    orthanc_says("POST_queries_b1_retrieve", 200, "{\"ID\":\"f1\"}");
    orthanc_says("GET_jobs_f1", 200, "{\"State\":\"Success\"}");
    orthanc_says("DELETE_instances_" ORTHANC_ID_A, 200, "{}");
    orthanc_says("DELETE_instances_" ORTHANC_ID_B, 200, "{}");
}

enum { ORTHANC_SAID_MAX_BYTES = 1000 };
static inline bool orthanc_open_said(bool releases, struct archive **out, struct pixl_error *err)
{
    char url[256];
    (void)snprintf(url, sizeof url, "orthanc+http://user:pw@127.0.0.1:%d/say/%s", http_peer.port, orthanc_name);
    const struct archive_options o = { .url = url,
                                       .state_dir = test_path("state"),
                                       .modality = "M",
                                       .target_aet = "RAW",
                                       .query_timeout_s = 5,
                                       .transfer_timeout_s = 5,
                                       .most_transfers = 2,
                                       .max_instance_bytes = ORTHANC_SAID_MAX_BYTES,
                                       .releases = releases };
    return archive_open(&o, out, err);
}

#endif
